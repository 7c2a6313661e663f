"""Expectations of activations under a Gaussian: E[f(φ(√q z))], z ~ N(0, 1), by closed forms, sums or tables.

The moments of piecewise linear activations have closed forms. Those of the others are sums by the trapezoidal rule in
u = ln |z|, separately for each half-line. Gauss-Hermite quadrature is inaccurate for kinks at 0 (elu, selu: error 1e-2
at order 64) and for functions that are narrow compared with the Gaussian (tanh at q = 100: error 6e-2; an error of 1e-6
needs order 2,000). Splitting at 0 removes the kink, and in ln z a larger q only shifts φ, so 263 points are enough for
every q up to 1e12.
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

# The negative slope of the piecewise linear activations, which have closed forms.
NEGATIVE_SLOPES: Mapping[str, float] = MappingProxyType({"relu": 0.0, "leaky_relu": 0.2, "linear": 1.0})

_SPACING = 0.1  # of the points in ln z; the error of the trapezoidal rule is about exp(-π²/(2 · spacing)), 1e-21
_DEEPEST, _TOP = -240, 22  # z from exp(-24), close enough to 0, to exp(2.2), nine standard deviations
_LOW, _HIGH = -138, 138  # the range of √q in the tables, in spacings too: q from 1e-12 to 1e12
_STEP = 2 * _SPACING  # of the tables in ln q: √q then moves by one point, and all sums share the values of φ
LOG_Q = (_LOW * _STEP, _HIGH * _STEP)  # the range of the tables in ln q


class Moments(NamedTuple):
    """Moments of φ(√q z), z ~ N(0, 1), and the mean square of the slope φ'(√q z)."""

    mean_square: float
    mean: float
    variance: float
    slope_square: float


def expectations(activation: str, q: float) -> Moments:
    """Return the moments of `activation` for pre-activations of mean square `q`, accurate to 1e-10 for q up to 1e12.

    At q = 0 these are the limits, so the slope at a kink is between the slopes on its two sides.
    """
    if activation in NEGATIVE_SLOPES:
        return _piecewise_linear(NEGATIVE_SLOPES[activation], q)
    curve, (nodes, weights) = _CURVES[activation], _half_line()
    root = math.sqrt(q)
    sums = (_dot(weights, values) for values in _both_sides(curve, [root * node for node in nodes]))
    return _around(curve.value(0.0), *sums)


def product(activation: str, q: float, correlation: float) -> float:
    """Return E[φ(u)φ(v)] of Gaussians u and v of mean square `q` with a given correlation, accurate to 1e-7."""
    if activation in NEGATIVE_SLOPES:
        return _piecewise_linear_product(NEGATIVE_SLOPES[activation], q, correlation)
    return _product(_CURVES[activation].value, math.sqrt(q), math.acos(correlation))


# Moments from tables: logarithms as cubics in ln q, because the setup pane cannot wait for thousands of sums.


class LogMoments(NamedTuple):
    """The moments of φ(√q z) as functions of ln q, which may be -inf.

    `mean_square`, `variance` and `slope_square` are logarithms. `shift` is (E[φ] - φ(0)) / std(φ), which may be
    negative and so is not a logarithm; `at_zero` is φ(0).
    """

    at_zero: float
    mean_square: Curve
    variance: Curve
    slope_square: Curve
    shift: Curve


@cache
def log_expectations(activation: str) -> LogMoments:
    """Return the moments of `activation` as functions of ln q: closed forms, or tables accurate to 1e-6.

    A table is built at first use, in about 15 ms. Beyond its ends it continues in straight lines, like the moments.
    """
    if activation not in NEGATIVE_SLOPES:
        return _tabulate(_CURVES[activation])
    unit = _piecewise_linear(NEGATIVE_SLOPES[activation], 1.0)
    square, variance, slope = math.log(unit.mean_square), math.log(unit.variance), math.log(unit.slope_square)
    shift = unit.mean / math.sqrt(unit.variance)
    return LogMoments(
        0.0, lambda log_q: log_q + square, lambda log_q: log_q + variance, lambda _: slope, lambda _: shift
    )


def _tabulate(curve: Activation) -> LogMoments:
    at_zero = curve.value(0.0)
    rows = [_logs_and_rises(at_zero, sums, rises) for sums, rises in _sums_and_rises(curve)]
    return LogMoments(at_zero, *(_interpolation(column) for column in zip(*rows, strict=True)))


_Knot = tuple[float, float]  # a value and its derivative with respect to ln q


def _sums_and_rises(curve: Activation) -> Iterable[tuple[list[float], list[float]]]:
    """Yield E[φ - φ(0)], E[(φ - φ(0))²] and E[φ'²] for each q of a table, and their derivatives by ln q."""
    nodes, weights = _half_line()
    # Integration by parts gives dE[f(√q z)]/d ln q = E[(z² - 1) f(√q z)]/2.
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
    """Return the cubic Hermite interpolation of `knots`, _STEP apart in ln q, continued linearly beyond them."""
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
    # Far out every moment is proportional to a power of q: 0 (bounded activations), ±1/2 or 1.
    slope = round(2 * slope) / 2
    if slope == 0:
        return lambda _: value
    return lambda log_q: value + slope * (log_q - at)


# Moments from sums.


class Activation(NamedTuple):
    """φ and its derivative φ', as Keras 3 defines them."""

    value: Curve
    slope: Curve


def _normal(x: float) -> float:
    """Return Φ(x), the standard normal distribution function."""
    return math.erfc(-x / math.sqrt(2)) / 2


def _density(x: float) -> float:
    return math.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _sigmoid(x: float) -> float:
    # Not 1/(1 + exp(-x)), because the exponential may overflow.
    return (1 + math.tanh(x / 2)) / 2


def _elu(alpha: float, scale: float) -> Activation:
    # The sign of a zero selects the slope of that side.
    return Activation(
        lambda x: scale * (x if x > 0 else alpha * math.expm1(x)),
        lambda x: scale * (1.0 if math.copysign(1.0, x) > 0 else alpha * math.exp(x)),
    )


_CURVES: Mapping[str, Activation] = MappingProxyType(
    {
        "tanh": Activation(math.tanh, lambda x: 1 - math.tanh(x) ** 2),
        "sigmoid": Activation(_sigmoid, lambda x: (1 - math.tanh(x / 2) ** 2) / 4),
        "elu": _elu(1.0, 1.0),
        # Klambauer et al. 2017, NeurIPS; the digits are those of Keras.
        "selu": _elu(1.6732632423543772848170429916717, 1.0507009873554804934193349852946),
        "gelu": Activation(lambda x: x * _normal(x), lambda x: _normal(x) + x * _density(x)),
        "swish": Activation(lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1 + x * _sigmoid(-x))),
        "softplus": Activation(lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))), _sigmoid),
    }
)


def _piecewise_linear(negative: float, q: float) -> Moments:
    mean_square, mean = q * (1 + negative**2) / 2, (1 - negative) * math.sqrt(q / (2 * math.pi))
    return Moments(mean_square, mean, mean_square - mean**2, (1 + negative**2) / 2)


def _around(at_zero: float, mean: float, square: float, slope_square: float) -> Moments:
    """Return the moments of φ from the mean and the mean square of φ - φ(0).

    This avoids the difference of two nearly equal numbers if the signal is small compared with φ(0), as for sigmoid.
    """
    mean_square = square + 2 * at_zero * mean + at_zero**2
    return Moments(mean_square, at_zero + mean, square - mean**2, slope_square)


@cache
def _half_line() -> tuple[list[float], list[float]]:
    """Return points z > 0 and weights, with which E[f(z)] is the sum of weight · (f(z) + f(-z))."""
    nodes = [math.exp(number * _SPACING) for number in range(_DEEPEST, _TOP + 1)]
    weights = [_SPACING * node * _density(node) for node in nodes]
    weights[0] += 0.5 - sum(weights)  # the interval from 0 to the first point
    return nodes, weights


def _both_sides(curve: Activation, xs: Sequence[float]) -> tuple[list[float], list[float], list[float]]:
    """Return φ - φ(0), its square and φ'² at each x, each as the sum of its values at x and -x."""
    at_zero = curve.value(0.0)
    above, below = [curve.value(x) - at_zero for x in xs], [curve.value(-x) - at_zero for x in xs]
    slopes = [curve.slope(x) ** 2 + curve.slope(-x) ** 2 for x in xs]
    return list(map(add, above, below)), [a * a + b * b for a, b in zip(above, below, strict=True)], slopes


def _dot(weights: Sequence[float], values: Sequence[float]) -> float:
    total: float = sum(map(mul, weights, values))
    return total


# Products of the activations of two inputs, for the correlation map.


def _piecewise_linear_product(negative: float, q: float, correlation: float) -> float:
    """Return E[φ(u)φ(v)] by the arc-cosine kernel of order 1 (Cho & Saul 2009, NeurIPS)."""
    angle = math.acos(correlation)
    of_relu = (math.sin(angle) + (math.pi - angle) * correlation) / (2 * math.pi)
    # φ(x) = a x + (1 - a) relu(x), and E[u relu(v)] = E[u v] / 2.
    return q * (negative * correlation + (1 - negative) ** 2 * of_relu)


def _product(value: Curve, root: float, angle: float) -> float:
    """Return E[φ(u)φ(v)] for u = root · r cos θ and v = root · r cos(θ - angle), a Gaussian in polar coordinates.

    The kinks at u = 0 and v = 0 are rays. Between them the integrand is smooth: on two arcs u and v have the same sign,
    on the other two they have opposite signs.
    """
    total = 0.0
    for arc, sign in ((math.pi - angle, 1.0), (angle, -1.0)):
        for turned, weight in _arc(arc):
            u, v = root * math.sin(turned), sign * root * math.sin(arc - turned)
            total += weight * _along_rays(value, u, v)
    return total / (2 * math.pi)


def _along_rays(value: Curve, u: float, v: float) -> float:
    """Return the integral of r exp(-r²/2) φ(u·r) φ(v·r) over r, along a ray and the opposite one."""
    return sum(weight * (value(u * r) * value(v * r) + value(-u * r) * value(-v * r)) for r, weight in _radii())


@cache
def _radii() -> list[tuple[float, float]]:
    nodes, weights = _half_line()
    # Near 0 r exp(-r²/2) is smaller than the half-line's density, and 1e-10 is accurate enough here: half of the depth
    # and every second point will do.
    pairs = list(zip(nodes, weights, strict=True))[-_DEEPEST // 2 :: 2]
    return [(node, 2 * weight * node * math.sqrt(2 * math.pi)) for node, weight in pairs]


def _arc(length: float) -> Iterable[tuple[float, float]]:
    """Yield points in (0, length) and weights by the tanh-sinh rule, dense at both ends, where φ may turn sharply."""
    step = 0.15
    for number in range(-21, 22):
        inner = math.pi / 2 * math.sinh(number * step)
        density = math.pi / 2 * math.cosh(number * step) / math.cosh(inner) ** 2
        yield length * (1 + math.tanh(inner)) / 2, length * density * step / 2
