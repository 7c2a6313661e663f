"""How each kernel and each bias of a network is drawn by an initializer."""

from __future__ import annotations

from dataclasses import dataclass

from initlab_tui.domain.catalog.entry import Moments
from initlab_tui.domain.catalog.schemes import SCHEMES
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import LayerGraph, Node, Role

_ROLES = {Role.OUTPUT: "output", Role.BRANCH_END: "branch"}


@dataclass(frozen=True)
class KernelDraw:
    """How the kernel of a node is drawn: by a plain initializer, times a factor."""

    node: Node
    initializer: Initializer
    factor: float = 1.0

    def moments(self) -> Moments | None:
        """Return the mean and variance of a weight; None if there is no formula."""
        drawn = self.initializer.moments(self.node.fan_in, self.node.fan_out)
        return drawn and Moments(drawn.mean * self.factor, drawn.variance * self.factor**2)


def kernel_draws(initializer: Initializer, graph: LayerGraph) -> tuple[KernelDraw, ...]:
    """Return how each kernel of a network is drawn, in the order of the graph."""
    return tuple(_draw(initializer, graph, node) for node in graph.kernels)


def check_scheme(initializer: Initializer, graph: LayerGraph) -> None:
    """Check that a network has what a scheme is made for.

    Raises:
        InvalidInputError: saying what is missing.
    """
    scheme = SCHEMES.get(initializer.name)
    missing = scheme.missing(graph) if scheme else ""
    if missing:
        raise InvalidInputError.of("initializer", f"{initializer} is made for a network with {missing}")


def _draw(initializer: Initializer, graph: LayerGraph, node: Node) -> KernelDraw:
    chosen = initializer.of_role(_ROLES.get(node.role, "")) if node.role else None
    if chosen:
        return KernelDraw(node, chosen)
    scheme = SCHEMES.get(initializer.name)
    if scheme is None:
        return KernelDraw(node, initializer.alone)
    plain, factor = scheme.draw(graph, node)
    return KernelDraw(node, Initializer.parse(plain), factor)
