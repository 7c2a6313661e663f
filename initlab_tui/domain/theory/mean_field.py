"""Mean-field theory of a dense network at its start: how large signals and gradients are, layer by layer.

In a wide layer with independent centred weights a unit's pre-activation is a sum of many terms, so Gaussian:
√q z with z ~ N(0, 1). One number, its mean square q, then tells what reaches the next layer, what comes back as
gradient, and whether two close inputs part. σw² = fan_in · Var(W) throughout; σb² is the biases' variance, 0 in
the lab's own networks.

    q' = σw² E[φ(√q z)²] + σb²                       Poole et al. 2016, NeurIPS: the length map
    χ1 = σw² E[φ'(√q z)²]                            ibid.: the slope of the correlation map at correlation 1
    E[δ_l²] = fan_out Var(W) E[φ'²] E[δ_(l+1)²]      Schoenholz et al. 2017, ICLR; δ = ∂L/∂(pre-activation)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import add
from typing import NamedTuple

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import LayerShape
from initlab_tui.domain.theory.gaussian_moments import (
    LOG_Q,
    NEGATIVE_SLOPES,
    Curve,
    LogMoments,
    expectations,
    log_expectations,
    product,
)

_STRIDE = 0.5  # in ln q, of a search for a zero; two zeros nearer than that may be missed


class LayerPrediction(NamedTuple):
    """The predicted statistics of one layer before training.

    Means and standard deviations are over all inputs of a batch and all units of the layer at once, as `np.mean` and
    `np.std` of the whole (inputs, units) array estimate them. Values beyond the range of floats are 0 or inf.

    - `weight_std`: of a weight.
    - `preactivation_std`: √q, of the pre-activations x·W; their mean is 0.
    - `activation_mean`, `activation_std`: of φ of the pre-activations. The logits have no activation: φ is linear.
    - `variance_gain`: mean square of the layer's output relative to that of its input; 0 if the output is all 0.
    - `relative_grad_rms`: root mean square of ∂L/∂(this layer's pre-activations) relative to that of ∂L/∂logits, so
      1 for the logits. Whether L is the mean or the sum over a batch does not matter: both scale alike.
    - `chi1`: factor on the mean square of a small difference between two inputs, from the layer's input to its
      output: > 1 separates them (chaos), < 1 merges them (order).
    """

    # A tuple, not a dataclass: thousands are built at every key typed into a form.
    layer: str
    weight_std: float
    preactivation_std: float
    activation_mean: float
    activation_std: float
    variance_gain: float
    relative_grad_rms: float
    chi1: float


@dataclass(frozen=True)
class Prediction:
    """A network's layers at the start, from the first to the logits."""

    layers: tuple[LayerPrediction, ...]


def predict(
    initializer: Initializer, kernels: Sequence[LayerShape], activation: str, input_mean_square: float = 1.0
) -> Prediction | None:
    """What `initializer` makes of signals and gradients in a network of `kernels`, the last of which makes the logits.

    `input_mean_square` is E[x²] of the data as the network gets it. None where there is no theory: for a person's
    own initializer, for a data-dependent one, and for weights with a mean other than 0.

    Raises:
        ValueError: when `input_mean_square` is not finite and > 0.
    """
    if not (input_mean_square > 0 and math.isfinite(input_mean_square)):
        raise ValueError(f"input_mean_square must be finite and > 0, got {input_mean_square}")
    # A deep net's layers have few shapes: each is worked out once.
    shapes = [kernel[1:] for kernel in kernels]
    known = {shape: _spread(initializer, *shape) for shape in set(shapes)}
    spreads = [spread for shape in shapes if (spread := known[shape])]
    if len(spreads) < len(kernels):
        return None
    names = [kernel.layer for kernel in kernels]
    return Prediction(_layers(names, spreads, log_expectations(activation), math.log(input_mean_square)))


def length_map(activation: str, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """The next layer's q: mean square of its pre-activations."""
    return sigma_w2 * expectations(activation, q).mean_square + sigma_b2


def chi1(activation: str, q: float, sigma_w2: float) -> float:
    """Slope of the correlation map at correlation 1, where q is at its fixed point; 1 is the edge of chaos."""
    return sigma_w2 * expectations(activation, q).slope_square


def correlation_map(activation: str, correlation: float, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """The next layer's correlation of two inputs' pre-activations, both of mean square `q` here; to 1e-7.

    Raises:
        ValueError: when `correlation` is not between -1 and 1, or the next layer's pre-activations are all 0.
    """
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be between -1 and 1, got {correlation}")
    following = length_map(activation, q, sigma_w2, sigma_b2)
    if not following > 0:
        raise ValueError(f"nothing correlates where all is 0: q={q}, sigma_w2={sigma_w2}, sigma_b2={sigma_b2}")
    return min(1.0, max(-1.0, (sigma_w2 * product(activation, q, correlation) + sigma_b2) / following))


def correlations(activation: str, prediction: Prediction, first: float) -> tuple[float | None, ...]:
    """Correlation of two inputs' pre-activations in each layer, from that in the `first`; biases are 0.

    In the first layer it is about the cosine of the inputs themselves. None where all is 0, or beyond floats.
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
    """q*, to which the length map leads from `start`; 0.0 where the signal dies, None where it grows without end.

    The map rises with q, so its iterates go one way, to the nearest fixed point there. That is found by strides in
    ln q and halving instead, since next to criticality the iterates take millions of steps. `start` is > 0.
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
    """The edge of chaos at `sigma_b2`: the σw² at which χ1 = 1 where the length map comes to rest.

    None where it does not come to rest with that: for relu with biases, and for gelu and swish with σb² below 0.173
    and 0.555, where signals run away from the q that has χ1 = 1. That ends at their half-stable points (Roberts,
    Yaida & Hanin 2022, The Principles of Deep Learning Theory, chapter 5).
    """
    q = _critical_q(activation, sigma_b2)
    if q is None:
        return None
    sigma_w2 = 1 / expectations(activation, q).slope_square
    above = 1.001 * q + 1e-6
    rests = length_map(activation, above, sigma_w2, sigma_b2) <= above * (1 + 1e-12)
    return sigma_w2 if rests else None


def _critical_q(activation: str, sigma_b2: float) -> float | None:
    """The smallest fixed point of a length map that has χ1 = 1 there."""
    if sigma_b2 == 0 and expectations(activation, 0.0).mean_square == 0:
        return 0.0
    if activation in NEGATIVE_SLOPES:
        return None

    def excess(log_q: float) -> float:
        # χ1 = 1 says σw² = 1/E[φ'²]; with it, q is a fixed point where this is 0.
        found = expectations(activation, math.exp(log_q))
        return math.exp(log_q) - found.mean_square / found.slope_square - sigma_b2

    root = _crossing(excess, *LOG_Q)
    return None if root is None else math.exp(root)


# The network, layer by layer. All in logarithms: products over hundreds of layers leave the range of floats.


class _Spread(NamedTuple):
    """A weight's deviation, and ln of fan_in · Var(W) and of fan_out · Var(W)."""

    stddev: float
    log_forward: float
    log_backward: float


def _spread(initializer: Initializer, fan_in: int, fan_out: int) -> _Spread | None:
    moments = initializer.moments(fan_in, fan_out)
    if moments is None or moments.mean:
        return None
    return _Spread(moments.stddev, _log(fan_in * moments.variance), _log(fan_out * moments.variance))


def _layers(
    names: Sequence[str], spreads: Sequence[_Spread], logs: LogMoments, log_input: float
) -> tuple[LayerPrediction, ...]:
    # By columns, as a form asks anew at every key, and for the whole catalogue.
    stddevs, forward, backward = zip(*spreads, strict=True)
    qs, squares = _pass_forward(forward, logs.mean_square, log_input)
    hidden = qs[:-1]
    slopes = [*map(logs.slope_square, hidden), 0.0]
    deviations = _roots([*map(logs.variance, hidden), qs[-1]])
    # Of linear the shift is 0, also where the deviation is beyond floats.
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
    """ln q of every layer; and ln of the mean square of the input and of every layer's output."""
    qs, squares = [], [log_input]
    for log_forward in forward:
        qs.append(log_forward + squares[-1])
        squares.append(mean_square(qs[-1]))
    squares[-1] = qs[-1]  # the logits have no activation
    return qs, squares


def _gains(squares: Sequence[float]) -> list[float]:
    # What is all 0 stays so, and the ratio of two zeros is none.
    return [after - before if after > -math.inf else after for before, after in pairwise(squares)]


def _pass_back(backward: Sequence[float], slopes: Sequence[float]) -> list[float]:
    """ln of the gradients' mean square, from the first layer to the logits, of which it is 0."""
    # What comes down to a layer has passed the kernel above it and its own activation.
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
    """The first zero on the way from `start` to `end`, to 1e-12; None where the sign stays the same."""
    positive, near = function(start) > 0, start
    for number in range(1, math.ceil(abs(end - start) / _STRIDE) + 1):
        far = start + math.copysign(number * _STRIDE, end - start)
        if (function(far) > 0) != positive:
            return _halve(function, near, far, positive)
        near = far
    return None


def _halve(function: Curve, near: float, far: float, positive: bool) -> float:
    while abs(far - near) > 1e-12 * max(1.0, abs(near)):
        middle = (near + far) / 2
        if (function(middle) > 0) == positive:
            near = middle
        else:
            far = middle
    return near
