"""Schemes: initializers of a whole network, which draw a kernel by its place in the graph.

Each scheme says how a kernel is drawn, as a plain initializer and a factor, and what a network lacks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from initlab_tui.domain.layers.graph import Kind, LayerGraph, Node, Role


class Draw(NamedTuple):
    """How a kernel is drawn: a plain initializer as text, and the factor on what it draws."""

    initializer: str
    factor: float = 1.0


@dataclass(frozen=True)
class Scheme:
    """How the kernels of a network are drawn, and what a network lacks for it (an empty string: nothing)."""

    draw: Callable[[LayerGraph, Node], Draw]
    missing: Callable[[LayerGraph], str] = lambda _: ""


def _fixup(graph: LayerGraph, node: Node) -> Draw:
    if node.role in (Role.BRANCH_END, Role.OUTPUT):
        return Draw("zeros")
    if not node.branch:
        return Draw("he_normal")
    depth = sum(other.branch == node.branch for other in graph.layers)
    return Draw("he_normal", graph.branches ** (-1 / (2 * depth - 2)))


def _fixup_missing(graph: LayerGraph) -> str:
    kinds = {node.kind for node in graph.nodes}
    lacks = [
        *(["residual branches of at least two layers"] if _shortest_branch(graph) < 2 else []),
        *(["norm=none"] if Kind.NORM in kinds else []),
        *([] if Kind.MULTIPLIER in kinds else ["branch_scale=1"]),
        *([] if Kind.SCALAR_BIAS in kinds else ["scalar_biases=yes"]),
    ]
    return ", ".join(lacks)


def _shortest_branch(graph: LayerGraph) -> int:
    branches = [node.branch for node in graph.layers if node.branch]
    return min(map(branches.count, branches), default=0)


def _zero_multiplier_missing(graph: LayerGraph) -> str:
    if not graph.branches:
        return "residual branches"
    factors = [node.options["value"] for node in graph.nodes if node.kind is Kind.MULTIPLIER]
    return "" if factors and not any(factors) else "branch_scale=0"


def _gpt2(graph: LayerGraph, node: Node) -> Draw:
    return Draw("random_normal:stddev=0.02", 1 / math.sqrt(graph.branches) if node.role is Role.BRANCH_END else 1.0)


SCHEMES = {
    "fixup": Scheme(_fixup, _fixup_missing),
    "rezero": Scheme(lambda *_: Draw("glorot_uniform"), _zero_multiplier_missing),
    "skipinit": Scheme(lambda *_: Draw("he_normal"), _zero_multiplier_missing),
    "gpt2": Scheme(_gpt2, lambda graph: "" if graph.branches else "residual branches"),
}
