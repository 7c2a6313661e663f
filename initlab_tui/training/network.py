"""Builds the network of a spec and initializes its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from initlab_tui.domain.initialization import KernelDraw, kernel_draws
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import Kind, LayerGraph, Node
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import data_dependent
from initlab_tui.training.initializers import layer_seed, make_sampler
from initlab_tui.training.network_layers import make_layer

MOMENTUM = 0.9
# Keras computes the fans of a kernel from its shape; these it gets wrong, so they are drawn in parts.
_DRAWN_IN_PARTS = frozenset({Kind.EMBEDDING, Kind.DEPTHWISE})


@dataclass(frozen=True, eq=False)
class BuiltNetwork:
    """The Keras model of a network, its graph, and the layer of each node by name.

    `fresh` has the values of all variables but the kernels as they are before training: biases 0, the scales of
    normalizations 1, and so on.
    """

    model: keras.Model
    graph: LayerGraph
    layers: Mapping[str, keras.layers.Layer]
    fresh: tuple[tuple[Any, npt.NDArray[Any]], ...]

    @property
    def kernels(self) -> list[Any]:
        """The variables of the kernels, in the order of the graph."""
        return [self.layers[node.name].kernel for node in self.graph.kernels]

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether the output for an image depends on the other images of its batch."""
        return any(node.options.get("norm") == "batch" for node in self.graph.nodes)

    def outputs(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the output of every node for images of shape (images, *shape), as in a training step.

        Running averages and random states, which a training step changes, are left as they are.
        """
        state = [(variable, tf.identity(variable.value)) for variable in self.model.non_trainable_variables]
        outputs = {self.graph.nodes[0].name: images}
        for node in self.graph.nodes[1:]:
            outputs[node.name] = self._call(node, outputs, training=True)
        for variable, value in state:
            variable.assign(value)
        return outputs

    def reset(self) -> None:
        """Set all variables but the kernels to their values before training."""
        for variable, value in self.fresh:
            variable.assign(value)

    def _call(self, node: Node, outputs: Mapping[str, Any], *, training: bool) -> Any:
        return call(self.layers[node.name], node, outputs, training=training)


def call(layer: keras.layers.Layer, node: Node, outputs: Mapping[str, Any], **options: Any) -> Any:
    """Apply the layer of a node to the outputs of its inputs."""
    inputs = [outputs[name] for name in node.inputs]
    return layer(inputs[0] if len(inputs) == 1 else inputs, **options)


def build(spec: RunSpec, shape: Sequence[int], classes: int) -> BuiltNetwork:
    """Build the network of `spec`, from float32 images of `shape` to logits of shape (batch, classes).

    Raises:
        InvalidInputError: if the network does not fit the data.
    """
    graph = spec.graph(shape, classes)
    first, *others = graph.nodes
    layers = {node.name: make_layer(node) for node in others}
    outputs = {first.name: keras.Input(first.shape)}
    for node in others:
        outputs[node.name] = call(layers[node.name], node, outputs)
    model = keras.Model(outputs[first.name], outputs[graph.nodes[-1].name])
    kernels = {id(layers[node.name].kernel) for node in graph.kernels}
    fresh = tuple((each, each.numpy()) for each in model.variables if id(each) not in kernels)
    return BuiltNetwork(model, graph, layers, fresh)


def build_optimizer(name: str) -> keras.optimizers.Optimizer:
    """Build an optimizer with Keras's defaults; `momentum` and `nesterov` are SGD with momentum 0.9."""
    match name:
        case "momentum" | "nesterov":
            return keras.optimizers.SGD(momentum=MOMENTUM, nesterov=name == "nesterov")
        case _:
            return keras.optimizers.get(name)


def initialize(
    network: BuiltNetwork, initializer: Initializer, seed: int, images: tf.Tensor | None = None
) -> dict[str, Any]:
    """Draw every kernel, each with its own seed, and set all other variables to their values before training.

    A data-dependent initializer is then fitted to `images`, float32 of shape (images, *shape). Returns what it did;
    an empty dict for the others.

    Raises:
        ValueError: if a custom initializer fails, or a data-dependent one gets no images.
    """
    network.reset()
    draws = kernel_draws(initializer, network.graph)
    for number, (draw, kernel) in enumerate(zip(draws, network.kernels, strict=True)):
        kernel.assign(_drawn(draw, seed, number))
    return data_dependent.fit(network, initializer, images)


def _drawn(draw: KernelDraw, seed: int, number: int) -> Any:
    node, initializer = draw.node, draw.initializer
    if draw.factor != 1.0:
        return draw.factor * _drawn(replace(draw, factor=1.0), seed, number)
    if node.kind not in _DRAWN_IN_PARTS:
        return make_sampler(initializer, layer_seed(seed, number))(node.kernel_shape)
    parts, *rest = _parts(node)
    drawn = [
        np.asarray(make_sampler(initializer, layer_seed(seed, number, part))(tuple(rest))) for part in range(parts)
    ]
    return _joined(node, drawn)


def _parts(node: Node) -> tuple[int, ...]:
    """Return the number of kernels that a kernel consists of, and the shape of each as Keras understands it."""
    if node.kind is Kind.EMBEDDING:  # the vector of each position has one input that is always 1
        positions, width = node.kernel_shape
        return positions, 1, width
    height, width, channels, multiplier = node.kernel_shape
    return channels, height, width, 1, multiplier


def _joined(node: Node, drawn: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(drawn, axis=0 if node.kind is Kind.EMBEDDING else 2)


def kernels(network: BuiltNetwork) -> list[bool]:
    """Return for each trainable variable whether it is the kernel of a dense layer or a convolution."""
    found = {
        id(kernel)
        for node, kernel in zip(network.graph.kernels, network.kernels, strict=True)
        if node.kind is not Kind.EMBEDDING
    }
    return [id(variable) in found for variable in network.model.trainable_variables]


def weights(network: BuiltNetwork) -> int:
    """Return the number of trainable weights and biases."""
    return sum(math.prod(variable.shape) for variable in network.model.trainable_variables)


def architecture(spec: RunSpec, shape: Sequence[int], classes: int) -> tuple[Any, ...]:
    """Return everything that the compiled functions depend on; runs for which it is equal share a trainer."""
    return (
        *(tuple(shape), classes, str(spec.network), spec.hidden, spec.activation),
        *(spec.optimizer, spec.batch_size, spec.l2, spec.execution),
    )
