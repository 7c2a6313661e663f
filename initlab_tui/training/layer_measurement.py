"""Measures a network's layers on a probe batch: what goes forward, what comes back, what the last step changed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from initlab_tui.domain.layers.diagnosis import (
    FLAT,
    LEAST_FAN_IN,
    PARALLEL,
    LayerStatistics,
    Measurement,
    NetworkStatistics,
)
from initlab_tui.training import network

PROBE_IMAGES = 256
JACOBIAN_IMAGES = 8
UNITS = 256  # of a layer that are held against each other: all pairs of more would take longer than a step

Floats = npt.NDArray[np.float64]


class Probe:
    """A network's probe: the same images at every measurement.

    `images` are float32 as the network gets them, `labels` their classes. Traced at the first measurement, in
    about half a second for ten layers.
    """

    def __init__(self, model: keras.Model, activation: str, images: tf.Tensor, labels: tf.Tensor) -> None:
        self._layers = network.dense_layers(model)
        self._activation = activation
        self._images = tf.reshape(images, [len(images), -1])
        self._labels = labels
        self._chance = math.log(int(self._layers[-1].kernel.shape[1]))
        self._rms = float(_moments(self._images[None])[2][0])
        self._alike = _alike(self._layers)
        # As a graph in every case: XLA is no quicker at this, and takes five times as long to compile it.
        self._measure = tf.function(self._measure_body, autograph=False)
        self._jacobian = tf.function(self._jacobian_body, autograph=False)

    def kernels(self) -> list[tf.Tensor]:
        """Copies of the kernels as they are: what `measure` is told of the state before the last step."""
        return [tf.identity(layer.kernel.value) for layer in self._layers]

    def measure(self, before: Sequence[tf.Tensor] | None = None) -> Measurement:
        """The network as it is; `before` are the kernels before the last step, None where none was taken."""
        loss, stacks = self._measure(self.kernels() if before is None else before)
        figures = dict(zip(itertools.chain(*self._alike), np.concatenate(stacks), strict=True))
        layers = tuple(
            self._layer(layer.name, figures[number].tolist(), before is not None, layer is self._layers[-1])
            for number, layer in enumerate(self._layers)
        )
        first, last = layers[0].gradient_norm, layers[-1].gradient_norm
        # Where activations are not numbers a ReLU's gradient is 0, which says nothing of the Jacobian.
        sound = math.isfinite(float(loss))
        mean_square, condition = singular_values(self._jacobian().numpy()) if sound else (math.nan, math.nan)
        ratio = first / last if last else math.nan
        return Measurement(
            layers, NetworkStatistics(self._rms, float(loss), self._chance, ratio, mean_square, condition)
        )

    def _layer(self, name: str, figures: Sequence[float], has_stepped: bool, is_last: bool) -> LayerStatistics:
        measured = LayerStatistics(name, *figures)
        return measured._replace(
            dead=measured.dead if self._activation == "relu" and not is_last else None,
            saturated=measured.saturated if self._activation in FLAT and not is_last else None,
            update_ratio=measured.update_ratio if has_stepped else None,
        )

    def _measure_body(self, before: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        kernels = [layer.kernel.value for layer in self._layers]
        with tf.GradientTape() as tape:
            passed = network.pass_forward(self._layers, self._images)
            logits = passed[-1].preactivations
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(self._labels, logits))
        gradients, backs = tape.gradient(loss, [kernels, [layer.preactivations for layer in passed]])
        columns = (
            *([layer.preactivations for layer in passed], [layer.activations for layer in passed]),
            *(kernels, before, gradients, backs),
        )
        return loss, [
            self._figures(*(tf.stack([column[number] for number in numbers]) for column in columns))
            for numbers in self._alike
        ]

    def _figures(
        self,
        pre: tf.Tensor,
        post: tf.Tensor,
        kernel: tf.Tensor,
        before: tf.Tensor,
        gradient: tf.Tensor,
        back: tf.Tensor,
    ) -> tf.Tensor:
        """LayerHealth's figures of layers of one shape, in its order: (layers, figures)."""
        whole, flat = [1, 2], FLAT.get(self._activation, math.inf)
        is_dead = tf.reduce_all(post == 0.0, axis=1)
        is_flat = tf.abs(pre) > flat
        _, deviation, size = _moments(gradient)
        columns = (
            *(*_moments(pre)[:2], *_moments(post)[:2]),
            *(tf.reduce_mean(tf.cast(is_dead, tf.float32), 1), tf.reduce_mean(tf.cast(is_flat, tf.float32), whole)),
            *(size * math.sqrt(math.prod(gradient.shape[1:])), deviation, _moments(back)[2]),
            *(_moments(kernel - before)[2] / _moments(before)[2], *_cosines(kernel[:, :, :UNITS]), _correlation(pre)),
        )
        return tf.stack(columns, axis=1)

    def _jacobian_body(self) -> tf.Tensor:
        """∂logits/∂input at some of the images: (images, classes, inputs)."""
        images, classes = self._images[:JACOBIAN_IMAGES], self._layers[-1].kernel.shape[1]
        # One image for each logit, so that one gradient of their sum has all the rows.
        repeated = tf.repeat(images, classes, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(repeated)
            logits = network.pass_forward(self._layers, repeated)[-1].preactivations
            own = tf.reduce_sum(logits * tf.tile(tf.eye(classes), [images.shape[0], 1]))
        return tf.reshape(tape.gradient(own, repeated), [images.shape[0], classes, -1])


def _alike(layers: Sequence[keras.layers.Dense]) -> list[list[int]]:
    """The layers' numbers by the shape of their kernels: those of one shape are measured together."""
    shapes = [tuple(layer.kernel.shape) for layer in layers]
    return [[number for number, other in enumerate(shapes) if other == shape] for shape in dict.fromkeys(shapes)]


def singular_values(jacobians: npt.NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Mean of their squares, and the median over inputs of largest over smallest; NaN where they are not finite.

    A smallest one within float32's rounding of the largest is none: the ratio is infinite then.
    """
    if not np.isfinite(jacobians).all():
        return math.nan, math.nan
    values = np.linalg.svd(jacobians.astype(np.float64), compute_uv=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        rounding = values[:, 0] * np.finfo(np.float32).eps * max(jacobians.shape[1:])
        conditions = values[:, 0] / np.where(values[:, -1] > rounding, values[:, -1], 0.0)
    return float((values**2).mean()), float(np.median(conditions))


def _moments(stack: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Mean, deviation and root mean square of each array of a stack.

    In units of its largest value: the squares of 1e-20 or of 1e20 are beyond float32, which holds both.
    """
    largest = _largest(stack, [1, 2])
    scaled = stack / largest
    moments = (
        tf.reduce_mean(scaled, [1, 2]),
        tf.math.reduce_std(scaled, [1, 2]),
        tf.sqrt(tf.reduce_mean(scaled**2, [1, 2])),
    )
    return tuple(moment * largest[:, 0, 0] for moment in moments)


def _largest(values: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """The largest size along some axes, which are kept; 1 where all is 0 or something is not finite."""
    largest = tf.reduce_max(tf.abs(values), axes, keepdims=True)
    return tf.where((largest > 0) & tf.math.is_finite(largest), largest, 1.0)


def _cosines(kernels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Largest |cosine| between two units' weights, the columns of a kernel; and the share of units with a twin."""
    _, inputs, units = kernels.shape
    norms = tf.norm(kernels, axis=1, keepdims=True)
    # Units without any weights are alike too.
    unit = tf.where(norms > 0, kernels / tf.where(norms > 0, norms, 1.0), 1 / math.sqrt(inputs))
    cosines = tf.abs(tf.matmul(unit, unit, transpose_a=True)) * (1 - tf.eye(units))
    nearest = tf.reduce_max(cosines, axis=1)
    # Among few inputs random units are parallel by chance.
    twins = tf.cast(nearest > PARALLEL, tf.float32) if inputs >= LEAST_FAN_IN else tf.zeros_like(nearest)
    return tf.minimum(tf.reduce_max(nearest, axis=1), 1.0), tf.reduce_mean(twins, axis=1)


def _correlation(values: tf.Tensor) -> tf.Tensor:
    """Mean cosine between the batch's first half and its second."""
    values, half = values / _largest(values, [2]), values.shape[1] // 2
    one, other = values[:, :half], values[:, half : 2 * half]
    products = tf.reduce_sum(one * other, axis=2)
    return tf.reduce_mean(products / (tf.norm(one, axis=2) * tf.norm(other, axis=2)), axis=1)
