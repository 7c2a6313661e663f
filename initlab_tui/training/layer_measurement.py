"""Measures the layers of a network on a probe batch, with one function for each metric of the registry.

To add a metric, declare it in `domain/layers/metrics.py` and add the function that measures it to MEASURES.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from initlab_tui.domain.layers.graph import LayerGraph, Node
from initlab_tui.domain.layers.measurement import LayerStatistics, Measurement, NetworkStatistics
from initlab_tui.domain.layers.metrics import LAYER_METRICS
from initlab_tui.domain.layers.thresholds import FLAT, MIN_FAN_IN, PARALLEL
from initlab_tui.training.network import BuiltNetwork

PROBE_IMAGES = 256
PROBE_NUMBERS = 2**24  # that all layers output for the probe batch; networks with large outputs get fewer images
FEWEST_IMAGES = 16
JACOBIAN_IMAGES = 8
UNITS = 256  # units of a layer that are compared in pairs; all pairs of more would take longer than a training step
NEEDS_A_STEP = frozenset({"update_ratio"})  # measured against the kernels before the last step


class Moments(NamedTuple):
    """The mean, standard deviation and root mean square of each array in a stack."""

    mean: tf.Tensor
    std: tf.Tensor
    rms: tf.Tensor


@dataclass(frozen=True, eq=False)
class LayerStack:
    """Layers of one shape, measured together: the first axis of every tensor is the layer.

    Outputs and their gradients have shape (layers, images, ..., units) with the positions in between, kernels and their
    gradients (layers, fan_in, units). `arguments` are what the activation is applied to: the pre-activations, or what
    a normalization makes of them. `activation` is `linear` for the logits, which are always a separate stack.
    """

    activation: str
    preactivations: tf.Tensor
    arguments: tf.Tensor
    activations: tf.Tensor
    kernels: tf.Tensor
    kernels_before: tf.Tensor
    kernel_grads: tf.Tensor
    preactivation_grads: tf.Tensor

    @cached_property
    def preactivation_moments(self) -> Moments:
        return _moments(self.preactivations)

    @cached_property
    def activation_moments(self) -> Moments:
        return _moments(self.activations)

    @cached_property
    def kernel_grad_moments(self) -> Moments:
        return _moments(self.kernel_grads)

    @cached_property
    def nearest_cosines(self) -> tf.Tensor:
        """The largest |cosine| of each unit's weights with those of another unit: (layers, units).

        Units with all weights 0 are compared by their gradients, because those make them different or keep them equal.
        """
        kernels, gradients = self.kernels[:, :, :UNITS], self.kernel_grads[:, :, :UNITS]
        drawn = tf.reduce_any(kernels != 0.0, axis=1, keepdims=True)
        return _nearest_cosines(tf.where(drawn, kernels, gradients))


def _dead_share(stack: LayerStack) -> tf.Tensor | None:
    if stack.activation != "relu":
        return None
    never_on = tf.reduce_all(stack.activations == 0.0, axis=_between(stack.activations))
    return tf.reduce_mean(tf.cast(never_on, tf.float32), 1)


def _between(outputs: tf.Tensor) -> list[int]:
    """Return the axes between the layer and the unit: images and positions."""
    return list(range(1, len(outputs.shape) - 1))


def _saturated_share(stack: LayerStack) -> tf.Tensor | None:
    flat = FLAT.get(stack.activation)
    if flat is None:
        return None
    is_flat = tf.cast(tf.abs(stack.arguments) > flat, tf.float32)
    return tf.reduce_mean(is_flat, list(range(1, len(is_flat.shape))))


def _kernel_grad_norm(stack: LayerStack) -> tf.Tensor:
    return stack.kernel_grad_moments.rms * math.sqrt(math.prod(stack.kernel_grads.shape[1:]))


def _update_ratio(stack: LayerStack) -> tf.Tensor:
    return _moments(stack.kernels - stack.kernels_before).rms / _moments(stack.kernels_before).rms


def _max_cosine(stack: LayerStack) -> tf.Tensor:
    return tf.minimum(tf.reduce_max(stack.nearest_cosines, axis=1), 1.0)


def _duplicate_units(stack: LayerStack) -> tf.Tensor:
    # With few inputs, random units are parallel by chance.
    if stack.kernels.shape[1] < MIN_FAN_IN:
        return tf.zeros_like(stack.nearest_cosines[:, 0])
    return tf.reduce_mean(tf.cast(stack.nearest_cosines > PARALLEL, tf.float32), axis=1)


# Each returns one value per layer of the stack, or None if the metric does not apply to these layers.
_measures: dict[str, Callable[[LayerStack], tf.Tensor | None]] = {
    "preactivation_mean": lambda stack: stack.preactivation_moments.mean,
    "preactivation_std": lambda stack: stack.preactivation_moments.std,
    "activation_mean": lambda stack: stack.activation_moments.mean,
    "activation_std": lambda stack: stack.activation_moments.std,
    "dead_share": _dead_share,
    "saturated_share": _saturated_share,
    "kernel_grad_norm": _kernel_grad_norm,
    "kernel_grad_std": lambda stack: stack.kernel_grad_moments.std,
    "preactivation_grad_rms": lambda stack: _moments(stack.preactivation_grads).rms,
    "update_ratio": _update_ratio,
    "max_cosine": _max_cosine,
    "duplicate_units": _duplicate_units,
    "input_correlation": lambda stack: _correlation(stack.preactivations),
}
MEASURES: Mapping[str, Callable[[LayerStack], tf.Tensor | None]] = MappingProxyType(_measures)


def probe_images(graph: LayerGraph) -> int:
    """Return the number of images in the probe batch of a network."""
    return min(PROBE_IMAGES, max(FEWEST_IMAGES, PROBE_NUMBERS // graph.outputs))


class Probe:
    """Measures one network, always on the same images.

    `images` are float32, scaled as the network's input; `labels` are their classes. The first measurement traces the
    functions. Networks with batch normalization have no Jacobian of a single image.
    """

    def __init__(self, network: BuiltNetwork, images: tf.Tensor, labels: tf.Tensor) -> None:
        self._network, self._nodes = network, network.graph.layers
        self._layers = [network.layers[node.name] for node in self._nodes]
        self._images, self._labels = images, labels
        self._input_rms = float(_moments(images[None]).rms[0])
        self._groups = _group_by_shape(self._nodes)
        # Always a graph: with XLA measuring is no faster, and compiling takes five times as long.
        self._measure = tf.function(self._measure_body, autograph=False)
        self._jacobian = tf.function(self._jacobian_body, autograph=False)

    def kernels(self) -> list[tf.Tensor]:
        """Return copies of the current kernels; take them before a step, for `measure` after it."""
        return [tf.identity(layer.kernel.value) for layer in self._layers]

    def measure(self, before: Sequence[tf.Tensor] | None = None) -> Measurement:
        """Measure the network; `before` holds the kernels before the last step, None before the first step."""
        loss, stacks = self._measure(self.kernels() if before is None else before)
        values: list[dict[str, float]] = [{} for _ in self._layers]
        for numbers, of_stack in zip(self._groups, stacks, strict=True):
            for name, tensor in of_stack.items():
                if before is not None or name not in NEEDS_A_STEP:
                    for number, value in zip(numbers, tensor.numpy().tolist(), strict=True):
                        values[number][name] = value
        layers = tuple(
            LayerStatistics(node.name, {name: measured.get(name) for name in LAYER_METRICS})
            for node, measured in zip(self._nodes, values, strict=True)
        )
        return Measurement(layers, self._network_statistics(float(loss), layers))

    def _network_statistics(self, loss: float, layers: Sequence[LayerStatistics]) -> NetworkStatistics:
        first, last = layers[0].value("kernel_grad_norm"), layers[-1].value("kernel_grad_norm")
        mean_square, condition = self._singular_values(loss)
        return NetworkStatistics(
            {
                "input_rms": self._input_rms,
                "loss": loss,
                "chance_loss": math.log(self._nodes[-1].units),
                "gradient_ratio": first / last if last else math.nan,
                "jacobian_mean_square": mean_square,
                "jacobian_condition": condition,
            }
        )

    def _singular_values(self, loss: float) -> tuple[float | None, float | None]:
        if self._network.uses_batch_statistics:
            return None, None
        # If activations are NaN, the gradient of a ReLU is 0, which says nothing about the Jacobian.
        return singular_values(self._jacobian().numpy()) if math.isfinite(loss) else (math.nan, math.nan)

    def _measure_body(self, before: Sequence[tf.Tensor]) -> tuple[tf.Tensor, list[dict[str, tf.Tensor]]]:
        kernels = [layer.kernel.value for layer in self._layers]
        with tf.GradientTape() as tape:
            outputs = self._network.outputs(self._images)
            preactivations = [outputs[node.name] for node in self._nodes]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(self._labels, preactivations[-1]))
        kernel_grads, preactivation_grads = tape.gradient(loss, [kernels, preactivations])
        by_layer = (
            *(preactivations, [outputs[name] for name in self._arguments()]),
            [outputs[node.activated] for node in self._nodes],
            *(map(_as_matrices, (kernels, before, kernel_grads))),
            preactivation_grads,
        )
        return loss, [
            _measured(LayerStack(activation, *(tf.stack([values[n] for n in numbers]) for values in by_layer)))
            for numbers in self._groups
            for activation in [self._nodes[numbers[0]].activation]
        ]

    def _arguments(self) -> list[str]:
        """Return for each layer the node that its activation is applied to, its own if it is linear."""
        graph = self._network.graph
        return [node.name if node.activated == node.name else graph[node.activated].inputs[0] for node in self._nodes]

    def _jacobian_body(self) -> tf.Tensor:
        """Return ∂logits/∂input for the first images, at most JACOBIAN_IMAGES: (images, classes, inputs)."""
        classes = self._nodes[-1].units
        images = self._images[: min(JACOBIAN_IMAGES, max(1, len(self._images) // classes))]
        # Repeat each image for each logit, so that one gradient of the sum contains every row.
        repeated = tf.repeat(images, classes, axis=0)
        with tf.GradientTape() as tape:
            tape.watch(repeated)
            logits = self._network.outputs(repeated)[self._nodes[-1].name]
            selected = tf.reduce_sum(logits * tf.tile(tf.eye(classes), [images.shape[0], 1]))
        return tf.reshape(tape.gradient(selected, repeated), [images.shape[0], classes, -1])


def _as_matrices(kernels: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    return [tf.reshape(kernel, [-1, kernel.shape[-1]]) for kernel in kernels]


def _group_by_shape(nodes: Sequence[Node]) -> list[list[int]]:
    """Return the indices of the layers: hidden layers grouped by their shapes and activation, then the logits."""
    shapes = [(node.kernel_shape, node.shape, node.activation) for node in nodes[:-1]]
    groups = [[number for number, other in enumerate(shapes) if other == shape] for shape in dict.fromkeys(shapes)]
    return [*groups, [len(nodes) - 1]]


def _measured(stack: LayerStack) -> dict[str, tf.Tensor]:
    values = {name: measure(stack) for name, measure in MEASURES.items()}
    return {name: value for name, value in values.items() if value is not None}


def singular_values(jacobians: npt.NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return the mean square of the singular values, and the median over inputs of the largest over the smallest.

    Both are NaN if the Jacobians are not finite. If the smallest value is within float32's rounding error of the
    largest, it counts as 0 and the ratio is infinite.
    """
    if not np.isfinite(jacobians).all():
        return math.nan, math.nan
    values = np.linalg.svd(jacobians.astype(np.float64), compute_uv=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        rounding = values[:, 0] * np.finfo(np.float32).eps * max(jacobians.shape[1:])
        conditions = values[:, 0] / np.where(values[:, -1] > rounding, values[:, -1], 0.0)
    return float((values**2).mean()), float(np.median(conditions))


def _moments(stack: tf.Tensor) -> Moments:
    # Scaled by the largest value, because the squares of 1e-20 and 1e20 exceed the range of float32.
    axes = list(range(1, len(stack.shape)))
    largest = _largest(stack, axes)
    scaled = stack / largest
    largest = tf.reshape(largest, [-1])
    return Moments(
        tf.reduce_mean(scaled, axes) * largest,
        tf.math.reduce_std(scaled, axes) * largest,
        tf.sqrt(tf.reduce_mean(scaled**2, axes)) * largest,
    )


def _largest(values: tf.Tensor, axes: Sequence[int]) -> tf.Tensor:
    """Return the largest magnitude along `axes`, which are kept; 1 if all values are 0 or one is not finite."""
    largest = tf.reduce_max(tf.abs(values), axes, keepdims=True)
    return tf.where((largest > 0) & tf.math.is_finite(largest), largest, 1.0)


def _nearest_cosines(kernels: tf.Tensor) -> tf.Tensor:
    _, inputs, units = kernels.shape
    norms = tf.norm(kernels, axis=1, keepdims=True)
    # Units with all weights 0 count as parallel to each other.
    unit = tf.where(norms > 0, kernels / tf.where(norms > 0, norms, 1.0), 1 / math.sqrt(inputs))
    cosines = tf.abs(tf.matmul(unit, unit, transpose_a=True)) * (1 - tf.eye(units))
    return tf.reduce_max(cosines, axis=1)


def _correlation(values: tf.Tensor) -> tf.Tensor:
    """Return the mean cosine between each input of the first half of the batch and one of the second half."""
    values = tf.reshape(values, [*values.shape[:2], -1])
    values, half = values / _largest(values, [2]), values.shape[1] // 2
    one, other = values[:, :half], values[:, half : 2 * half]
    products = tf.reduce_sum(one * other, axis=2)
    return tf.reduce_mean(products / (tf.norm(one, axis=2) * tf.norm(other, axis=2)), axis=1)
