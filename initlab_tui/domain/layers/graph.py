"""The graph of a network's layers as pure data: what theory, measurement, estimates and initialization work on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any


class Kind(StrEnum):
    """What a node of the graph computes."""

    INPUT = "input"
    DENSE = "dense"  # x·W + b over the last axis
    CONV = "conv"
    DEPTHWISE = "depthwise"  # one kernel for each channel
    EMBEDDING = "embedding"  # adds a learned vector at each position
    NORM = "norm"
    ACTIVATION = "activation"
    MULTIPLIER = "multiplier"  # one learned factor
    SCALAR_BIAS = "scalar bias"  # one learned number that is added
    ADD = "add"
    MAX_POOL = "max pool"
    AVERAGE = "average"  # over all positions
    SHORTCUT = "shortcut"  # every second position, and channels of 0: no weights
    FLATTEN = "flatten"
    IMAGE = "image"  # adds an axis for the channel of a gray image
    TOKENS = "tokens"  # positions of an image as a sequence
    ATTENTION = "attention"  # softmax(q·kᵀ/√d)·v, without the projections
    OTHER = "other"


class Role(StrEnum):
    """Where a kernel stands, which some initialization schemes depend on."""

    INPUT = "input"  # reads the network's input
    HIDDEN = "hidden"
    BRANCH_START = "branch start"  # the first kernel of a residual branch
    BRANCH_END = "branch end"  # the last kernel of a residual branch
    OUTPUT = "output"  # computes the logits


@dataclass(frozen=True)
class Node:
    """A node of a network: what it computes from its inputs.

    `shape` is that of its output without the batch. Nodes with a kernel have `fan_in`, the inputs that a unit sums
    over, and `fan_out`, the units that an input reaches; `activation` is that of the next activation node,
    `linear` if there is none before another kernel. `activated` is the name of that node; without one it is that of the
    sum that a residual branch ends in, or its own. `branch` counts
    the residual branches from 1; 0 is outside of them.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    kernel_shape: tuple[int, ...] = ()
    fan_in: int = 0
    fan_out: int = 0
    bias: bool = False
    activation: str = "linear"
    activated: str = ""
    role: Role | None = None
    branch: int = 0

    @property
    def has_kernel(self) -> bool:
        return bool(self.kernel_shape)

    @property
    def units(self) -> int:
        """The channels of its output, which the statistics of layers keep apart."""
        return self.shape[-1]

    @property
    def weights(self) -> int:
        """The trainable numbers of the node."""
        channels = self.units
        match self.kind:
            case Kind.NORM:
                return channels * (1 if self.options.get("norm") == "rms" else 2)
            case Kind.MULTIPLIER | Kind.SCALAR_BIAS:
                return 1
            case _:
                return math.prod(self.kernel_shape) * self.has_kernel + channels * self.bias

    @property
    def multiplications(self) -> int:
        """The multiplications with weights for one image."""
        if self.kind is Kind.EMBEDDING or not self.has_kernel:
            return 0
        return math.prod(self.shape) * self.fan_in


@dataclass(frozen=True)
class LayerGraph:
    """The nodes of a network in the order in which they are computed: the first is the input, the last the logits."""

    nodes: tuple[Node, ...]

    @cached_property
    def _by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    @cached_property
    def kernels(self) -> tuple[Node, ...]:
        """The nodes with a kernel, from the input to the logits."""
        return tuple(node for node in self.nodes if node.has_kernel)

    @cached_property
    def layers(self) -> tuple[Node, ...]:
        """The nodes that multiply by a kernel, from the input to the logits: dense layers and convolutions."""
        return tuple(node for node in self.kernels if node.kind is not Kind.EMBEDDING)

    @property
    def branches(self) -> int:
        """The number of residual branches."""
        return max((node.branch for node in self.nodes), default=0)

    @property
    def weights(self) -> int:
        """The trainable numbers of the network."""
        return sum(node.weights for node in self.nodes)

    @property
    def multiplications(self) -> int:
        """The multiplications with weights for one image."""
        return sum(node.multiplications for node in self.nodes)

    @property
    def outputs(self) -> int:
        """The numbers that all nodes output for one image."""
        return sum(math.prod(node.shape) for node in self.nodes)

    @cached_property
    def is_dense(self) -> bool:
        """Whether all kernels are those of dense layers on flat vectors."""
        return all(node.kind not in (Kind.CONV, Kind.DEPTHWISE, Kind.ATTENTION) for node in self.nodes)

    @cached_property
    def is_chain(self) -> bool:
        """Whether the network is a plain chain of dense layers, each followed by the same activation."""
        plain = (Kind.INPUT, Kind.FLATTEN, Kind.DENSE, Kind.ACTIVATION)
        return all(node.kind in plain and len(node.inputs) <= 1 for node in self.nodes)


def connected(nodes: Iterable[Node]) -> LayerGraph:
    """Return the graph of `nodes`, with the activation and the role of each kernel found from the connections."""
    nodes = tuple(nodes)
    following: dict[str, list[Node]] = {node.name: [] for node in nodes}
    for node in nodes:
        for name in node.inputs:
            following[name].append(node)
    by_name = {node.name: node for node in nodes}
    output = next((node.name for node in reversed(nodes) if node.has_kernel), "")
    return LayerGraph(tuple(_placed(node, by_name, following, output) for node in nodes))


def _placed(node: Node, by_name: Mapping[str, Node], following: Mapping[str, list[Node]], output: str) -> Node:
    if not node.has_kernel:
        return node
    chain = list(_chain_after(node, following))
    after = next((each for each in chain if each.kind is Kind.ACTIVATION), None)
    activation = after.options["activation"] if after else "linear"
    total = next((each.name for each in chain if each.kind is Kind.ADD), node.name)
    activated = after.name if after else total
    return replace(node, activation=activation, activated=activated, role=_role(node, by_name, following, output))


_PASSED = (Kind.NORM, Kind.SCALAR_BIAS, Kind.MULTIPLIER, Kind.EMBEDDING, Kind.TOKENS, Kind.MAX_POOL)


def _chain_after(node: Node, following: Mapping[str, list[Node]]) -> Iterator[Node]:
    """Yield the nodes that alone use the output of the node before, up to the first that does more than pass it on."""
    while len(following[node.name]) == 1:
        (node,) = following[node.name]
        yield node
        if node.kind not in _PASSED and node.kind is not Kind.ADD:
            return


def _role(node: Node, by_name: Mapping[str, Node], following: Mapping[str, list[Node]], output: str) -> Role:
    if node.name == output:
        return Role.OUTPUT
    if not node.branch:
        return Role.HIDDEN if _kernels_before(node, by_name) else Role.INPUT
    if not any(after.has_kernel for after in _inside_branch(node, following)):
        return Role.BRANCH_END
    before = _kernels_before(node, by_name)
    return Role.HIDDEN if any(each.branch == node.branch for each in before) else Role.BRANCH_START


def _kernels_before(node: Node, by_name: Mapping[str, Node]) -> list[Node]:
    """Return the nearest nodes with a kernel among the ancestors."""
    found, queue, seen = [], list(node.inputs), set[str]()
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        if by_name[name].has_kernel and by_name[name].kind is not Kind.EMBEDDING:
            found.append(by_name[name])
        else:
            queue.extend(by_name[name].inputs)
    return found


def _inside_branch(node: Node, following: Mapping[str, list[Node]]) -> Iterator[Node]:
    """Yield the nodes after `node` that belong to its residual branch."""
    queue, seen = list(following[node.name]), set[str]()
    while queue:
        after = queue.pop()
        if after.name not in seen and after.branch == node.branch:
            seen.add(after.name)
            yield after
            queue.extend(following[after.name])
