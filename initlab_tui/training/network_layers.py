"""The Keras layer for each kind of node in the graph of a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from initlab_tui.domain.layers.graph import Kind, Node

GROUPS = 8  # of a group normalization, or fewer if the channels cannot be divided by it


class Multiplier(keras.layers.Layer):  # type: ignore[misc]
    """Multiplies by one learned factor."""

    def __init__(self, value: float, **options: Any) -> None:
        super().__init__(**options)
        self.value = value

    def build(self, shape: Sequence[int | None]) -> None:  # noqa: ARG002
        self.factor = self.add_weight(shape=(), initializer=keras.initializers.Constant(self.value), name="factor")

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


class ScalarBias(keras.layers.Layer):  # type: ignore[misc]
    """Adds one learned number."""

    def build(self, shape: Sequence[int | None]) -> None:  # noqa: ARG002
        self.shift = self.add_weight(shape=(), initializer="zeros", name="shift")

    def call(self, inputs: Any) -> Any:
        return inputs + self.shift


class PositionEmbedding(keras.layers.Layer):  # type: ignore[misc]
    """Adds a learned vector to each token, which depends on its position."""

    def build(self, shape: Sequence[int | None]) -> None:
        self.kernel = self.add_weight(shape=tuple(shape[1:]), initializer="zeros", name="kernel")

    def call(self, inputs: Any) -> Any:
        return inputs + self.kernel


class Shortcut(keras.layers.Layer):  # type: ignore[misc]
    """Skips positions and adds channels of 0: the shortcut without weights of He et al. 2016, option A."""

    def __init__(self, stride: int, added: int, **options: Any) -> None:
        super().__init__(**options)
        self.stride, self.added = stride, added

    def call(self, inputs: Any) -> Any:
        skipped = inputs[:, :: self.stride, :: self.stride, :]
        return keras.ops.pad(skipped, [[0, 0], [0, 0], [0, 0], [0, self.added]])


class AverageOfPositions(keras.layers.Layer):  # type: ignore[misc]
    """Averages over all positions of an image or a sequence."""

    def call(self, inputs: Any) -> Any:
        return keras.ops.mean(inputs, axis=tuple(range(1, len(inputs.shape) - 1)))


class DotProductAttention(keras.layers.Layer):  # type: ignore[misc]
    """Averages values with the weights softmax(q·kᵀ/√d), for each head (Vaswani et al. 2017, NeurIPS, eq. 1)."""

    def __init__(self, heads: int, **options: Any) -> None:
        super().__init__(**options)
        self.heads = heads

    def call(self, inputs: Sequence[Any]) -> Any:
        queries, keys, values = map(self._split, inputs)
        rows = self.rows(queries, keys)
        mixed = keras.ops.einsum("bhqk,bkhd->bqhd", rows, values)
        return keras.ops.reshape(mixed, (-1, mixed.shape[1], self.heads * mixed.shape[3]))

    def rows(self, queries: Any, keys: Any) -> Any:
        """Return the weights of each token's average: (images, heads, tokens, tokens)."""
        scores = keras.ops.einsum("bqhd,bkhd->bhqk", queries, keys) / math.sqrt(queries.shape[3])
        return keras.ops.softmax(scores, axis=-1)

    def _split(self, tokens: Any) -> Any:
        return keras.ops.reshape(tokens, (-1, tokens.shape[1], self.heads, tokens.shape[2] // self.heads))

    def compute_output_shape(self, shapes: Sequence[Any]) -> Any:
        return tuple(shapes[2])


def make_layer(node: Node) -> keras.layers.Layer:
    """Make the layer of a node, which is called with the outputs of its inputs."""
    options, name = node.options, node.name
    match node.kind:
        case Kind.FLATTEN:
            return keras.layers.Flatten(name=name)
        case Kind.IMAGE | Kind.TOKENS:
            return keras.layers.Reshape(node.shape, name=name)
        case Kind.DENSE:
            return keras.layers.Dense(node.units, use_bias=node.bias, name=name)
        case Kind.CONV:
            return keras.layers.Conv2D(
                node.units,
                options["size"],
                strides=options["stride"],
                padding=options["padding"],
                use_bias=node.bias,
                name=name,
            )
        case Kind.NORM:
            return _norm(node)
        case Kind.ACTIVATION:
            return keras.layers.Activation(options["activation"], name=name)
        case Kind.MAX_POOL:
            return keras.layers.MaxPooling2D(name=name)
        case Kind.AVERAGE:
            return AverageOfPositions(name=name)
        case Kind.ADD:
            return keras.layers.Add(name=name)
        case Kind.MULTIPLIER:
            return Multiplier(options["value"], name=name)
        case Kind.SCALAR_BIAS:
            return ScalarBias(name=name)
        case Kind.EMBEDDING:
            return PositionEmbedding(name=name)
        case Kind.SHORTCUT:
            return Shortcut(options["stride"], options["added"], name=name)
        case Kind.ATTENTION:
            return DotProductAttention(options["heads"], name=name)
    raise ValueError(f"there is no layer for {node.kind}")


def _norm(node: Node) -> keras.layers.Layer:
    match node.options["norm"]:
        case "batch":
            return keras.layers.BatchNormalization(name=node.name)
        case "layer":
            return keras.layers.LayerNormalization(name=node.name)
        case "rms":
            return keras.layers.RMSNormalization(name=node.name)
        case "group":
            return keras.layers.GroupNormalization(math.gcd(GROUPS, node.units), name=node.name)
    raise ValueError(f"there is no normalization {node.options['norm']!r}")
