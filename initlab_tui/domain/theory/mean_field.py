"""Mean-field theory of a dense network before training: the size of signals and gradients in each layer.

In a wide layer with independent, centred weights, a pre-activation is a sum of many terms and therefore Gaussian:
√q z with z ~ N(0, 1). Its mean square q determines the signal in the next layer, the gradient that comes back, and
whether two nearly equal inputs diverge. σw² = fan_in · Var(W) throughout; σb² is the variance of the biases, which is 0
in the networks of this program.

    q' = σw² E[φ(√q z)²] + σb²                       Poole et al. 2016, NeurIPS: the length map
    χ1 = σw² E[φ'(√q z)²]                            ibid.: the slope of the correlation map at correlation 1
    E[δ_l²] = fan_out Var(W) E[φ'²] E[δ_(l+1)²]      Schoenholz et al. 2017, ICLR; δ = ∂L/∂(pre-activation)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from operator import add
from typing import NamedTuple

from initlab_tui.domain.initialization import KernelDraw, kernel_draws
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.theory.composition import LayerPrediction, Prediction, composed
from initlab_tui.domain.theory.gaussian_moments import (
    LOG_Q,
    NEGATIVE_SLOPES,
    Curve,
    LogMoments,
    expectations,
    log_expectations,
    product,
)

_STRIDE = 0.5  # of the search for a zero, in ln q; two zeros closer together may be missed


def predict(initializer: Initializer, graph: LayerGraph, input_mean_square: float = 1.0) -> Prediction | None:
    """Predict signals and gradients in a network.

    `input_mean_square` is E[x²] of the network's input. Returns None if the theory does not apply: for custom and
    data-dependent initializers, and for weights with a mean other than 0.

    Raises:
        ValueError: if `input_mean_square` is not finite and > 0.
    """
    if not (input_mean_square > 0 and math.isfinite(input_mean_square)):
        raise ValueError(f"input_mean_square must be finite and > 0, got {input_mean_square}")
    draws = kernel_draws(initializer, graph)
    if not graph.is_chain:
        return composed(graph, draws, math.log(input_mean_square))
    kernels = graph.layers
    # Compute each kind of kernel only once, because a deep network has few different ones.
    kinds = [(draw.initializer, draw.factor, draw.node.fan_in, draw.node.fan_out) for draw in draws]
    known = {kind: _spread(draw) for kind, draw in dict(zip(kinds, draws, strict=True)).items()}
    spreads = [spread for kind in kinds if (spread := known[kind])]
    if len(spreads) < len(kernels):
        return None
    names = [kernel.name for kernel in kernels]
    logs = log_expectations(kernels[0].activation)
    return Prediction(_layers(names, spreads, logs, math.log(input_mean_square)))


def length_map(activation: str, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Return q of the next layer, the mean square of its pre-activations."""
    return sigma_w2 * expectations(activation, q).mean_square + sigma_b2


def chi1(activation: str, q: float, sigma_w2: float) -> float:
    """Return the slope of the correlation map at correlation 1, for q at its fixed point; 1 is the edge of chaos."""
    return sigma_w2 * expectations(activation, q).slope_square


def correlation_map(activation: str, correlation: float, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Return the correlation of the pre-activations of two inputs in the next layer, accurate to 1e-7.

    `correlation` is that in this layer, where the pre-activations of both have mean square `q`.

    Raises:
        ValueError: if `correlation` is not between -1 and 1, or the pre-activations of the next layer are all 0.
    """
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be between -1 and 1, got {correlation}")
    following = length_map(activation, q, sigma_w2, sigma_b2)
    if not following > 0:
        given = f"q={q}, sigma_w2={sigma_w2}, sigma_b2={sigma_b2}"
        raise ValueError(f"there is no correlation, because all pre-activations are 0: {given}")
    return min(1.0, max(-1.0, (sigma_w2 * product(activation, q, correlation) + sigma_b2) / following))


def correlations(activation: str, prediction: Prediction, first: float) -> tuple[float | None, ...]:
    """Return the correlation of the pre-activations of two inputs in each layer, given that in the first layer.

    Biases are 0. In the first layer it is about the cosine of the inputs. None if all pre-activations are 0 or exceed
    the range of floats.
    """
    found: list[float | None] = [first if math.isfinite(first) else None]
    for layer in prediction.layers[:-1]:
        found.append(_next_correlation(activation, layer.preactivation_std * layer.preactivation_std, found[-1]))
    return tuple(found)


def _next_correlation(activation: str, q: float, correlation: float | None) -> float | None:
    if correlation is None or not (0 < q < math.inf and 0 < length_map(activation, q, 1.0) < math.inf):
        return None
    return correlation_map(activation, correlation, q, 1.0)  # the next layer's scale drops out


def fixed_point(activation: str, sigma_w2: float, sigma_b2: float = 0.0, start: float = 1.0) -> float | None:
    """Return the fixed point q* that the length map approaches from `start`, which is > 0.

    It is 0.0 if the signal vanishes and None if it grows without bound. The map increases with q, so its iterates are
    monotonic and approach the nearest fixed point in their direction. This is found by a search in ln q and bisection,
    because near criticality the iteration takes millions of steps.
    """

    def growth(log_q: float) -> float:
        q = math.exp(log_q)
        return length_map(activation, q, sigma_w2, sigma_b2) / q - 1

    first = math.log(start)
    if abs(growth(first)) < 1e-12:
        return start
    grows = growth(first) > 0
    root = _crossing(growth, first, LOG_Q[1] if grows else LOG_Q[0])
    if root is None:
        return None if grows else 0.0
    return math.exp(root)


def critical_sigma_w2(activation: str, sigma_b2: float = 0.0) -> float | None:
    """Return the edge of chaos at `sigma_b2`: the σw² for which χ1 = 1 at the fixed point of the length map.

    Returns None if that fixed point is not stable: for relu with biases, and for gelu and swish with σb² below 0.173
    and 0.555, their half-stable points (Roberts, Yaida & Hanin 2022, The Principles of Deep Learning Theory,
    chapter 5).
    """
    q = _critical_q(activation, sigma_b2)
    if q is None:
        return None
    sigma_w2 = 1 / expectations(activation, q).slope_square
    above = 1.001 * q + 1e-6
    is_stable = length_map(activation, above, sigma_w2, sigma_b2) <= above * (1 + 1e-12)
    return sigma_w2 if is_stable else None


def _critical_q(activation: str, sigma_b2: float) -> float | None:
    """Return the smallest q that is the fixed point of a length map with χ1 = 1."""
    if sigma_b2 == 0 and expectations(activation, 0.0).mean_square == 0:
        return 0.0
    if activation in NEGATIVE_SLOPES:
        return None

    def excess(log_q: float) -> float:
        # χ1 = 1 means σw² = 1/E[φ'²]; with that, q is a fixed point if this is 0.
        found = expectations(activation, math.exp(log_q))
        return math.exp(log_q) - found.mean_square / found.slope_square - sigma_b2

    root = _crossing(excess, *LOG_Q)
    return None if root is None else math.exp(root)


# The network layer by layer, in logarithms, because products over hundreds of layers exceed the range of floats.


class _Spread(NamedTuple):
    """The standard deviation of a weight, and ln of fan_in · Var(W) and of fan_out · Var(W)."""

    stddev: float
    log_forward: float
    log_backward: float


def _spread(draw: KernelDraw) -> _Spread | None:
    moments, fan_in, fan_out = draw.moments(), draw.node.fan_in, draw.node.fan_out
    if moments is None or moments.mean:
        return None
    return _Spread(moments.stddev, _log(fan_in * moments.variance), _log(fan_out * moments.variance))


def _layers(
    names: Sequence[str], spreads: Sequence[_Spread], logs: LogMoments, log_input: float
) -> tuple[LayerPrediction, ...]:
    # By columns, for speed: the setup pane predicts for the whole catalogue at every key.
    stddevs, forward, backward = zip(*spreads, strict=True)
    qs, squares = _pass_forward(forward, logs.mean_square, log_input)
    hidden = qs[:-1]
    slopes = [*map(logs.slope_square, hidden), 0.0]
    deviations = _roots([*map(logs.variance, hidden), qs[-1]])
    # For linear the shift is 0, even if the standard deviation overflows.
    shifts = zip(map(logs.shift, hidden), deviations, strict=False)
    means = [logs.at_zero + (shift and shift * deviation) for shift, deviation in shifts]
    columns = (
        *(names, stddevs, _roots(qs), [*means, 0.0], deviations),
        _powers(_gains(squares)),
        _roots(_pass_back(backward, slopes)),
        _powers(map(add, forward, slopes)),
    )
    return tuple(map(LayerPrediction._make, zip(*columns, strict=True)))


def _pass_forward(forward: Sequence[float], mean_square: Curve, log_input: float) -> tuple[list[float], list[float]]:
    """Return ln q of each layer, and ln of the mean square of the input and of the output of each layer."""
    qs, squares = [], [log_input]
    for log_forward in forward:
        qs.append(log_forward + squares[-1])
        squares.append(mean_square(qs[-1]))
    squares[-1] = qs[-1]  # the logits have no activation
    return qs, squares


def _gains(squares: Sequence[float]) -> list[float]:
    # An output that is all 0 has a gain of 0, even if the input is all 0 too.
    return [after - before if after > -math.inf else after for before, after in pairwise(squares)]


def _pass_back(backward: Sequence[float], slopes: Sequence[float]) -> list[float]:
    """Return ln of the mean square of the gradients, relative to the logits, from the first layer to the logits."""
    # The gradient that arrives at a layer has passed the kernel above and the activation of this layer.
    factors = map(add, backward[:0:-1], slopes[-2::-1])
    return list(accumulate(factors, initial=0.0))[::-1]


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _powers(logs: Iterable[float]) -> list[float]:
    logs = list(logs)
    try:
        return list(map(math.exp, logs))
    except OverflowError:
        return [math.exp(log) if log < 709 else math.inf for log in logs]


def _roots(logs: Iterable[float]) -> list[float]:
    return _powers([log / 2 for log in logs])


def _crossing(function: Curve, start: float, end: float) -> float | None:
    """Return the first zero from `start` towards `end`, accurate to 1e-12; None if the sign does not change."""
    positive, near = function(start) > 0, start
    for number in range(1, math.ceil(abs(end - start) / _STRIDE) + 1):
        far = start + math.copysign(number * _STRIDE, end - start)
        if (function(far) > 0) != positive:
            return _bisect(function, near, far, positive)
        near = far
    return None


def _bisect(function: Curve, near: float, far: float, positive: bool) -> float:
    while abs(far - near) > 1e-12 * max(1.0, abs(near)):
        middle = (near + far) / 2
        if (function(middle) > 0) == positive:
            near = middle
        else:
            far = middle
    return near
