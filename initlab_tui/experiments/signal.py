"""What a start does to the signal before any training, from formulas alone: a preview that costs nothing.

A layer passes on E[x²] = c · fan_in · Var(W) times what it gets: the gain. He et al. 2015, ICCV, eq. 9 is the
recursion, and its eq. 10 the condition that the gain is 1, for ReLU with c = ½; Glorot & Bengio 2010, AISTATS,
eq. 5 and 10 are the same with c = 1. Biases are zero, weights independent with mean zero, layers wide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from statistics import median
from types import MappingProxyType
from typing import NamedTuple

from initlab_tui.experiments.spec import Initializer, Kernel

# The verdict changes where the signal's variance is off by a hundred. Nearer to 1, a net of this kind still trains
# (Adam on MNIST with a level of 0.6 as well as with 1); beyond, the lecture's "Random" and the deep nets stop to.
FADED, GROWN = 0.1, 10.0

# c, the share of the variance that an activation φ lets through; z is N(0, 1).
# - Piecewise linear: E[φ(√q z)²] / q, which is the same for every q. Exact at any depth, whatever the signal's size.
# - tanh and sigmoid: φ'(0)², exact for small signals. Larger ones are squashed: they saturate and do not explode.
# - Other curves through the origin: E[φ(z)²], as in He's recursion. Exact for a signal of variance 1; a smaller one
#   nears φ'(0)² (elu 1, selu 3.09, gelu and swish ¼) and a larger one the share of the straight parts.
# - softplus: Var[φ(z)], without the mean. E[φ(z)²] = 0.92 would promise a level signal, but 0.65 of that is a
#   pedestal that is the same for every image: what tells images apart is what varies. (φ'(0)² leaves sigmoid's
#   pedestal of ½ out as well.)
FACTORS: Mapping[str, float] = MappingProxyType(
    {
        "linear": 1.0,
        "relu": 0.5,  # ½: the negative half is cut
        "leaky_relu": 0.52,  # (1 + a²)/2 with a = 0.2, Keras's negative_slope
        "tanh": 1.0,  # φ'(0)² = 1²
        "sigmoid": 0.0625,  # φ'(0)² = (1/4)²
        "elu": 0.6449454174928,  # E[φ(z)²] = 1 + e² Φ(-2) - 2 √e Φ(-1)
        "selu": 1.0,  # E[φ(z)²] = Var[φ(z)] = 1: made so, Klambauer et al. 2017, NeurIPS, fixed point (0, 1)
        "gelu": 0.4252214825703,  # E[φ(z)²] = 1/3 + 1/(2π√3), φ(z) = z Φ(z), not its tanh approximation
        "swish": 0.3557755198173,  # E[φ(z)²], φ(z) = z/(1 + e⁻ᶻ); no closed form
        "softplus": 0.2715145018006,  # E[φ(z)²] - E[φ(z)]², φ(z) = ln(1 + eᶻ); no closed form
    }
)
EXACT = ("linear", "relu", "leaky_relu")  # at any depth; for the others the level is a rough one
SATURATING = ("tanh", "sigmoid")


class LayerSignal(NamedTuple):
    """What one layer makes of the signal; None where there is no formula.

    `stddev` is that of a weight, `gain` the factor on the signal's variance, `level` the signal's root mean square
    after this layer relative to the input's. Beyond 1, tanh's and sigmoid's level is what they are driven with
    rather than what they give.
    """

    # A tuple rather than a dataclass: it is built three times faster, and a preview builds thousands.
    layer: str
    stddev: float | None
    gain: float | None
    level: float | None


@dataclass(frozen=True)
class Preview:
    """A network's layers, and what is to be expected of its hidden ones.

    `verdict` is level, fades, grows, saturates, no_formula (a person's own initializer, or one fitted to the data),
    alike (every weight of a layer is the same) or shifted (the weights' mean is not zero); `reason` says it in a
    sentence; `at` is the first layer beyond the bounds.
    """

    layers: tuple[LayerSignal, ...]
    verdict: str
    reason: str
    at: str | None


def preview(initializer: Initializer, kernels: Sequence[Kernel], activation: str) -> Preview:
    """What `initializer` does to the signal in a network of `kernels`, the last of which makes the logits.

    The logits have no activation, so their gain is fan_in · Var(W); being the last, they pass nothing on and do
    not count in the verdict.
    """
    # By columns, as a form asks anew at every key, and for the whole catalogue.
    names: tuple[str, ...]
    names, *fans = zip(*kernels, strict=True)
    shapes: list[tuple[int, int]] = list(zip(*fans, strict=True))
    # A deep net's layers have few shapes: each is worked out once.
    known = {shape: _passing(initializer, *shape, FACTORS[activation]) for shape in set(shapes[:-1])}
    passings = [*map(known.__getitem__, shapes[:-1]), _passing(initializer, *shapes[-1], factor=1.0)]
    means, stddevs, gains, roots = zip(*passings, strict=True)
    # The product of the roots, since the gains' own product leaves the range of floats twice as soon.
    levels = tuple(accumulate(roots, mul)) if None not in roots else (None,) * len(roots)
    layers = tuple(map(LayerSignal._make, zip(names, stddevs, gains, levels, strict=True)))
    if means[0] is None:
        return Preview(layers, "no_formula", _why_no_formula(initializer), None)
    return Preview(layers, *_judge(tuple(known.values()), layers[:-1], activation))


def _why_no_formula(initializer: Initializer) -> str:
    if initializer.is_data_dependent:
        return "no formula: it is fitted to the data when training starts"
    return "no formula for your own initializer: training shows what it does"


class _Passing(NamedTuple):
    """A weight's mean and standard deviation, and a layer's gain and its root; None where there is no formula."""

    mean: float | None
    stddev: float | None
    gain: float | None
    root: float | None


def _passing(initializer: Initializer, fan_in: int, fan_out: int, factor: float) -> _Passing:
    moments = initializer.moments(fan_in, fan_out)
    if moments is None:
        return _Passing(None, None, None, None)
    if moments.mean:
        return _Passing(moments.mean, moments.stddev, None, None)
    gain = factor * fan_in * moments.variance
    return _Passing(moments.mean, moments.stddev, gain, math.sqrt(gain))


def _judge(distinct: Sequence[_Passing], layers: Sequence[LayerSignal], activation: str) -> tuple[str, str, str | None]:
    """Verdict, reason and first layer beyond the bounds, of the hidden layers; `distinct` has each shape's once."""
    if not layers:
        return "level", "no hidden layer: the input reaches the logits as it is", None
    alike = next((passing for passing in distinct if not passing.stddev), None)
    if alike:
        return "alike", f"every weight is {alike.mean:g}: all units of a layer are, and stay, the same", None
    shifted = next((passing.mean for passing in distinct if passing.mean), None)
    if shifted is not None:
        return "shifted", f"the weights' mean is {shifted:.3g}, not 0: the formula for centred weights fails", None
    return _judge_levels([layer.level or 0.0 for layer in layers], layers, activation)


def _judge_levels(
    levels: Sequence[float], layers: Sequence[LayerSignal], activation: str
) -> tuple[str, str, str | None]:
    if min(levels) >= FADED and max(levels) <= GROWN:
        return "level", f"signal is {levels[-1]:.3g} times the input's after {layers[-1].layer}", None
    crossed = next(index for index, level in enumerate(levels) if not FADED <= level <= GROWN)
    at, faded = layers[crossed].layer, levels[crossed] < FADED
    # Told of the layer where it is worst: in a stack of equal layers the last.
    worst = levels.index(min(levels) if faded else max(levels))
    gain = median(layer.gain or 0.0 for layer in layers[: worst + 1])
    there = f"by {layers[worst].layer} (gain {gain:.3g} a layer)"
    if faded:
        return "fades", f"signal fades to {levels[worst]:.3g} of the input's {there}", at
    if activation in SATURATING:
        return "saturates", f"{activation} saturates by {at}: gain {gain:.3g} a layer, but no output beyond 1", at
    return "grows", f"signal grows to {levels[worst]:.3g} times the input's {there}", at
