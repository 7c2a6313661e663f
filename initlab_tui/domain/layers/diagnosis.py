"""Diagnose a network from the statistics of its layers: healthy, or which problem it has and why.

The bounds (`thresholds.py`) apply to measured statistics (`training/layer_measurement.py`) and to predicted ones
(`domain/theory/mean_field.py`) alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from initlab_tui.domain.initialization import kernel_draws
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.layers.measurement import LayerStatistics, Measurement, relative_rms
from initlab_tui.domain.layers.thresholds import (
    DEAD,
    DUPLICATES,
    FLAT,
    GRADIENT,
    LEARNED,
    LOSS,
    SATURATED,
    SIGNAL,
    Outside,
)
from initlab_tui.domain.theory.composition import Prediction

DIAGNOSES = ("healthy", "vanishing_forward", "vanishing_backward", "exploding", "saturated", "dead", "symmetric")


@dataclass(frozen=True)
class Diagnosis:
    """One of DIAGNOSES, or `unknown` if there is no prediction; the reason with figures; and the layer it refers to."""

    name: str
    reason: str
    layer: str = ""

    @property
    def has_problem(self) -> bool:
        return self.name not in ("healthy", "unknown")


class Findings(NamedTuple):
    """What the diagnosis uses of a hidden layer.

    `signal` is the root mean square of the activations relative to the input's, `gradient` that of ∂L/∂z. Values
    are None if they do not apply or are not predicted.
    """

    layer: str
    signal: float
    gradient: float | None
    dead_share: float | None
    saturated_share: float | None
    duplicate_units: float | None


def diagnose(measurement: Measurement) -> Diagnosis:
    """Diagnose a measured network."""
    loss, chance_loss = measurement.network.value("loss"), measurement.network.value("chance_loss")
    if loss < LEARNED * chance_loss:
        # The bounds are for untrained networks: one that has learned has grown its signal, and has no gradient left.
        return Diagnosis("healthy", f"the network has learned: its loss is {loss:.2g}, guessing has {chance_loss:.3g}")
    logits = measurement.layers[-1]
    found = _root_cause(_measured_findings(measurement), logits.value("preactivation_grad_rms"))
    if found.name == "healthy" and not loss <= LOSS.high * chance_loss:
        reason = f"the loss is {loss:.3g}, logits near 0 have {chance_loss:.3g}"
        return Diagnosis("exploding", f"{reason} (healthy: {LOSS.healthy} times that)", logits.layer)
    return found


def diagnose_prediction(
    initializer: Initializer, graph: LayerGraph, prediction: Prediction | None, square: float
) -> Diagnosis:
    """Diagnose a network before training; `square` is E[x²] of the data.

    `prediction` is None if the theory does not apply.
    """
    layers = graph.layers
    moments = [draw.moments() for draw in kernel_draws(initializer, graph)]
    known = [moment for moment in moments if moment]
    if len(known) < len(moments):
        return Diagnosis("unknown", _no_formula(initializer))
    if len(layers) > 1 and not known[0].variance:
        weight = f"{known[0].mean:g}"
        return Diagnosis("symmetric", f"every weight is {weight}: all units of a layer are identical and remain so")
    if prediction is None:
        mean = next((moment.mean for moment in known if moment.mean), 0.0)
        return Diagnosis("unknown", f"no prediction: the weights have a mean of {mean:.3g}, and theory assumes 0")
    findings = [*_predicted_findings(prediction, graph, square)]
    if prediction.reason and not findings:
        return Diagnosis("unknown", f"no prediction: {prediction.reason}")
    return _root_cause(findings, 1.0)


def _no_formula(initializer: Initializer) -> str:
    if initializer.is_data_dependent:
        return "no prediction: the weights are fitted to the data when training starts"
    if initializer.is_imported:
        return "no prediction for a custom initializer: training measures it"
    return "no prediction for this initializer: training measures it"


def _measured_findings(measurement: Measurement) -> list[Findings]:
    silent = [_outputs_nothing(layer) for layer in measurement.hidden]
    return [
        Findings(
            layer.layer,
            signal,
            layer.value("preactivation_grad_rms"),
            layer["dead_share"],
            layer["saturated_share"],
            # The last layer of a residual branch may be 0 at first: the layers after it make its units different.
            None if is_silent and not all(silent) else layer["duplicate_units"],
        )
        for layer, signal, is_silent in zip(measurement.hidden, measurement.relative_rms(), silent, strict=False)
    ]


def _outputs_nothing(layer: LayerStatistics) -> bool:
    return layer["preactivation_mean"] == 0 and layer["preactivation_std"] == 0


def _predicted_findings(prediction: Prediction, graph: LayerGraph, square: float) -> Iterable[Findings]:
    for layer, node in zip(prediction.layers[:-1], graph.layers, strict=False):
        if math.isnan(layer.activation_std):
            continue
        flat = FLAT.get(node.activation)
        spread = layer.preactivation_std * math.sqrt(2)
        saturated = None if flat is None else math.erfc(flat / spread) if spread else 0.0
        signal = relative_rms(layer.activation_mean, layer.activation_std, math.sqrt(square))
        gradient = None if math.isnan(layer.relative_grad_rms) else layer.relative_grad_rms
        yield Findings(layer.layer, signal, gradient, None, saturated, None)


def _root_cause(hidden: Sequence[Findings], gradient_at_logits: float) -> Diagnosis:
    """Report the root cause first, in this order of priority: the later problems follow from the earlier ones."""
    if not hidden:
        return Diagnosis("healthy", "no hidden layer: the input reaches the logits directly")
    return (
        _share("symmetric", hidden, "duplicate_units", DUPLICATES, "units duplicate another unit")
        or _not_finite(hidden)
        or _share("dead", hidden, "dead_share", DEAD, "units output 0 for every input")
        or _share("saturated", hidden, "saturated_share", SATURATED, "outputs are saturated")
        or _signal(hidden)
        or _gradient(hidden, gradient_at_logits)
        or _healthy(hidden)
    )


def _share(name: str, hidden: Sequence[Findings], share: str, problem: Outside, words: str) -> Diagnosis | None:
    """Find the layer in which `share` is largest, and return a diagnosis if the value is a problem."""
    shares = [getattr(layer, share) or 0.0 for layer in hidden]
    worst = shares.index(max(shares))
    if not problem.has(shares[worst]):
        return None
    layer = hidden[worst].layer
    return Diagnosis(name, f"{shares[worst]:.0%} of {layer}'s {words} (healthy: {problem.healthy})", layer)


def _not_finite(hidden: Sequence[Findings]) -> Diagnosis | None:
    # If the signal overflows, so does every gradient: report the signal.
    for quantity in ("signal", "gradient"):
        values = {each.layer: getattr(each, quantity) for each in hidden}
        layer = next((name for name, value in values.items() if value is not None and not math.isfinite(value)), None)
        if layer:
            return Diagnosis("exploding", f"the {quantity} exceeds the range of floats in {layer}", layer)
    return None


def _signal(hidden: Sequence[Findings]) -> Diagnosis | None:
    crossed = next((layer for layer in hidden if SIGNAL.has(layer.signal)), None)
    if crossed is None:
        return None
    # Report the value where it is worst: in a stack of equal layers the last.
    if crossed.signal < SIGNAL.low:
        worst = min(hidden, key=lambda layer: layer.signal)
        name, change = "vanishing_forward", f"falls to {worst.signal:.2g} of the input's"
    else:
        worst = max(hidden, key=lambda layer: layer.signal)
        name, change = "exploding", f"grows to {worst.signal:.2g} times the input's"
    reason = f"the signal {change} by {worst.layer}"
    return Diagnosis(name, f"{reason} (healthy: {SIGNAL.healthy}; first outside at {crossed.layer})", crossed.layer)


def _gradient(hidden: Sequence[Findings], at_logits: float) -> Diagnosis | None:
    known = [layer for layer in hidden if layer.gradient is not None]
    reached = [layer for layer in known if layer.gradient != 0]
    if not known or (at_logits and not reached):
        return None  # the kernel of the logits is 0: after the first step gradients reach every layer
    # Gradients flow from the end, so a layer without one behind a layer with one is in a branch that is scaled by 0.
    first, last = known[0], reached[-1] if reached else known[-1]
    ratio = (first.gradient or 0.0) / last.gradient if last.gradient else math.nan if at_logits else 1.0
    if not GRADIENT.has(ratio):
        return None
    if ratio > GRADIENT.high:
        name, size = "exploding", f"{ratio:.2g} times that at"
    else:
        name, size = "vanishing_backward", f"{'0' if math.isnan(ratio) else f'{ratio:.2g}'} of that at"
    reason = f"the gradient at {first.layer} is {size} {last.layer}"
    return Diagnosis(name, f"{reason} (healthy: {GRADIENT.healthy})", first.layer)


def _healthy(hidden: Sequence[Findings]) -> Diagnosis:
    last = hidden[-1]
    return Diagnosis("healthy", f"the signal at {last.layer} is {last.signal:.2g} of the input's")
