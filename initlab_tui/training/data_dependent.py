"""Initializers that fit a network to training images before the first step: one function for each, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from initlab_tui.domain.events import finite_or_none
from initlab_tui.domain.spec import Initializer

SAMPLE = 512  # images that a network is fitted to; the authors of LSUV advise large batches

Fit = Callable[..., Mapping[str, Any]]


def fit(model: keras.Model, initializer: Initializer, images: tf.Tensor | None) -> dict[str, Any]:
    """Fit the kernels that `initializer` drew to `images`, from the first layer to the logits.

    `images` are of shape (images, *shape), float32, as the network gets them. Returns what was done in each layer,
    for the record; nothing for an initializer that is no more than a draw.

    Raises:
        ValueError: when the initializer needs images and there are none.
    """
    if not initializer.is_data_dependent:
        return {}
    if images is None:
        raise ValueError(f"{initializer} is fitted to training images, and got none: give network.initialize some")
    fit_layer = partial(_FITS[initializer.name], **dict(initializer.parameters))
    layers, signal = [], images
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layers.append({"layer": layer.name, **fit_layer(layer, signal)})
        signal = layer(signal)
    return {"images": len(images), "layers": layers}


def _lsuv(layer: keras.layers.Dense, inputs: tf.Tensor, margin: float, iterations: int) -> dict[str, Any]:
    """Divide a kernel by its output's standard deviation until the variance is within `margin` of 1.

    Algorithm 1 of Mishkin & Matas 2016, ICLR, whose first half, the orthonormal draw, is done. The variance is of the
    pre-activations x·W + b, over all images and units at once, as in the authors' Caffe code (tools/extra/lsuv_init.py:
    `var_before_relu_if_inplace`, margin 0.02, 20 iterations). With b = 0 one division is exact but for rounding.
    Units that differ from each other alike for every image count in it: of sigmoids, soon nothing else does.
    """
    before = variance = _variance(layer, inputs)
    taken = 0
    while abs(variance - 1) >= margin and taken < iterations and _is_scale(variance):
        layer.kernel.assign(layer.kernel / math.sqrt(variance))
        variance = _variance(layer, inputs)
        taken += 1
    return {
        "iterations": taken,
        "variance_drawn": finite_or_none(before),
        "variance": finite_or_none(variance),
        "ended": _why(variance, margin),
    }


def _variance(layer: keras.layers.Dense, inputs: tf.Tensor) -> float:
    preactivations = keras.ops.matmul(inputs, layer.kernel) + layer.bias
    # In float64 and by NumPy: a sum of millions in float32 depends on how the threads share it.
    return float(np.var(keras.ops.convert_to_numpy(preactivations), dtype=np.float64))


def _is_scale(variance: float) -> bool:
    return math.isfinite(variance) and variance > 0


def _why(variance: float, margin: float) -> str:
    if not math.isfinite(variance):
        return "the variance is not finite"
    if variance == 0:
        return "the variance is 0: nothing reaches this layer that differs"
    return "within the margin" if abs(variance - 1) < margin else "no iterations left"


_FITS: Mapping[str, Fit] = {"lsuv": _lsuv}
