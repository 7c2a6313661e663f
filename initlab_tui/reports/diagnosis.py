"""Diagnoses and predictions as short text with signs and bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from initlab_tui.domain.initialization import kernel_draws
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.diagnosis import Diagnosis, diagnose_prediction
from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.layers.measurement import Measurement, relative_rms
from initlab_tui.domain.theory.composition import Prediction
from initlab_tui.domain.theory.mean_field import (
    predict,
)
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import two_digits
from initlab_tui.reports.sparkline import sparkline

# Each diagnosis has a sign, because colour alone must not carry information.
SIGNS = {
    "healthy": "✓",
    "vanishing_forward": "▽",
    "vanishing_backward": "◁",
    "exploding": "△",
    "saturated": "□",
    "dead": "✗",
    "symmetric": "=",
    "unknown": "?",
}
BARS = 10  # in a forecast
DECADES = 2.0  # the range of the bars, up and down


def sign(name: str) -> str:
    """Return the sign of a diagnosis; `?` if this version does not know it."""
    return SIGNS.get(name, SIGNS["unknown"])


def diagnosis_text(diagnosis: Diagnosis) -> Text:
    """Return a diagnosis with its sign."""
    style = "bold red" if diagnosis.has_problem else "bold green"
    return Text(f"{sign(diagnosis.name)} {plain(diagnosis.name.replace('_', ' '))}", style=style)


def forecast(initializer: Initializer, graph: LayerGraph, square: float) -> Text:
    """Return the prediction for an initializer in two lines: weight σ by layer; diagnosis and signal through depth.

    `square` is the mean square of the data. The bars are the logarithm of the signal relative to the input's, from
    1/100 to 100.
    """
    prediction = predict(initializer, graph, square)
    diagnosis = diagnose_prediction(initializer, graph, prediction, square)
    text = Text.assemble((plain(initializer.name.rpartition(".")[2]), "bold"))
    moments = [draw.moments() for draw in kernel_draws(initializer, graph)]
    text.append(f"  σ {_abbreviated([f'{each.stddev:.3g}' if each else '–' for each in moments])}\n ")
    if diagnosis.name == "unknown":
        return text.append(f"{SIGNS['unknown']} {plain(diagnosis.reason)}", style="yellow")
    text.append_text(diagnosis_text(diagnosis))
    if prediction and diagnosis.name != "symmetric":
        text.append(_through_depth(prediction, math.sqrt(square), diagnosis))
    return text


def _through_depth(prediction: Prediction, input_rms: float, diagnosis: Diagnosis) -> str:
    hidden = prediction.layers[:-1]
    if not hidden:
        return ""
    levels = [relative_rms(layer.activation_mean, layer.activation_std, input_rms) for layer in hidden]
    signal = [level for level in levels if not math.isnan(level)]
    if not signal:
        return ""
    shown = f" {bars(signal)} ×{two_digits(signal[-1])}"
    if diagnosis.name == "vanishing_backward":
        shown += f", gradient ×{two_digits(hidden[0].relative_grad_rms / hidden[-1].relative_grad_rms)}"
    return shown


def measurement_text(step: int, measurement: Measurement, diagnosis: Diagnosis) -> Text:
    """Return a measurement in one line: signal and gradient by layer, and the diagnosis with its layer.

    The bars are logarithms as in `forecast`: of the signal relative to the input's, and of the gradient relative to the
    last hidden layer's.
    """
    text = Text()
    if measurement.hidden:
        signal, gradient = relative_levels(measurement)
        text.append(f"{bars(signal)} signal  {bars(gradient)} gradient  ")
    text.append_text(diagnosis_text(diagnosis))
    where = f"{diagnosis.layer}, " if diagnosis.layer else ""
    return text.append(f" ({where}step {step})")


def relative_levels(measurement: Measurement) -> tuple[list[float], list[float]]:
    """Return the signal of each hidden layer relative to the input's, and its gradient relative to the last one's.

    Gradients are NaN if the last one is 0.
    """
    gradients = [layer.value("preactivation_grad_rms") for layer in measurement.hidden]
    last = (gradients[-1] if gradients else 0.0) or math.nan
    return [*measurement.relative_rms()[:-1]], [gradient / last for gradient in gradients]


def bars(ratios: Sequence[float]) -> str:
    """Draw the logarithms of ratios, from 1/100 to 100."""
    return sparkline([_decades(ratio) for ratio in ratios], BARS, low=-DECADES, high=DECADES)


def _decades(ratio: float) -> float:
    if math.isnan(ratio):
        return math.nan  # a gap
    return max(-DECADES, min(DECADES, math.log10(ratio))) if ratio > 0 else -DECADES


def _abbreviated(values: Sequence[str]) -> str:
    """Return a list such as `0.05, 0.18 ×9`, with equal neighbours combined and at most four entries."""
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    shown = [value if count == 1 else f"{value} ×{count}" for value, count in runs]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], "…", shown[-1]])
