"""Mean-field theory of a dense network at its start: how large signals and gradients are, layer by layer.

In a wide layer with independent centred weights a unit's pre-activation is a sum of many terms, so Gaussian:
√q z with z ~ N(0, 1). One number, its mean square q, then tells what reaches the next layer, what comes back as
gradient, and whether two close inputs part. σw² = fan_in · Var(W) throughout; σb² is the biases' variance, 0 in
the lab's own networks.

    q' = σw² E[φ(√q z)²] + σb²                       Poole et al. 2016, NeurIPS: the length map
    χ1 = σw² E[φ'(√q z)²]                            ibid.: the slope of the correlation map at correlation 1
    E[δ_l²] = fan_out Var(W) E[φ'²] E[δ_(l+1)²]      Schoenholz et al. 2017, ICLR; δ = ∂L/∂(pre-activation)

Expectations of the piecewise linear activations are closed forms. The others' are sums by the trapezoidal rule in
u = ln |z|, on each half-line by itself. Gauss-Hermite does badly on both of what is met here: kinks at 0 (elu,
selu: order 64 is off by 1e-2), and curves narrow against the Gaussian (tanh at q = 100: 6e-2, and order 2,000 for
1e-6). Split at 0 there is no kink; and in ln z a larger q only shifts φ, so 263 points do for every q up to 1e12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise, starmap
from operator import add, mul
from types import MappingProxyType
from typing import NamedTuple

from initlab_tui.experiments.spec import Initializer, Kernel

Curve = Callable[[float], float]

# Negative slope of the activations that are piecewise linear: of these everything is in closed form.
NEGATIVE_SLOPES: Mapping[str, float] = MappingProxyType({"relu": 0.0, "leaky_relu": 0.2, "linear": 1.0})

_SPACING = 0.1  # of the points in ln z: the trapezoidal rule's error is about exp(-π²/(2 · spacing)), 1e-21
_DEEPEST, _TOP = -240, 22  # z from exp(-24), where little is left of the half-line, to exp(2.2), nine deviations
_LOW, _HIGH = -138, 138  # √q of a table, in spacings as well: q from 1e-12 to 1e12
_STEP = 2 * _SPACING  # of a table in ln q: √q then moves by one point, and all of its sums share φ's values
_STRIDE = 0.5  # in ln q, of a search for a zero; two zeros nearer than that may be missed


class Expectations(NamedTuple):
    """Of φ(√q z), z ~ N(0, 1): mean square, mean and variance; and the mean square of the slope φ'(√q z)."""

    mean_square: float
    mean: float
    variance: float
    slope_square: float


class LayerPrediction(NamedTuple):
    """What one layer is expected to hold before any training.

    Means and deviations are over everything at once, a batch's inputs and a layer's units: what `np.mean` and
    `np.std` of the whole (inputs, units) array estimate. Beyond the range of floats they are 0 or inf.

    - `stddev`: of a weight.
    - `predicted_std`: √q, of the pre-activations x·W, whose mean is 0.
    - `activation_mean`, `activation_std`: of φ of them. The logits have no activation: φ is linear there.
    - `gain`: mean square of the layer's output relative to that of its input; 0 where the output is all 0.
    - `gradient_std`: root mean square of an entry of ∂L/∂(this layer's pre-activations), relative to that of an
      entry of ∂L/∂logits; so 1 for the logits. L may be a batch's mean or sum: that scales both alike.
    - `chi1`: factor on the mean square of a small difference between two inputs of the layer, from its input to
      its output: > 1 parts them (chaos), < 1 joins them (order).
    """

    # A tuple rather than a dataclass: thousands are built at every key of a form.
    layer: str
    stddev: float
    predicted_std: float
    activation_mean: float
    activation_std: float
    gain: float
    gradient_std: float
    chi1: float


@dataclass(frozen=True)
class Prediction:
    """A network's layers at the start, from the first to the logits."""

    layers: tuple[LayerPrediction, ...]


def predict(
    initializer: Initializer, kernels: Sequence[Kernel], activation: str, input_mean_square: float = 1.0
) -> Prediction | None:
    """What `initializer` makes of signals and gradients in a network of `kernels`, the last of which makes the logits.

    `input_mean_square` is E[x²] of the data as the network gets it. None where there is no theory: for a person's
    own initializer, for one fitted to the data, and for weights whose mean is not 0.

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


def expectations(activation: str, q: float) -> Expectations:
    """Moments of `activation` on pre-activations of mean square `q`, to 1e-10 for q up to 1e12.

    At q = 0 they are the limits, so the slope of a kinked activation is between those of its two sides.
    """
    if activation in NEGATIVE_SLOPES:
        return _of_piecewise_linear(NEGATIVE_SLOPES[activation], q)
    curve, (nodes, weights) = _CURVES[activation], _half_line()
    root = math.sqrt(q)
    sums = (_dot(weights, values) for values in _both_sides(curve, [root * node for node in nodes]))
    return _around(curve.value(0.0), *sums)


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
    if activation in NEGATIVE_SLOPES:
        product = _product_of_piecewise_linear(NEGATIVE_SLOPES[activation], q, correlation)
    else:
        product = _product(_CURVES[activation].value, math.sqrt(q), math.acos(correlation))
    return min(1.0, max(-1.0, (sigma_w2 * product + sigma_b2) / following))


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
    root = _crossing(growth, first, _HIGH * _STEP if grows else _LOW * _STEP)
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

    root = _crossing(excess, _LOW * _STEP, _HIGH * _STEP)
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
    names: Sequence[str], spreads: Sequence[_Spread], logs: LogExpectations, log_input: float
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


# Expectations by tables: ln of each as cubics in ln q, since a form cannot wait for thousands of sums.


class LogExpectations(NamedTuple):
    """Of φ(√q z) by ln q, which may be -inf: ln of the mean square, the variance and the slope's mean square.

    `shift` is how many of its deviations φ's mean lies above `at_zero`, φ(0): of two signs, so not a logarithm.
    """

    at_zero: float
    mean_square: Curve
    variance: Curve
    slope_square: Curve
    shift: Curve


@cache
def log_expectations(activation: str) -> LogExpectations:
    """Expectations of `activation` by ln q: exact where there is a closed form, else read off tables, to 1e-6.

    Tables are built at first use, in some 15 ms, and end in straight lines, as the expectations themselves do.
    """
    if activation not in NEGATIVE_SLOPES:
        return _tabulate(_CURVES[activation])
    of_one = _of_piecewise_linear(NEGATIVE_SLOPES[activation], 1.0)
    square, variance, slope = math.log(of_one.mean_square), math.log(of_one.variance), math.log(of_one.slope_square)
    shift = of_one.mean / math.sqrt(of_one.variance)
    return LogExpectations(
        0.0, lambda log_q: log_q + square, lambda log_q: log_q + variance, lambda _: slope, lambda _: shift
    )


def _tabulate(curve: Activation) -> LogExpectations:
    at_zero = curve.value(0.0)
    rows = [_logs_and_rises(at_zero, sums, rises) for sums, rises in _sums_and_rises(curve)]
    return LogExpectations(at_zero, *(_interpolation(column) for column in zip(*rows, strict=True)))


_Knot = tuple[float, float]  # a value and its derivative by ln q


def _sums_and_rises(curve: Activation) -> Iterable[tuple[list[float], list[float]]]:
    """For each q of a table E[φ - φ(0)], E[(φ - φ(0))²] and E[φ'²]; and their derivatives by ln q."""
    nodes, weights = _half_line()
    # dE[f(√q z)]/d ln q = E[(z² - 1) f(√q z)]/2, by parts.
    tilts = [(node**2 - 1) / 2 * weight for node, weight in zip(nodes, weights, strict=True)]
    points = [math.exp(number * _SPACING) for number in range(_LOW + _DEEPEST, _HIGH + _TOP + 1)]
    series = _both_sides(curve, points)
    for first in range(_HIGH - _LOW + 1):
        windows = [values[first : first + len(nodes)] for values in series]
        yield [_dot(weights, window) for window in windows], [_dot(tilts, window) for window in windows]


def _logs_and_rises(at_zero: float, sums: Sequence[float], rises: Sequence[float]) -> tuple[_Knot, ...]:
    (mean, _, _), (mean_rise, square_rise, slope_rise) = sums, rises
    found = _around(at_zero, *sums)
    variance_rise = square_rise - 2 * mean * mean_rise
    deviation = math.sqrt(found.variance)
    shift = mean / deviation
    return (
        (math.log(found.mean_square), (square_rise + 2 * at_zero * mean_rise) / found.mean_square),
        (math.log(found.variance), variance_rise / found.variance),
        (math.log(found.slope_square), slope_rise / found.slope_square),
        (shift, mean_rise / deviation - shift * variance_rise / found.variance / 2),
    )


def _interpolation(knots: Sequence[_Knot]) -> Curve:
    """Cubic Hermite interpolation between `knots`, which are _STEP apart in ln q; straight beyond."""
    cells = list(starmap(_cubic, pairwise(knots)))
    first, below, above = _LOW * _STEP, _line(_LOW * _STEP, *knots[0]), _line(_HIGH * _STEP, *knots[-1])
    count = len(cells)

    def at(log_q: float) -> float:
        position = (log_q - first) / _STEP
        if 0 <= position < count:
            index = int(position)
            t = position - index
            a, b, c, d = cells[index]
            return a + t * (b + t * (c + t * d))
        return below(log_q) if position < 0 else above(log_q)

    return at


def _cubic(left: _Knot, right: _Knot) -> tuple[float, float, float, float]:
    difference, start, end = right[0] - left[0], left[1] * _STEP, right[1] * _STEP
    return left[0], start, 3 * difference - 2 * start - end, start + end - 2 * difference


def _line(at: float, value: float, slope: float) -> Curve:
    # Far out every expectation is a power of q: 0, as of what is bounded, ±1/2 or 1.
    slope = round(2 * slope) / 2
    if slope == 0:
        return lambda _: value
    return lambda log_q: value + slope * (log_q - at)


# Expectations by sums.


class Activation(NamedTuple):
    """φ and its derivative φ', as Keras 3 defines them."""

    value: Curve
    slope: Curve


def _normal(x: float) -> float:
    """Φ(x), of the standard normal distribution."""
    return math.erfc(-x / math.sqrt(2)) / 2


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _sigmoid(x: float) -> float:
    # Not 1/(1 + exp(-x)), of which the exponential may be beyond floats.
    return (1 + math.tanh(x / 2)) / 2


def _elu(alpha: float, scale: float) -> Activation:
    # By its sign, a zero has the slope of the side that it is on.
    return Activation(
        lambda x: scale * (x if x > 0 else alpha * math.expm1(x)),
        lambda x: scale * (1.0 if math.copysign(1.0, x) > 0 else alpha * math.exp(x)),
    )


_CURVES: Mapping[str, Activation] = MappingProxyType(
    {
        "tanh": Activation(math.tanh, lambda x: 1 - math.tanh(x) ** 2),
        "sigmoid": Activation(_sigmoid, lambda x: (1 - math.tanh(x / 2) ** 2) / 4),
        "elu": _elu(1.0, 1.0),
        # Klambauer et al. 2017, NeurIPS, with Keras's digits.
        "selu": _elu(1.6732632423543772848170429916717, 1.0507009873554804934193349852946),
        "gelu": Activation(lambda x: x * _normal(x), lambda x: _normal(x) + x * _density(x)),
        "swish": Activation(lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))),
        "softplus": Activation(lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), _sigmoid),
    }
)


def _of_piecewise_linear(negative: float, q: float) -> Expectations:
    mean_square, mean = q * (1 + negative**2) / 2, (1 - negative) * math.sqrt(q / (2 * math.pi))
    return Expectations(mean_square, mean, mean_square - mean**2, (1 + negative**2) / 2)


def _around(at_zero: float, mean: float, square: float, slope_square: float) -> Expectations:
    """Expectations of φ from the mean and the mean square of φ - φ(0).

    So the variance of a small signal on a pedestal, as of sigmoid, is not the difference of two near ½.
    """
    mean_square = square + 2 * at_zero * mean + at_zero**2
    return Expectations(mean_square, at_zero + mean, square - mean**2, slope_square)


@cache
def _half_line() -> tuple[list[float], list[float]]:
    """Points z > 0 and weights: E[f(z)] is the sum of weight · (f(z) + f(-z))."""
    nodes = [math.exp(number * _SPACING) for number in range(_DEEPEST, _TOP + 1)]
    weights = [_SPACING * node * _density(node) for node in nodes]
    weights[0] += 0.5 - sum(weights)  # for all between 0 and the first point
    return nodes, weights


def _both_sides(curve: Activation, xs: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    """φ - φ(0), its square and φ'², each the sum of those at x and at -x."""
    at_zero = curve.value(0.0)
    above, below = [curve.value(x) - at_zero for x in xs], [curve.value(-x) - at_zero for x in xs]
    slopes = [curve.slope(x) ** 2 + curve.slope(-x) ** 2 for x in xs]
    return list(map(add, above, below)), [a * a + b * b for a, b in zip(above, below, strict=True)], slopes


def _dot(weights: Sequence[float], values: Sequence[float]) -> float:
    total: float = sum(map(mul, weights, values))
    return total


# Products of two inputs' activations, for the correlation map.


def _product_of_piecewise_linear(negative: float, q: float, correlation: float) -> float:
    """E[φ(u)φ(v)], u and v of mean square q: Cho & Saul 2009, NeurIPS, the arc-cosine kernel of order 1."""
    angle = math.acos(correlation)
    of_relu = (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)
    # φ(x) = a x + (1 - a) relu(x), and E[u relu(v)] is half of E[u v].
    return q * (negative * correlation + (1 - negative) ** 2 * of_relu)


def _product(value: Curve, root: float, angle: float) -> float:
    """E[φ(u)φ(v)] for u = root · r cos θ and v = root · r cos(θ - angle): the plane's Gaussian in polar coordinates.

    The kinks at u = 0 and v = 0 are rays, and what lies between them is smooth: two arcs where u and v have the
    same sign, and two where they have not.
    """
    total = 0.0
    for arc, sign in ((math.pi - angle, 1.0), (angle, -1.0)):
        for turned, weight in _arc(arc):
            u, v = root * math.sin(turned), sign * root * math.sin(arc - turned)
            total += weight * _along_rays(value, u, v)
    return total / (2 * math.pi)


def _along_rays(value: Curve, u: float, v: float) -> float:
    """Along a ray, where φ's arguments are u·r and v·r, and the opposite one: the integral of r exp(-r²/2) φ φ."""
    return sum(weight * (value(u * r) * value(v * r) + value(-u * r) * value(-v * r)) for r, weight in _radii())


@cache
def _radii() -> list[tuple[float, float]]:
    nodes, weights = _half_line()
    # r exp(-r²/2) dr is less at 0 than the half-line's density, and 1e-10 is enough: half as deep, every second point.
    pairs = list(zip(nodes, weights, strict=True))[-_DEEPEST // 2 :: 2]
    return [(node, 2 * weight * node * math.sqrt(2 * math.pi)) for node, weight in pairs]


def _arc(length: float) -> Iterable[tuple[float, float]]:
    """Points within (0, length) and weights, dense at both ends, where φ may turn sharply: the tanh-sinh rule."""
    step = 0.15
    for number in range(-21, 22):
        inner = math.pi / 2 * math.sinh(number * step)
        density = math.pi / 2 * math.cosh(number * step) / math.cosh(inner) ** 2
        yield length * (1 + math.tanh(inner)) / 2, length * density * step / 2


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
