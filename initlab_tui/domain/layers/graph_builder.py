"""Builds the graph of a network node by node, with the shapes that follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from initlab_tui.domain.layers.graph import Kind, LayerGraph, Node, connected


class GraphBuilder:
    """Adds nodes to a graph; each method returns the name of the new node, from which the next one continues.

    Nodes without a name of their own are numbered by what they do. Nodes between `start_branch` and `add` belong to a
    residual branch.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._branches = self._branch = 0
        self._nodes: dict[str, Node] = {}
        self._counts: dict[str, int] = {}
        self.input = self._add(Kind.INPUT, (), tuple(shape), name="input")

    def graph(self) -> LayerGraph:
        """Return the graph; its last node are the logits."""
        return connected(self._nodes.values())

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a node's output, without the batch."""
        return self._nodes[name].shape

    def image(self, source: str) -> str:
        """Make sure that an image has a last axis for its channels.

        Raises:
            ValueError: if it is not an image.
        """
        shape = self.shape(source)
        if len(shape) == 2:
            return self._add(Kind.IMAGE, (source,), (*shape, 1))
        if len(shape) != 3:
            raise ValueError("it needs images of height x width or height x width x channels")
        return source

    def flatten(self, source: str) -> str:
        """Make a vector of all numbers of an image."""
        return self._add(Kind.FLATTEN, (source,), (math.prod(self.shape(source)),))

    def dense(self, source: str, units: int, *, name: str = "", bias: bool = True) -> str:
        """Apply a dense layer to the last axis."""
        *positions, inputs = self.shape(source)
        kernel: dict[str, Any] = {"kernel_shape": (inputs, units), "fan_in": inputs, "fan_out": units}
        return self._add(Kind.DENSE, (source,), (*positions, units), name=name, bias=bias, **kernel)

    def conv(
        self, source: str, filters: int, size: int, *, stride: int = 1, padding: str = "same", bias: bool = True
    ) -> str:
        """Apply a square convolution.

        Raises:
            ValueError: if the kernel is larger than the image and there is no padding.
        """
        height, width, channels = self.shape(source)
        if padding == "same":
            across = [-(-side // stride) for side in (height, width)]
        else:
            across = [(side - size) // stride + 1 for side in (height, width)]
        if min(across) < 1:
            raise ValueError(f"a {size}x{size} kernel does not fit into an image of {height}x{width}")
        return self._add(
            Kind.CONV,
            (source,),
            (*across, filters),
            options={"size": size, "stride": stride, "padding": padding},
            kernel_shape=(size, size, channels, filters),
            fan_in=size * size * channels,
            fan_out=size * size * filters,
            bias=bias,
        )

    def max_pool(self, source: str) -> str:
        """Keep the largest of each 2x2 positions.

        Raises:
            ValueError: if there are fewer than 2x2.
        """
        height, width, channels = self.shape(source)
        if min(height, width) < 2:
            raise ValueError(f"a pooling of 2x2 does not fit into {height}x{width} positions")
        return self._add(Kind.MAX_POOL, (source,), (height // 2, width // 2, channels))

    def average(self, source: str) -> str:
        """Average over all positions."""
        return self._add(Kind.AVERAGE, (source,), (self.shape(source)[-1],))

    def norm(self, source: str, norm: str) -> str:
        """Normalize; `none` adds nothing."""
        if norm == "none":
            return source
        return self._add(Kind.NORM, (source,), self.shape(source), options={"norm": norm})

    def activation(self, source: str, activation: str) -> str:
        """Apply an activation; `linear` adds nothing."""
        if activation == "linear":
            return source
        return self._add(Kind.ACTIVATION, (source,), self.shape(source), options={"activation": activation})

    def multiplier(self, source: str, value: str) -> str:
        """Multiply by one learned factor that is `value` at first; `none` adds nothing."""
        if value == "none":
            return source
        return self._add(Kind.MULTIPLIER, (source,), self.shape(source), options={"value": float(value)})

    def scalar_bias(self, source: str) -> str:
        """Add one learned number that is 0 at first."""
        return self._add(Kind.SCALAR_BIAS, (source,), self.shape(source))

    def start_branch(self) -> None:
        """Begin a residual branch, which ends with `add`."""
        self._branches += 1
        self._branch = self._branches

    def add(self, skip: str, branch: str) -> str:
        """End a residual branch: add its output to what skipped it."""
        self._branch = 0
        return self._add(Kind.ADD, (skip, branch), self.shape(branch))

    def shortcut(self, source: str, filters: int, stride: int) -> str:
        """Make an image fit for a sum with one of `filters` channels without weights: skip positions, add zeros."""
        height, width, channels = self.shape(source)
        if (channels, stride) == (filters, 1):
            return source
        shape = (-(-height // stride), -(-width // stride), filters)
        return self._add(Kind.SHORTCUT, (source,), shape, options={"stride": stride, "added": filters - channels})

    def tokens(self, source: str) -> str:
        """Make a sequence of the positions of an image."""
        height, width, channels = self.shape(source)
        return self._add(Kind.TOKENS, (source,), (height * width, channels))

    def position_embedding(self, source: str) -> str:
        """Add a learned vector to each token, which depends on its position."""
        positions, width = self.shape(source)
        kernel: dict[str, Any] = {"kernel_shape": (positions, width), "fan_in": 1, "fan_out": width}
        return self._add(Kind.EMBEDDING, (source,), (positions, width), name="position_embedding", **kernel)

    def attention(self, projected: Sequence[str], heads: int) -> str:
        """Average values by queries and keys, for each head alone; `projected` are queries, keys and values."""
        return self._add(Kind.ATTENTION, tuple(projected), self.shape(projected[-1]), options={"heads": heads})

    def _add(
        self,
        kind: Kind,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        *,
        name: str = "",
        options: dict[str, Any] | None = None,
        **kernel: Any,
    ) -> str:
        if not name:
            prefix = kind.value.replace(" ", "_")
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            name = f"{prefix}_{self._counts[prefix]}"
        self._nodes[name] = Node(
            name, kind, inputs, shape, MappingProxyType(options or {}), branch=self._branch, **kernel
        )
        return name
