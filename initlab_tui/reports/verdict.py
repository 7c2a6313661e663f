"""What a network's layers are ill of, in signs and words, and a start's forecast in two short lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from initlab_tui.experiments.diagnosis import Health, Verdict, judge_prediction, level
from initlab_tui.experiments.meanfield import predict
from initlab_tui.experiments.spec import Initializer, Kernel
from initlab_tui.reports.sparkline import sparkline
from initlab_tui.reports.text import plain, two_digits

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


def figure_text(value: float | None) -> str:
    """Three significant digits; a dash where there is no such figure or it is no number."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3g}".replace("inf", "∞")


def verdict_text(verdict: Verdict) -> Text:
    """A verdict with its sign."""
    style = "bold red" if verdict.is_ill else "bold green"
    return Text(f"{SIGNS[verdict.name]} {WORDS[verdict.name]}", style=style)


def forecast(initializer: Initializer, kernels: Sequence[Kernel], activation: str, square: float) -> Text:
    """What theory foretells of a start, in two lines: weights' deviations, then verdict and signal through depth.

    `square` is the data's mean square. The bars are the logarithm of the signal relative to the input's, from a
    hundredth to a hundred times.
    """
    prediction = predict(initializer, kernels, activation, square)
    verdict = judge_prediction(initializer, kernels, prediction, activation, square)
    text = Text.assemble((plain(initializer.name.rpartition(".")[2]), "bold"))
    moments = [initializer.moments(*kernel[1:]) for kernel in kernels]
    text.append(f"  σ {_in_short([f'{each.stddev:.3g}' if each else '–' for each in moments])}\n ")
    hidden = prediction.layers[:-1] if prediction else ()
    if verdict.name == "unknown":
        return text.append(f"{SIGNS['unknown']} {plain(verdict.reason)}", style="yellow")
    text.append_text(verdict_text(verdict))
    if hidden and verdict.name != "symmetric":
        levels = [level(layer, math.sqrt(square)) for layer in hidden]
        text.append(f" {_bars(levels)} ×{two_digits(levels[-1])}")
        if verdict.name == "vanishing_backward":
            text.append(f", back ×{two_digits(hidden[0].gradient_std / hidden[-1].gradient_std)}")
    return text


def checkup_text(step: int, health: Health, verdict: Verdict) -> Text:
    """A measured network in one line: signal forward and gradient back by layer, and the verdict where it shows.

    The bars are logarithms as in a forecast: of the signal relative to the input's, and of the gradient relative
    to the last hidden layer's.
    """
    hidden = health.layers[:-1]
    text = Text()
    if hidden:
        forward, back = _levels(health)
        text.append(f"{_bars(forward)} signal  {_bars(back)} gradient  ")
    text.append_text(verdict_text(verdict))
    where = f"{verdict.layer}, " if verdict.layer else ""
    return text.append(f" ({where}step {step})")


def layer_lines(health: Health, verdict: Verdict, most: int) -> list[Text]:
    """A measured network layer by layer: a title, then up to `most` layers with bars as in `checkup_text`.

    Of more layers some are left out, but never the first, the last, and the one that the verdict names.
    """
    hidden, (forward, back) = health.layers[:-1], _levels(health)
    flat = any(layer.saturated is not None for layer in hidden)
    title = f"{'layer':<10}{'act σ':>8}   {'gradient':>8}   {'ΔW/W':>7}  {'flat' if flat else 'dead':>5}"
    lines, number, before = [Text(title, style="bold dim")], {layer.layer: n for n, layer in enumerate(hidden)}, -1
    for at in _some(len(hidden), most, number.get(verdict.layer)):
        layer = hidden[at]
        if at > before + 1:
            lines[-1].append(" ⋮", style="dim")
        before = at
        line = Text(f"{layer.layer:<10}{two_digits(layer.activation_std):>8} ")
        line.append(f"{_bars([forward[at]])} {two_digits(layer.gradient_norm):>8} ")
        line.append(f"{_bars([back[at]])} {two_digits(layer.update_ratio):>7}  ")
        line.append(f"{percent_of(layer.saturated if flat else layer.dead):>5}")
        if verdict.is_ill and layer.layer == verdict.layer:
            line.append(f" {SIGNS[verdict.name]}", style="bold red")
        lines.append(line)
    return lines


def percent_of(share: float | None) -> str:
    """A share in whole percent; a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def _some(count: int, most: int, wanted: int | None) -> list[int]:
    """Up to `most` of `count` numbers, spread from the first to the last, one of them the `wanted`."""
    if count <= most or most < 2:
        return list(range(min(count, max(most, 0))))
    found = [round(place * (count - 1) / (most - 1)) for place in range(most)]
    if wanted is not None and wanted not in found:
        nearest = min(range(1, most - 1), key=lambda place: abs(found[place] - wanted), default=0)
        found[nearest] = wanted
    return found


def _levels(health: Health) -> tuple[list[float], list[float]]:
    """Of the hidden layers: signal relative to the input's, gradient relative to the last one's; NaN by nothing."""
    hidden = health.layers[:-1]
    last = (hidden[-1].backprop_std if hidden else 0.0) or math.nan
    return [level(layer, health.network.input_rms) for layer in hidden], [layer.backprop_std / last for layer in hidden]


def _bars(levels: Sequence[float]) -> str:
    return sparkline([_decades(level) for level in levels], BARS, low=-DECADES, high=DECADES)


def _decades(level: float) -> float:
    if math.isnan(level):
        return math.nan  # a gap
    return max(-DECADES, min(DECADES, math.log10(level))) if level > 0 else -DECADES


def _in_short(values: Sequence[str]) -> str:
    """`0.05, 0.18 ×9`: neighbours that are the same once, and no more than four of them."""
    runs = [(value, len(list(same))) for value, same in groupby(values)]
    shown = [value if count == 1 else f"{value} ×{count}" for value, count in runs]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], "…", shown[-1]])
