"""What each diagnostic of a start is: its formula, how to read it, its source. Pure data.

Throughout: z = x·W + b are a layer's pre-activations, φ its activation, σw² = fan_in · Var(W), σb² the variance of
the biases, 0 in the lab's own networks; q is the mean square of z, L the loss, δ = ∂L/∂z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.errors import nearest
from initlab_tui.domain.layers.diagnosis import (
    LEAST_LEVEL,
    MOST_DEAD,
    MOST_LEVEL,
    MOST_LOSS,
    MOST_SATURATED,
    MOST_TWINS,
)


@dataclass(frozen=True)
class Term:
    """One diagnostic, verdict or statistic: `also` are other names that people look it up by."""

    name: str
    summary: str
    formula: str
    reading: str
    source: str
    also: tuple[str, ...] = ()


_HE = "He et al. 2015, ICCV"
_GLOROT = "Glorot & Bengio 2010, AISTATS"
_POOLE = "Poole et al. 2016, NeurIPS"
_SCHOENHOLZ = "Schoenholz et al. 2017, ICLR"
_SYMMETRY = "Goodfellow, Bengio & Courville 2016, Deep Learning, section 8.4"
_STUDENT = "Student 1908, Biometrika 6"

_TERMS = (
    Term(
        "fan_in",
        "how many inputs each unit of a layer has",
        "rows of a dense kernel W of shape (fan_in, fan_out)",
        "What keeps the signal level on its way forward depends on it: Var(W) = 1/fan_in for linear layers, 2/fan_in "
        "for ReLU.",
        f"{_GLOROT}, eq. 10; {_HE}, eq. 10",
    ),
    Term(
        "fan_out",
        "how many units a layer has",
        "columns of a dense kernel W of shape (fan_in, fan_out)",
        "What keeps the gradient level on its way back depends on it: Var(W) = 1/fan_out for linear layers, 2/fan_out "
        "for ReLU. Glorot's 2/(fan_in + fan_out) lies between the two fans.",
        f"{_GLOROT}, eq. 11 and 12; {_HE}, eq. 14",
    ),
    Term(
        "variance_gain",
        "factor on the signal's mean square at one layer",
        "gain = E[φ(z)²] / E[x²] = c · fan_in · Var(W) with zero biases and centred weights; c = 1 for linear layers, "
        "½ for ReLU",
        "1 keeps the signal level. A net multiplies its layers' gains: ten layers of 0.5 leave 0.001.",
        f"{_HE}, eq. 9 and 10",
        ("gain",),
    ),
    Term(
        "level",
        "size of the signal after a layer, relative to the input's",
        "level = root of the product of the variance gains up to there",
        f"Below {LEAST_LEVEL:g} in any hidden layer the verdict is vanishing_forward, above {MOST_LEVEL:g} exploding.",
        f"{_HE}, eq. 9; the bounds are this lab's",
        ("fades", "grows", "foretold"),
    ),
    Term(
        "length_map",
        "mean square of a layer's pre-activations, from that of the layer below",
        "q' = σw² E[φ(√q z)²] + σb², z ~ N(0, 1)",
        "Where it comes to rest, at q*, signals keep their size however deep the net; at q* = 0 they die out. ReLU's "
        "is a straight line: q grows or fades by σw²/2 a layer, and He's σw² = 2 keeps it. Holds for wide layers.",
        _POOLE,
    ),
    Term(
        "chi1",
        "factor on the squared difference of two nearly equal inputs at one layer",
        "χ1 = σw² E[φ'(√q* z)²], z ~ N(0, 1): the correlation map's slope at 1; for ReLU χ1 = σw²/2",
        "Below 1 (order) inputs become alike and gradients vanish; above 1 (chaos) near inputs part and gradients "
        "explode. The edge of chaos, χ1 = 1, lets the deepest nets train: σw² = 2 for ReLU; 1 for tanh without biases.",
        f"{_POOLE}; {_SCHOENHOLZ}",
        ("edge_of_chaos", "χ1"),
    ),
    Term(
        "correlation_map",
        "correlation of two inputs' pre-activations, from that at the layer below",
        "c' = (σw² E[φ(u)φ(v)] + σb²) / q', u and v Gaussian of mean square q and correlation c",
        "c = 1, equal inputs, always stays. Where q rests at q* the slope there is χ1: above 1 it repels, and inputs "
        "go to a correlation below 1 instead.",
        _POOLE,
    ),
    Term(
        "input_correlation",
        "correlation of two inputs through depth: whether a deep layer still tells them apart",
        "c_l = z_a·z_b / (|z_a| |z_b|), the two inputs' pre-activations at layer l",
        "Near 1 by the last layers: all inputs look the same to the logits. In order it nears 1 as exp(-l/ξ), with the "
        "depth scale ξ = -1/ln χ1, which has no bound at the edge of chaos.",
        _SCHOENHOLZ,
        ("correlation", "corr", "depth_scale"),
    ),
    Term(
        "preactivation_std",
        "standard deviation of a layer's pre-activations, over inputs and units",
        "std(z) over the (inputs, units) array; √q in theory, where weights are centred and biases zero",
        "Level through depth is good. It counts differences between units that are the same for every input too: "
        "sigmoid's pedestal of ½ can keep it up where nothing of the input is left.",
        _POOLE,
        ("std",),
    ),
    Term(
        "activation_std",
        "standard deviation of a layer's output, over inputs and units",
        "std(φ(z)) over the (inputs, units) array",
        "Towards 0 from layer to layer: little reaches the logits. Towards 1 with tanh: its units saturate. ReLU's "
        "mean is not 0, so its square is less than the mean square that the variance gain is of.",
        _GLOROT,
        ("act", "mean"),
    ),
    Term(
        "dead_units",
        "share of ReLU units that give 0 for every input that was tried",
        "share of units j with z_ij <= 0 for all inputs i",
        "A dead unit gets no gradient and does not learn. At the start the share does not tell Glorot from He: with "
        "zero biases, scaling weights by a positive factor changes no sign of a ReLU's input, in any layer.",
        "Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733",
    ),
    Term(
        "saturated_units",
        "share of outputs in the flat parts of tanh or sigmoid",
        "share of |tanh(z)| > 0.97 (|z| > 2.1); of sigmoid(z) outside 0.03 to 0.97 (|z| > 3.5)",
        "There tanh's slope is below 0.06, at its steepest 1, and sigmoid's below 0.03, at its steepest 0.25: little "
        "gradient passes. The weights are too large.",
        f"{_GLOROT}, section 3; the bounds are this lab's",
        ("flat",),
    ),
    Term(
        "gradient_std",
        "standard deviation of the loss's gradient in a layer",
        "std(∂L/∂z); E[δ_l²] = E[φ'²] · fan_out · Var(W) · E[δ_(l+1)²] with W the kernel above. That of the kernel "
        "follows: ∂L/∂W = xᵀδ",
        "Level from the logits to the first layer is good; falling, the first layers hardly learn; rising, they jump.",
        f"{_GLOROT}, eq. 6; {_SCHOENHOLZ}",
        ("back", "backprop_std"),
    ),
    Term(
        "gradient_ratio",
        "gradient of the first layer's kernel against that of the last one's",
        "‖∂L/∂W of the first layer‖ / ‖∂L/∂W of the last layer‖, Frobenius norms",
        "Far below 1 the first layer learns more slowly, far above faster. A kernel's gradient is made of the signal "
        "from below as well, and grows with the kernel's size: so a start that vanishes forward may have a ratio near "
        "1, and the verdict goes by the back-propagated gradient δ instead.",
        _GLOROT,
    ),
    Term(
        "update_ratio",
        "how far one step moves a kernel, relative to its size",
        "‖ΔW‖ / ‖W‖ for one training step, Frobenius norms",
        "About 1e-3 as a rule of thumb: much less and the layer hardly learns, much more and the step tears up the "
        "start. It depends on the optimizer and the learning rate; of W = 0 there is none.",
        "Karpathy, CS231n notes, Neural Networks part 3",
        ("update",),
    ),
    Term(
        "weight_cosine",
        "whether the units of a layer are the same: cosine of their incoming weights",
        "cos(w_i, w_j) = w_i·w_j / (|w_i| |w_j|), columns i ≠ j of W",
        "1 for all pairs: the symmetry is not broken, and the layer works as one unit. Of independent centred weights "
        "it is about 0 ± 1/√fan_in; of orthogonal columns 0.",
        _SYMMETRY,
        ("cos", "symmetry"),
    ),
    Term(
        "initial_loss",
        "loss before the first step, against that of guessing",
        "ln(classes) where all logits are equal, 2.303 for ten; at most ln(classes) + s²/2 on average where logits "
        "are N(0, s²) whatever the label",
        "Near ln(classes) is good. Far above: the logits are too large, and the first steps only undo that. Exactly "
        "ln(classes) may mean that the signal died out on its way. In the lab it is the loss on the probe: the same "
        "256 training images at every measurement.",
        "Karpathy, CS231n notes, Neural Networks part 3, sanity checks; the bound by Jensen's inequality",
        ("loss_at_step_0", "probe"),
    ),
    Term(
        "jacobian_singular_values",
        "how much the net stretches or shrinks each direction of its input",
        "singular values of J = ∂z_last/∂x, a product of D_l W_l with D_l = diag(φ'(z_l)); their mean square is χ1 to "
        "the power of the depth in wide layers of one width, where q = q*",
        "All near 1 is dynamical isometry: no direction fades or blows up. Square orthogonal kernels have it in linear "
        "nets, and come near it in tanh nets; Gaussian weights do not, nor do ReLU nets.",
        "Saxe, McClelland & Ganguli 2014, ICLR; Pennington, Schoenholz & Ganguli 2017, NeurIPS",
        ("dynamical_isometry", "isometry"),
    ),
    Term(
        "healthy",
        "verdict: none of the others was found",
        "signal and gradient level through depth, units alive, unsaturated and different",
        "Nothing was found that stands in the way of training; not that this start is the best: compare. Of several "
        "verdicts the first that holds is told: symmetric, exploding beyond floats, dead, saturated, vanishing_forward "
        "or exploding by layers, vanishing_backward or exploding gradient, exploding loss.",
        "this lab's",
        ("verdict",),
    ),
    Term(
        "vanishing_forward",
        "verdict: the signal fades on its way to the logits",
        f"variance gains below 1: their product nears 0 with depth; level below {LEAST_LEVEL:g}",
        "The logits hardly depend on the input, and the loss stays at ln(classes). Larger weights: He for ReLU, Glorot "
        "for tanh, fewer layers.",
        f"{_GLOROT}; {_HE}",
    ),
    Term(
        "vanishing_backward",
        "verdict: the gradient fades on its way to the first layer",
        "E[φ'²] · fan_out · Var(W) below 1 a layer; the first hidden layer's root mean square of ∂L/∂z below "
        f"{LEAST_LEVEL:g} times the last's",
        "The last layers learn and the first do not. Larger weights, or an activation that does not saturate.",
        "Bengio, Simard & Frasconi 1994, IEEE Transactions on Neural Networks 5",
    ),
    Term(
        "exploding",
        "verdict: signal or gradient grows with depth",
        f"level, or the first hidden layer's ∂L/∂z relative to the last's, above {MOST_LEVEL:g}; or a loss above "
        f"{MOST_LOSS:g} ln(classes)",
        "The loss at step 0 is far above ln(classes), and training diverges or takes tiny steps. Smaller weights.",
        f"{_HE}; Pascanu, Mikolov & Bengio 2013, ICML",
    ),
    Term(
        "saturated",
        "verdict: most of tanh's or sigmoid's outputs lie in the flat parts",
        f"saturated_units above {MOST_SATURATED:g} in a hidden layer",
        "Little gradient passes. Smaller weights: Glorot or LeCun.",
        _GLOROT,
    ),
    Term(
        "dead",
        "verdict: most ReLU units of a layer give 0 for every input",
        f"dead_units above {MOST_DEAD:g} in a hidden layer",
        "What is dead gets no gradient. At the start wider layers help, or leaky_relu; another scale of centred "
        "weights does not.",
        "Lu, Shin, Su & Karniadakis 2019, arXiv:1903.06733",
    ),
    Term(
        "symmetric",
        "verdict: the units of a layer are the same, and stay the same",
        f"more than {MOST_TWINS:g} of a layer's columns of W are parallel to another: with equal rows of the kernel "
        "above, equal outputs and gradients, so equal updates",
        "However wide, the layer is worth one unit. Draw the weights at random; biases may all be 0.",
        _SYMMETRY,
    ),
    Term(
        "t_interval",
        "95 % interval of a mean over seeds",
        "mean ± t(0.975, n - 1) · s/√n, s the standard deviation with n - 1",
        "Of intervals made so, 95 % hold the mean over all seeds, where values are about normal. It covers the "
        "seeds' spread on this one test set, and there is none for one seed.",
        _STUDENT,
        ("interval", "confidence_interval"),
    ),
    Term(
        "paired_difference",
        "difference of two starts, seed by seed",
        "d_i = accuracy of one - accuracy of the other with seed i; mean(d) ± t(0.975, n - 1) · s_d/√n",
        "Both saw the data in the same order, so what a seed does to both drops out. Where the interval holds 0, these "
        "seeds do not tell the two apart.",
        _STUDENT,
        ("vs",),
    ),
    Term(
        "reproduced",
        "what is said of a recipe's claim: reproduced, not reproduced, or not decided",
        "the t interval over the seeds lies wholly within what is claimed, wholly outside, or neither",
        "Not decided: the spread is too wide, or n too small, for these seeds to tell. A published figure has no "
        "interval of its own: it is held to a tolerance that the recipe states. A bound such as “at least 30 %” is "
        "this lab's reading of a claim in words; the recipe's notes say where it comes from.",
        "this lab's",
        ("not_reproduced", "not_decided", "undecided", "claim"),
    ),
)

GLOSSARY: Mapping[str, Term] = MappingProxyType({term.name: term for term in _TERMS})
_NAMES = {name: term for term in _TERMS for name in (term.name, *term.also)}


def find(name: str) -> Term:
    """The term of a name as a person may write it: `dead units`, `dead-units` and `Dead_Units` are one.

    Raises:
        ValueError: when there is none, with the nearest names.
    """
    written = "_".join(name.lower().replace("-", " ").split())
    if written in _NAMES:
        return _NAMES[written]
    if written in CATALOGUE:
        raise ValueError(f"{written} is an initializer: see initlab-tui initializers {written}")
    hint = nearest(written, [*_NAMES])
    raise ValueError(f"unknown diagnostic {name!r}: {hint}see initlab-tui explain for all of them")
