"""Expectations of activations under a Gaussian: E[f(φ(√q z))], z ~ N(0, 1), by closed form, sums or tables.

Moments of the piecewise linear activations are closed forms. The others' are sums by the trapezoidal rule in
u = ln |z|, on each half-line by itself. Gauss-Hermite does badly on both of what is met here: kinks at 0 (elu,
selu: order 64 is off by 1e-2), and curves narrow against the Gaussian (tanh at q = 100: 6e-2, and order 2,000 for
1e-6). Split at 0 there is no kink; and in ln z a larger q only shifts φ, so 263 points do for every q up to 1e12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import pairwise, starmap
from operator import add, mul
from types import MappingProxyType
from typing import NamedTuple

Curve = Callable[[float], float]

# Negative slope of the activations that are piecewise linear: of these everything is in closed form.
NEGATIVE_SLOPES: Mapping[str, float] = MappingProxyType({"relu": 0.0, "leaky_relu": 0.2, "linear": 1.0})

_SPACING = 0.1  # of the points in ln z: the trapezoidal rule's error is about exp(-π²/(2 · spacing)), 1e-21
_DEEPEST, _TOP = -240, 22  # z from exp(-24), where little is left of the half-line, to exp(2.2), nine deviations
_LOW, _HIGH = -138, 138  # √q of a table, in spacings as well: q from 1e-12 to 1e12
_STEP = 2 * _SPACING  # of a table in ln q: √q then moves by one point, and all of its sums share φ's values
LOG_Q = (_LOW * _STEP, _HIGH * _STEP)  # ln q from which to which the tables go


class Moments(NamedTuple):
    """Of φ(√q z), z ~ N(0, 1): mean square, mean and variance; and the mean square of the slope φ'(√q z)."""

    mean_square: float
    mean: float
    variance: float
    slope_square: float


def expectations(activation: str, q: float) -> Moments:
    """Moments of `activation` on pre-activations of mean square `q`, to 1e-10 for q up to 1e12.

    At q = 0 they are the limits, so the slope of a kinked activation is between those of its two sides.
    """
    if activation in NEGATIVE_SLOPES:
        return _of_piecewise_linear(NEGATIVE_SLOPES[activation], q)
    curve, (nodes, weights) = _CURVES[activation], _half_line()
    root = math.sqrt(q)
    sums = (_dot(weights, values) for values in _both_sides(curve, [root * node for node in nodes]))
    return _around(curve.value(0.0), *sums)


def product(activation: str, q: float, correlation: float) -> float:
    """E[φ(u)φ(v)] of Gaussians u and v of mean square `q` that correlate by `correlation`; to 1e-7."""
    if activation in NEGATIVE_SLOPES:
        return _product_of_piecewise_linear(NEGATIVE_SLOPES[activation], q, correlation)
    return _product(_CURVES[activation].value, math.sqrt(q), math.acos(correlation))


# Moments by tables: ln of each as cubics in ln q, since a form cannot wait for thousands of sums.


class LogMoments(NamedTuple):
    """Of φ(√q z) by ln q, which may be -inf: ln of the mean square, the variance and the slope's mean square.

    `shift` is how many of its deviations φ's mean lies above `at_zero`, φ(0): of two signs, so not a logarithm.
    """

    at_zero: float
    mean_square: Curve
    variance: Curve
    slope_square: Curve
    shift: Curve


@cache
def log_expectations(activation: str) -> LogMoments:
    """Expectations of `activation` by ln q: exact where there is a closed form, else read off tables, to 1e-6.

    Tables are built at first use, in some 15 ms, and end in straight lines, as the expectations themselves do.
    """
    if activation not in NEGATIVE_SLOPES:
        return _tabulate(_CURVES[activation])
    of_one = _of_piecewise_linear(NEGATIVE_SLOPES[activation], 1.0)
    square, variance, slope = math.log(of_one.mean_square), math.log(of_one.variance), math.log(of_one.slope_square)
    shift = of_one.mean / math.sqrt(of_one.variance)
    return LogMoments(
        0.0, lambda log_q: log_q + square, lambda log_q: log_q + variance, lambda _: slope, lambda _: shift
    )


def _tabulate(curve: Activation) -> LogMoments:
    at_zero = curve.value(0.0)
    rows = [_logs_and_rises(at_zero, sums, rises) for sums, rises in _sums_and_rises(curve)]
    return LogMoments(at_zero, *(_interpolation(column) for column in zip(*rows, strict=True)))


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


# Moments by sums.


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


def _of_piecewise_linear(negative: float, q: float) -> Moments:
    mean_square, mean = q * (1 + negative**2) / 2, (1 - negative) * math.sqrt(q / (2 * math.pi))
    return Moments(mean_square, mean, mean_square - mean**2, (1 + negative**2) / 2)


def _around(at_zero: float, mean: float, square: float, slope_square: float) -> Moments:
    """Expectations of φ from the mean and the mean square of φ - φ(0).

    So the variance of a small signal on a pedestal, as of sigmoid, is not the difference of two near ½.
    """
    mean_square = square + 2 * at_zero * mean + at_zero**2
    return Moments(mean_square, at_zero + mean, square - mean**2, slope_square)


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
