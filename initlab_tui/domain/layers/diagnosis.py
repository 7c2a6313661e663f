"""What the figures of a network's layers say: healthy, or ill of what, with the reason.

All thresholds stand here. They apply to measured figures (`training/layer_measurement.py`) and to predicted ones
(`domain/theory/mean_field.py`) alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from initlab_tui.domain.spec import Initializer, LayerShape
from initlab_tui.domain.theory.mean_field import LayerPrediction, Prediction

# A signal's root mean square, as a multiple of the input's; and a back-propagated gradient's, of the last hidden
# layer's. That the one neither vanish nor explode is the condition of Glorot & Bengio 2010 (AISTATS, section 4.2)
# and He et al. 2015 (ICCV, section 2.2), which give no bound. A factor of ten, a hundred in variance, is ours: with
# Adam on MNIST a net with a level of 0.6 trains as well as one with 1, and those beyond these bounds do not.
LEAST_LEVEL, MOST_LEVEL = 0.1, 10.0
# Where more than half of a layer's outputs are in the flat parts, more than half of the gradient stops there.
MOST_SATURATED = 0.5
# |tanh| > 0.97 has a slope below 0.06; a sigmoid outside 0.03..0.97 one below 0.03, an eighth of its steepest.
TANH_FLAT, SIGMOID_FLAT = 0.97, 0.03
# A ReLU net is born dead when a whole layer gives nothing (Lu, Shin, Su & Karniadakis 2020, Dying ReLU and
# Initialization). Single dead units are no illness: deep in a net with zero biases about half are on for every
# input and half are off, with any variance of the weights, since scaling them cannot change a ReLU's sign. So this
# share does not tell Glorot from He.
MOST_DEAD = 0.95
# Two units with parallel weights compute one feature and get one gradient: they stay so (Goodfellow, Bengio &
# Courville 2016, Deep Learning, section 8.4). Below a few inputs random units are parallel by chance.
PARALLEL, MOST_TWINS, LEAST_FAN_IN = 0.9999, 0.5, 8
# Logits near 0 have a loss of ln(classes); one many times that is confident, and wrong.
MOST_LOSS = 10.0
HAS_LEARNED = 0.5  # of ln(classes)

VERDICTS = ("healthy", "vanishing_forward", "vanishing_backward", "exploding", "saturated", "dead", "symmetric")
FLAT = {"tanh": math.atanh(TANH_FLAT), "sigmoid": math.log(1 / SIGMOID_FLAT - 1)}  # |z| from which they are flat


class LayerStatistics(NamedTuple):
    """One layer on a probe batch. Means and deviations are over inputs and units at once.

    - `dead`: share of units that are 0 on the whole batch, of relu; `saturated`: share of outputs in the flat
      parts, of tanh and sigmoid. None for other activations, and for the logits.
    - `gradient_norm`, `gradient_std`: of ∂loss/∂kernel. `backprop_std`: root mean square of ∂loss/∂pre-activation,
      which Glorot & Bengio 2010 call the back-propagated gradient.
    - `update_ratio`: ‖ΔW‖/‖W‖ of the last step; None where none was taken.
    - `cosine`: the largest |cosine| between two units' weights; `twins`: share of units that have one as good as
      parallel, or no weights at all. Of the first 256 units.
    - `correlation`: mean cosine between two inputs' pre-activations: 1 where the layer cannot tell inputs apart.
    """

    layer: str
    preactivation_mean: float
    preactivation_std: float
    activation_mean: float
    activation_std: float
    dead: float | None
    saturated: float | None
    gradient_norm: float
    gradient_std: float
    backprop_std: float
    update_ratio: float | None
    cosine: float
    twins: float
    correlation: float


class NetworkStatistics(NamedTuple):
    """A network on a probe batch.

    `chance_loss` is ln(classes); `gradient_ratio` the first kernel's gradient norm over the logits'. The singular
    values are those of ∂logits/∂input at some probe inputs: the mean of their squares, and the median over inputs
    of the largest over the smallest (Saxe et al. 2014; Pennington, Schoenholz & Ganguli 2017).
    """

    input_rms: float
    loss: float
    chance_loss: float
    gradient_ratio: float
    jacobian_mean_square: float
    jacobian_condition: float


@dataclass(frozen=True)
class Measurement:
    """A network's layers, the logits last, and the network as a whole."""

    layers: tuple[LayerStatistics, ...]
    network: NetworkStatistics


@dataclass(frozen=True)
class Diagnosis:
    """One of VERDICTS, or `unknown` where theory is silent; why, with figures; and the layer that shows it."""

    name: str
    reason: str
    layer: str = ""

    @property
    def has_problem(self) -> bool:
        return self.name not in ("healthy", "unknown")


class Findings(NamedTuple):
    """What a hidden layer is judged by: its level relative to the input's, and what comes back to it as gradient."""

    layer: str
    level: float
    backward: float
    dead: float | None
    saturated: float | None
    twins: float | None


def relative_rms(layer: LayerStatistics | LayerPrediction, input_rms: float) -> float:
    """Root mean square of a layer's activations, relative to that of the data; NaN where the data is all 0."""
    return math.hypot(layer.activation_mean, layer.activation_std) / input_rms if input_rms else math.nan


def diagnose(health: Measurement) -> Diagnosis:
    """What a network that was measured is ill of."""
    whole = health.network
    *hidden, logits = (
        Findings(
            layer.layer,
            relative_rms(layer, whole.input_rms),
            layer.backprop_std,
            layer.dead,
            layer.saturated,
            layer.twins,
        )
        for layer in health.layers
    )
    if whole.loss < HAS_LEARNED * whole.chance_loss:
        # The bounds are those of a start: a net that has learned has grown its signal, and has no gradient left.
        return Diagnosis(
            "healthy", f"it has learned: the loss is {whole.loss:.2g}, of guessing {whole.chance_loss:.3g}"
        )
    found = _judge(hidden, logits.backward)
    if found.name == "healthy" and not whole.loss <= MOST_LOSS * whole.chance_loss:
        reason = f"the loss is {whole.loss:.3g}, of logits near 0 it is {whole.chance_loss:.3g}"
        return Diagnosis("exploding", f"{reason} (healthy: up to {MOST_LOSS:g} times that)", logits.layer)
    return found


def diagnose_prediction(
    initializer: Initializer,
    kernels: Sequence[LayerShape],
    prediction: Prediction | None,
    activation: str,
    square: float,
) -> Diagnosis:
    """What a network is expected to be ill of; `square` is the data's E[x²].

    `prediction` is None where theory is silent.
    """
    moments = [initializer.moments(*kernel[1:]) for kernel in kernels]
    known = [moment for moment in moments if moment]
    if len(known) < len(moments):
        fitted = "no formula: it is fitted to the data when training starts"
        own = "no formula for your own initializer: training shows what it does"
        return Diagnosis("unknown", fitted if initializer.is_data_dependent else own)
    if len(kernels) > 1 and not known[0].variance:
        return Diagnosis("symmetric", f"every weight is {known[0].mean:g}: all units of a layer are alike and stay so")
    if prediction is None:
        mean = next((moment.mean for moment in known if moment.mean), 0.0)
        return Diagnosis("unknown", f"no theory: the weights' mean is {mean:.3g}, not 0")
    return _judge([*_foretold(prediction, activation, square)], 1.0)


def _foretold(prediction: Prediction, activation: str, square: float) -> Iterable[Findings]:
    for layer in prediction.layers[:-1]:
        flat = FLAT.get(activation)
        spread = layer.predicted_std * math.sqrt(2)
        saturated = None if flat is None else math.erfc(flat / spread) if spread else 0.0
        yield Findings(layer.layer, relative_rms(layer, math.sqrt(square)), layer.gradient_std, None, saturated, None)


def _judge(hidden: Sequence[Findings], at_logits: float) -> Diagnosis:
    """The gravest illness first: one that follows from another is not told instead of it."""
    if not hidden:
        return Diagnosis("healthy", "no hidden layer: the input reaches the logits as it is")
    return (
        _share("symmetric", hidden, "twins", MOST_TWINS, "units have the weights of another: they learn as one")
        or _not_finite(hidden)
        or _share("dead", hidden, "dead", MOST_DEAD, "units give 0 for every input")
        or _share("saturated", hidden, "saturated", MOST_SATURATED, "outputs are in the flat parts")
        or _forward(hidden)
        or _backward(hidden, at_logits)
        or _healthy(hidden)
    )


def _share(name: str, hidden: Sequence[Findings], symptom: str, most: float, told: str) -> Diagnosis | None:
    """Whether more than so much of a layer has a symptom; told of the layer where it is worst."""
    shares = [getattr(layer, symptom) or 0.0 for layer in hidden]
    worst = shares.index(max(shares))
    if shares[worst] <= most:
        return None
    layer = hidden[worst].layer
    return Diagnosis(name, f"{shares[worst]:.0%} of {layer}'s {told} (healthy: up to {most:.0%})", layer)


def _not_finite(hidden: Sequence[Findings]) -> Diagnosis | None:
    # A signal beyond floats makes every gradient so: it is told first.
    for symptom, told in (("level", "the signal"), ("backward", "the gradient")):
        layer = next((each.layer for each in hidden if not math.isfinite(getattr(each, symptom))), None)
        if layer:
            return Diagnosis("exploding", f"{told} is beyond the range of floats in {layer}", layer)
    return None


def _forward(hidden: Sequence[Findings]) -> Diagnosis | None:
    crossed = next((layer for layer in hidden if not LEAST_LEVEL <= layer.level <= MOST_LEVEL), None)
    if crossed is None:
        return None
    # Told of the layer where it is worst: in a stack of equal layers the last.
    if crossed.level < LEAST_LEVEL:
        worst = min(hidden, key=lambda layer: layer.level)
        name, verb = "vanishing_forward", "falls"
    else:
        worst = max(hidden, key=lambda layer: layer.level)
        name, verb = "exploding", "grows"
    reason = f"the signal {verb} to {worst.level:.2g} times the input's by {worst.layer}"
    return Diagnosis(name, f"{reason} (healthy: {_bounds()}; beyond that from {crossed.layer} on)", crossed.layer)


def _backward(hidden: Sequence[Findings], at_logits: float) -> Diagnosis | None:
    top = hidden[-1].backward
    ratio = hidden[0].backward / top if top else math.nan if at_logits else 1.0
    if LEAST_LEVEL <= ratio <= MOST_LEVEL:
        return None
    if ratio > MOST_LEVEL:
        reason = f"the gradient that reaches {hidden[0].layer} is {ratio:.2g} times {hidden[-1].layer}'s"
        return Diagnosis("exploding", f"{reason} (healthy: {_bounds()})", hidden[0].layer)
    shown = "0" if math.isnan(ratio) else f"{ratio:.2g}"
    reason = f"the gradient that reaches {hidden[0].layer} is {shown} times {hidden[-1].layer}'s"
    return Diagnosis("vanishing_backward", f"{reason} (healthy: {_bounds()})", hidden[0].layer)


def _healthy(hidden: Sequence[Findings]) -> Diagnosis:
    last = hidden[-1]
    return Diagnosis("healthy", f"{last.layer} has {last.level:.2g} times the input's signal")


def _bounds() -> str:
    return f"{LEAST_LEVEL:g} to {MOST_LEVEL:g}"
