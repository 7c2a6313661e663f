"""The terms that `explain` prints: layer metrics, the theory behind them, diagnoses and statistics.

Throughout: z = x·W + b are a layer's pre-activations, φ its activation, σw² = fan_in · Var(W), σb² the variance of
the biases, 0 in this program's networks; q is the mean square of z, L the loss, δ = ∂L/∂z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.claims import recipe_format
from initlab_tui.domain.errors import nearest, quoted
from initlab_tui.domain.layers.metric import NetworkMetric
from initlab_tui.domain.layers.metrics import LAYER_METRICS, NETWORK_METRICS
from initlab_tui.domain.layers.thresholds import DEAD, DUPLICATES, GRADIENT, LOSS, SATURATED, SIGNAL


@dataclass(frozen=True)
class Term:
    """A metric, diagnosis, statistic or other term; `also` are other names to look it up by.

    `details` are further explanations, each with its heading.
    """

    name: str
    summary: str
    formula: str
    reading: str
    source: str
    also: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()


_HE = "He et al. 2015, ICCV"
_GLOROT = "Glorot & Bengio 2010, AISTATS"
_POOLE = "Poole et al. 2016, NeurIPS"
_SCHOENHOLZ = "Schoenholz et al. 2017, ICLR"
_STUDENT = "Student 1908, Biometrika 6"

_THEORY = (
    Term(
        "fan_in",
        "the number of inputs of each unit of a layer",
        "rows of a dense kernel W of shape (fan_in, fan_out)",
        "It determines which weights keep the signal constant on its way forward: Var(W) = 1/fan_in for linear "
        "layers, 2/fan_in for ReLU.",
        f"{_GLOROT}, eq. 10; {_HE}, eq. 10",
    ),
    Term(
        "fan_out",
        "the number of units of a layer",
        "columns of a dense kernel W of shape (fan_in, fan_out)",
        "It determines which weights keep the gradient constant on its way back: Var(W) = 1/fan_out for linear "
        "layers, 2/fan_out for ReLU. Glorot's 2/(fan_in + fan_out) lies between the two fans.",
        f"{_GLOROT}, eq. 11 and 12; {_HE}, eq. 14",
    ),
    Term(
        "variance_gain",
        "factor on the signal's mean square at one layer",
        "gain = E[φ(z)²] / E[x²] = c · fan_in · Var(W) with zero biases and centred weights; c = 1 for linear layers, "
        "½ for ReLU",
        "1 keeps the signal constant. A network multiplies its layers' gains: ten layers of 0.5 leave 0.001.",
        f"{_HE}, eq. 9 and 10",
        ("gain",),
    ),
    Term(
        "relative_rms",
        "size of the signal after a layer, relative to the input's",
        "rms(φ(z)) / rms(x); in theory the root of the product of the variance gains up to there",
        f"Below {SIGNAL.low:g} in any hidden layer the diagnosis is vanishing_forward, above {SIGNAL.high:g} "
        "exploding.",
        f"{_HE}, eq. 9; the bounds are this program's",
        ("signal", "level", "predicted"),
    ),
    Term(
        "length_map",
        "mean square of a layer's pre-activations, from that of the layer below",
        "q' = σw² E[φ(√q z)²] + σb², z ~ N(0, 1)",
        "At its fixed point q* signals keep their size however deep the network; at q* = 0 they vanish. ReLU's is a "
        "straight line: q grows or falls by σw²/2 per layer, and He's σw² = 2 keeps it. Holds for wide layers.",
        _POOLE,
    ),
    Term(
        "chi1",
        "factor on the squared difference of two nearly equal inputs at one layer",
        "χ1 = σw² E[φ'(√q* z)²], z ~ N(0, 1): the correlation map's slope at 1; for ReLU χ1 = σw²/2",
        "Below 1 (order) inputs become more similar and gradients vanish; above 1 (chaos) nearby inputs diverge and "
        "gradients explode. The edge of chaos, χ1 = 1, allows the deepest networks: σw² = 2 for ReLU; 1 for tanh "
        "without biases.",
        f"{_POOLE}; {_SCHOENHOLZ}",
        ("edge_of_chaos", "χ1"),
    ),
    Term(
        "correlation_map",
        "correlation of two inputs' pre-activations, from that at the layer below",
        "c' = (σw² E[φ(u)φ(v)] + σb²) / q', u and v Gaussian of mean square q and correlation c",
        "c = 1, equal inputs, is always a fixed point. At q = q* the slope there is χ1: above 1 it repels, and inputs "
        "approach a correlation below 1 instead.",
        _POOLE,
    ),
)

_DIAGNOSES = (
    Term(
        "healthy",
        "diagnosis: none of the problems was found",
        "signal and gradient constant through depth; units alive, unsaturated and different",
        "Nothing was found that prevents training. Other initializers may still be better: compare them. The first "
        "problem in this order is reported: symmetric, exploding beyond floats, dead, saturated, vanishing_forward "
        "or exploding by layers, vanishing_backward or exploding gradient, exploding loss.",
        "this program's",
        ("diagnosis", "verdict"),
    ),
    Term(
        "vanishing_forward",
        "diagnosis: the signal vanishes on its way to the logits",
        f"variance gains below 1: their product approaches 0 with depth; relative_rms below {SIGNAL.low:g}",
        "The logits hardly depend on the input, and the loss stays at ln(classes). Use larger weights (He for ReLU, "
        "Glorot for tanh) or fewer layers.",
        f"{_GLOROT}; {_HE}",
    ),
    Term(
        "vanishing_backward",
        "diagnosis: the gradient vanishes on its way to the first layer",
        "E[φ'²] · fan_out · Var(W) below 1 per layer; preactivation_grad_rms of the first hidden layer below "
        f"{GRADIENT.low:g} times the last one's",
        "The last layers learn and the first do not. Use larger weights, or an activation that does not saturate.",
        "Bengio, Simard & Frasconi 1994, IEEE Transactions on Neural Networks 5",
    ),
    Term(
        "exploding",
        "diagnosis: signal or gradient grows with depth",
        f"relative_rms, or the first hidden layer's preactivation_grad_rms relative to the last one's, above "
        f"{SIGNAL.high:g}; or a loss above {LOSS.high:g} ln(classes)",
        "The loss at step 0 is far above ln(classes), and training diverges or takes tiny steps. Use smaller weights.",
        f"{_HE}; Pascanu, Mikolov & Bengio 2013, ICML",
    ),
    Term(
        "saturated",
        "diagnosis: most of tanh's or sigmoid's outputs lie in the flat parts",
        f"saturated_share above {SATURATED.high:g} in a hidden layer",
        "Little gradient passes. Use smaller weights: Glorot or LeCun.",
        _GLOROT,
    ),
    Term(
        "dead",
        "diagnosis: most ReLU units of a layer output 0 for every input",
        f"dead_share above {DEAD.high:g} in a hidden layer",
        "Dead units get no gradient. Before training wider layers help, or leaky_relu; another scale of centred "
        "weights does not.",
        "Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733",
    ),
    Term(
        "symmetric",
        "diagnosis: the units of a layer are the same, and stay the same",
        f"duplicate_units above {DUPLICATES.high:g} in a hidden layer: with equal rows of the kernel above, equal "
        "outputs and gradients, so equal updates",
        "However wide it is, the layer is equivalent to one unit. Draw the weights at random; biases may all be 0.",
        "Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4",
    ),
)

_STATISTICS = (
    Term(
        "t_interval",
        "95 % interval of a mean over seeds",
        "mean ± t(0.975, n - 1) · s/√n, s the standard deviation with n - 1",
        "95 % of such intervals contain the mean over all seeds if the values are approximately normal. It covers the "
        "variation over seeds on this test set, and does not exist for a single seed.",
        _STUDENT,
        ("interval", "confidence_interval"),
    ),
    Term(
        "paired_difference",
        "difference of two initializers, seed by seed",
        "d_i = accuracy of one - accuracy of the other with seed i; mean(d) ± t(0.975, n - 1) · s_d/√n",
        "Both get the data in the same order, so the common effect of a seed cancels. If the interval contains 0, "
        "these seeds do not distinguish the two.",
        _STUDENT,
        ("vs",),
    ),
    Term(
        "recipe",
        recipe_format.SUMMARY,
        recipe_format.LAYOUT,
        recipe_format.READING,
        "this program's",
        ("experiment", "recipe_file"),
        recipe_format.FIELDS,
    ),
    Term(
        "reproduced",
        "the result of a recipe's claim: reproduced, not reproduced, or undecided",
        "the t interval over the seeds lies entirely within the claimed range, entirely outside, or neither",
        "Undecided: the interval crosses a bound, or there are too few seeds. A published figure has no "
        "interval of its own, so the recipe states a tolerance. A bound such as “at least 30 %” is this program's "
        "reading of a claim in words; the recipe's notes say where it comes from.",
        "this program's",
        ("not_reproduced", "undecided", "claim"),
    ),
)


def _term(metric: NetworkMetric) -> Term:
    symbol = "" if metric.symbol in metric.formula else f"{metric.symbol}: "
    unit = f" ({metric.unit})" if metric.unit == "nats" else ""
    reading = metric.reading
    if metric.problem:
        times = f" times {metric.problem.relative_to}" if metric.problem.relative_to else ""
        reading += f" Healthy: {metric.problem.healthy}{times}."
    return Term(metric.name, metric.summary, f"{symbol}{metric.formula}{unit}", reading, metric.source, metric.also)


GLOSSARY: Mapping[str, Term] = MappingProxyType(
    {
        term.name: term
        for term in (
            *_THEORY,
            *map(_term, LAYER_METRICS.values()),
            *map(_term, NETWORK_METRICS.values()),
            *_DIAGNOSES,
            *_STATISTICS,
        )
    }
)


def _normalized(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").split())


# If a heading is also the name of a term, such as `dead`, it means the term.
_BY_HEADING = {_normalized(metric.heading): GLOSSARY[metric.name] for metric in LAYER_METRICS.values()}
_BY_NAME = _BY_HEADING | {name: term for term in GLOSSARY.values() for name in (term.name, *term.also)}


def find(name: str) -> Term:
    """Return the term with this name in any spelling: `dead share`, `dead-share` and `Dead_Share` are the same.

    Raises:
        ValueError: if there is none; the message has the nearest names.
    """
    written = _normalized(name)
    if written in _BY_NAME:
        return _BY_NAME[written]
    if written in CATALOGUE:
        raise ValueError(f"{written} is an initializer: see initlab-tui initializers {written}")
    hint = nearest(written, [*_BY_NAME])
    raise ValueError(f"unknown term {quoted(name)}: {hint}see initlab-tui explain for all of them")
