"""What a network's layers are ill of, in signs and words, and a start's forecast in two short lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from initlab_tui.domain.layers.diagnosis import Diagnosis, Measurement, diagnose_prediction, relative_rms
from initlab_tui.domain.spec import Initializer, LayerShape
from initlab_tui.domain.theory.mean_field import predict
from initlab_tui.reports.format import plain, two_digits
from initlab_tui.reports.sparkline import sparkline

# Never by colour alone: each verdict has its sign.
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
WORDS = {name: name.replace("_", " ") for name in SIGNS}
BARS = 10  # of a forecast
DECADES = 2.0  # up and down that they show


def verdict_text(verdict: Diagnosis) -> Text:
    """A verdict with its sign."""
    style = "bold red" if verdict.has_problem else "bold green"
    return Text(f"{SIGNS[verdict.name]} {WORDS[verdict.name]}", style=style)


def forecast(initializer: Initializer, kernels: Sequence[LayerShape], activation: str, square: float) -> Text:
    """What theory foretells of a start, in two lines: weights' deviations, then verdict and signal through depth.

    `square` is the data's mean square. The bars are the logarithm of the signal relative to the input's, from a
    hundredth to a hundred times.
    """
    prediction = predict(initializer, kernels, activation, square)
    verdict = diagnose_prediction(initializer, kernels, prediction, activation, square)
    text = Text.assemble((plain(initializer.name.rpartition(".")[2]), "bold"))
    moments = [initializer.moments(*kernel[1:]) for kernel in kernels]
    text.append(f"  σ {_in_short([f'{each.stddev:.3g}' if each else '–' for each in moments])}\n ")
    hidden = prediction.layers[:-1] if prediction else ()
    if verdict.name == "unknown":
        return text.append(f"{SIGNS['unknown']} {plain(verdict.reason)}", style="yellow")
    text.append_text(verdict_text(verdict))
    if hidden and verdict.name != "symmetric":
        through = [relative_rms(layer, math.sqrt(square)) for layer in hidden]
        text.append(f" {bars(through)} ×{two_digits(through[-1])}")
        if verdict.name == "vanishing_backward":
            text.append(f", back ×{two_digits(hidden[0].gradient_std / hidden[-1].gradient_std)}")
    return text


def checkup_text(step: int, health: Measurement, verdict: Diagnosis) -> Text:
    """A measured network in one line: signal forward and gradient back by layer, and the verdict where it shows.

    The bars are logarithms as in a forecast: of the signal relative to the input's, and of the gradient relative
    to the last hidden layer's.
    """
    hidden = health.layers[:-1]
    text = Text()
    if hidden:
        forward, back = levels(health)
        text.append(f"{bars(forward)} signal  {bars(back)} gradient  ")
    text.append_text(verdict_text(verdict))
    where = f"{verdict.layer}, " if verdict.layer else ""
    return text.append(f" ({where}step {step})")


def levels(health: Measurement) -> tuple[list[float], list[float]]:
    """Of the hidden layers: signal relative to the input's, gradient relative to the last one's; NaN by nothing."""
    hidden = health.layers[:-1]
    last = (hidden[-1].backprop_std if hidden else 0.0) or math.nan
    return [relative_rms(layer, health.network.input_rms) for layer in hidden], [
        layer.backprop_std / last for layer in hidden
    ]


def bars(ratios: Sequence[float]) -> str:
    """Their logarithms, from a hundredth to a hundred times."""
    return sparkline([_decades(ratio) for ratio in ratios], BARS, low=-DECADES, high=DECADES)


def _decades(ratio: float) -> float:
    if math.isnan(ratio):
        return math.nan  # a gap
    return max(-DECADES, min(DECADES, math.log10(ratio))) if ratio > 0 else -DECADES


def _in_short(values: Sequence[str]) -> str:
    """`0.05, 0.18 ×9`: neighbours that are the same once, and no more than four of them."""
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    shown = [value if count == 1 else f"{value} ×{count}" for value, count in runs]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], "…", shown[-1]])
