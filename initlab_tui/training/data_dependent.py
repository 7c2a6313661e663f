"""Data-dependent initializers: one function for each, which fits a layer to training images before the first step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from initlab_tui.domain.events import finite_or_none
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import Kind

if TYPE_CHECKING:
    from initlab_tui.training.network import BuiltNetwork

SAMPLE = 512  # images that a network is fitted to; the authors of LSUV recommend large batches

Fit = Callable[..., Mapping[str, Any]]


def fit(network: BuiltNetwork, initializer: Initializer, images: tf.Tensor | None) -> dict[str, Any]:
    """Fit the kernels that `initializer` drew to `images`, from the first layer to the logits.

    `images` have shape (images, *shape), float32, scaled as the network's input. Returns what was done in each layer,
    to be stored with the run; an empty dict for an initializer that is not data-dependent.

    Raises:
        ValueError: if the initializer needs images and there are none.
    """
    if not initializer.is_data_dependent:
        return {}
    if images is None:
        raise ValueError(f"{initializer} is fitted to training images but got none: pass images to network.initialize")
    fit_layer = partial(_FITS[initializer.name], **dict(initializer.parameters))
    first, *others = network.graph.nodes
    layers, outputs = [], {first.name: images}
    for node in others:
        layer = network.layers[node.name]
        inputs = [outputs[name] for name in node.inputs]
        if node.has_kernel and node.kind is not Kind.EMBEDDING:
            layers.append({"layer": node.name, **fit_layer(layer, inputs[0])})
        outputs[node.name] = layer(inputs[0] if len(inputs) == 1 else inputs, training=True)
    network.reset()  # the running averages of normalizations
    return {"images": len(images), "layers": layers}


def _lsuv(layer: keras.layers.Layer, inputs: tf.Tensor, margin: float, iterations: int) -> dict[str, Any]:
    """Divide a kernel by its output's standard deviation until the variance is within `margin` of 1.

    This is the second half of algorithm 1 of Mishkin & Matas 2016, ICLR; the first half is the orthonormal draw. The
    variance is that of the pre-activations x·W + b over all images and units at once, as in the authors' Caffe code
    (tools/extra/lsuv_init.py: `var_before_relu_if_inplace`, margin 0.02, 20 iterations). With b = 0 a single division
    is exact up to rounding. The variance includes differences between units that are the same for every image; in
    deep sigmoid networks little else is left.
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
        "ended": _stop_reason(variance, margin),
    }


def _variance(layer: keras.layers.Layer, inputs: tf.Tensor) -> float:
    preactivations = layer(inputs)
    # NumPy in float64, because a float32 sum of millions depends on how it is divided among the threads.
    return float(np.var(keras.ops.convert_to_numpy(preactivations), dtype=np.float64))


def _is_scale(variance: float) -> bool:
    return math.isfinite(variance) and variance > 0


def _stop_reason(variance: float, margin: float) -> str:
    if not math.isfinite(variance):
        return "the variance is not finite"
    if variance == 0:
        return "the variance is 0: this layer's output is the same for every image"
    return "within the margin" if abs(variance - 1) < margin else "no iterations left"


_FITS: Mapping[str, Fit] = {"lsuv": _lsuv}
