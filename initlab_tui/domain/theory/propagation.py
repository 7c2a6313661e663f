"""Mean-field theory composed over the graph of any network: one rule for each kind of node, forward and backward.

Forward, a node turns the mean square of its input into that of its output; backward, it turns the mean square of the
gradient at its output into that at its inputs. Weights are independent and centred, layers wide, and positions of an
image alike but for the zeros around it, which a convolution counts (`taps`). Where a rule needs what theory does not
have, such as the distribution of a sum of activations, the signal from there on is unknown, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from initlab_tui.domain.layers.graph import Kind, LayerGraph, Node
from initlab_tui.domain.theory.gaussian_moments import log_expectations


class Signal(NamedTuple):
    """The output of a node: ln of its mean square, its mean relative to its root mean square, and its distribution.

    `is_gaussian` says whether it is a sum of many independent terms with mean 0.
    """

    log_square: float
    mean_ratio: float = 0.0
    is_gaussian: bool = False


class Unknown(NamedTuple):
    """The reason why the output of a node is not predicted."""

    reason: str


class Propagation(NamedTuple):
    """The output of every node, and ln of the mean square of the gradient at it, relative to that at the logits.

    A gradient is missing where a slope on its way is not known.
    """

    signals: Mapping[str, Signal | Unknown]
    gradients: Mapping[str, float]


def propagate(graph: LayerGraph, log_variances: Mapping[str, float], log_input: float) -> Propagation:
    """Propagate signals and gradients through a network.

    `log_variances` has ln Var(W) of each kernel by the name of its node, and `log_input` is ln E[x²] of the input.
    """
    signals: dict[str, Signal | Unknown] = {graph.nodes[0].name: Signal(log_input)}
    for node in graph.nodes[1:]:
        signals[node.name] = _forward(graph, node, [signals[name] for name in node.inputs], log_variances)
    return Propagation(signals, _backward(graph, signals, log_variances))


def _forward(
    graph: LayerGraph, node: Node, inputs: Sequence[Signal | Unknown], log_variances: Mapping[str, float]
) -> Signal | Unknown:
    unknown = next((each for each in inputs if isinstance(each, Unknown)), None)
    if unknown:
        return unknown
    known = [each for each in inputs if isinstance(each, Signal)]
    signal = known[0]
    match node.kind:
        case Kind.FLATTEN | Kind.IMAGE | Kind.TOKENS | Kind.SCALAR_BIAS:
            return signal
        case Kind.DENSE | Kind.CONV:
            reached = math.log(node.fan_in * math.prod(taps(graph, node)))
            return Signal(signal.log_square + reached + log_variances[node.name], is_gaussian=True)
        case Kind.EMBEDDING:
            square = _log_sum((signal.log_square, log_variances[node.name]))
            return Signal(square, is_gaussian=signal.is_gaussian)
        case Kind.NORM:
            return _normalized(node, signal)
        case Kind.ACTIVATION:
            return _activated(node, signal)
        case Kind.MULTIPLIER:
            return signal._replace(log_square=signal.log_square + _log_square(node.options["value"]))
        case Kind.SHORTCUT:
            kept = (node.units - node.options["added"]) / node.units
            return signal._replace(log_square=signal.log_square + math.log(kept))
        case Kind.ADD:
            return _added(known)
    return Unknown(f"there is no theory of {node.kind} ({node.name})")


def _normalized(node: Node, signal: Signal) -> Signal | Unknown:
    if node.options["norm"] == "rms":
        return signal._replace(log_square=0.0)
    return Signal(0.0, is_gaussian=signal.is_gaussian)


def _activated(node: Node, signal: Signal) -> Signal | Unknown:
    if not signal.is_gaussian:
        return Unknown(f"the input of {node.name} is not Gaussian, as theory needs")
    moments = log_expectations(node.options["activation"])
    square = moments.mean_square(signal.log_square)
    # mean² = mean square - variance, but the difference of two nearly equal numbers is inaccurate; shift is not.
    deviation = moments.variance(signal.log_square) / 2
    shift = moments.shift(signal.log_square)
    ratio = moments.at_zero * _power(-square / 2) + shift * _power(deviation - square / 2)
    return Signal(square, max(-1.0, min(1.0, ratio)))


def _added(signals: Sequence[Signal]) -> Signal:
    one, other = signals
    both = (one.log_square + other.log_square) / 2
    squares = _log_sum((one.log_square, other.log_square))
    shared = 2 * one.mean_ratio * other.mean_ratio * _power(both - squares) if squares > -math.inf else 0.0
    log_square = squares + math.log1p(shared) if shared > -1 else -math.inf
    means = [each.mean_ratio * _power((each.log_square - log_square) / 2) for each in signals]
    return Signal(log_square, sum(means), one.is_gaussian and other.is_gaussian)


def _backward(
    graph: LayerGraph, signals: Mapping[str, Signal | Unknown], log_variances: Mapping[str, float]
) -> dict[str, float]:
    arriving: dict[str, list[float | None]] = {node.name: [] for node in graph.nodes}
    arriving[graph.nodes[-1].name] = [0.0]
    gradients: dict[str, float] = {}
    for node in reversed(graph.nodes):
        parts = [part for part in arriving[node.name] if part is not None]
        if len(parts) < len(arriving[node.name]):
            for name in node.inputs:
                arriving[name].append(None)
            continue
        gradients[node.name] = _log_sum(parts)
        for name in node.inputs:
            factor = _backward_factor(graph, node, signals[name], log_variances)
            arriving[name].append(None if factor is None else gradients[node.name] + factor)
    return gradients


def _backward_factor(
    graph: LayerGraph, node: Node, arriving: Signal | Unknown, log_variances: Mapping[str, float]
) -> float | None:
    """Return ln of the factor on the mean square of the gradient from the output of a node to its input."""
    shape = graph[node.inputs[0]].shape
    match node.kind:
        case Kind.DENSE | Kind.CONV:
            positions = math.prod(node.shape[:-1]) / math.prod(shape[:-1])
            reached = node.fan_out * positions * math.prod(taps(graph, node))
            return math.log(reached) + log_variances[node.name]
        case Kind.AVERAGE:
            return -2 * math.log(math.prod(shape[:-1]))
        case Kind.MULTIPLIER:
            return _log_square(node.options["value"])
        case Kind.NORM:
            return -arriving.log_square if isinstance(arriving, Signal) else None
        case Kind.ACTIVATION:
            if isinstance(arriving, Signal) and arriving.is_gaussian:
                return log_expectations(node.options["activation"]).slope_square(arriving.log_square)
            return None
        case Kind.ATTENTION | Kind.OTHER:
            return None
        case Kind.MAX_POOL:
            return -math.log(4)  # one of four positions gets the gradient of each output
        case Kind.SHORTCUT:
            return math.log(math.prod(node.shape[:-1]) / math.prod(shape[:-1]))
        case _:
            return 0.0


def taps(graph: LayerGraph, node: Node) -> tuple[float, ...]:
    """Return for each side of a convolution the mean share of its kernel that lies inside the image; () for others."""
    if node.kind is not Kind.CONV:
        return ()
    size, stride, padded = node.options["size"], node.options["stride"], node.options["padding"] == "same"
    sides = graph[node.inputs[0]].shape[:2]
    return tuple(_taps(side, across, size, stride, padded) for side, across in zip(sides, node.shape[:2], strict=True))


def _taps(side: int, across: int, size: int, stride: int, padded: bool) -> float:
    before = max((across - 1) * stride + size - side, 0) // 2 if padded else 0
    inside = sum(0 <= position * stride - before + tap < side for position in range(across) for tap in range(size))
    return inside / (across * size)


def _log_square(value: float) -> float:
    return 2 * math.log(abs(value)) if value else -math.inf


def _log_sum(logs: Iterable[float]) -> float:
    """Return ln of the sum of numbers given by their logarithms."""
    logs = list(logs)
    largest = max(logs, default=-math.inf)
    if not math.isfinite(largest):
        return largest
    return largest + math.log(sum(math.exp(log - largest) for log in logs))


def _power(log: float) -> float:
    return math.exp(min(log, 700.0)) if log > -math.inf else 0.0
