"""The layers of a network, as tables for a terminal."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.experiments.diagnosis import LayerHealth
from initlab_tui.experiments.inspection import Inspection
from initlab_tui.experiments.meanfield import LayerPrediction
from initlab_tui.reports.tables import table
from initlab_tui.reports.text import cell, initializer_name, plain
from initlab_tui.reports.verdict import verdict_text


def figure(value: float | None) -> str:
    """Three significant digits; a dash where there is no such figure or it is not finite."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.3g}"


def share(value: float | None) -> str:
    """A share in percent; a dash where there is none."""
    return "–" if value is None else f"{100 * value:.0f} %"


def inspection_page(found: Inspection) -> RenderableType:
    """One start: verdicts, and its layers foretold and measured."""
    head = Text.assemble((plain(initializer_name(found.initializer)), "bold"), "  ", verdict_text(found.verdict))
    head.append(f": {plain(found.verdict.reason)}")
    foretold = Text.assemble(("foretold  ", "dim"), verdict_text(found.foretold), f": {found.foretold.reason}")
    whole = found.health.network
    told = (
        f"loss {figure(whole.loss)} (of logits near 0: {figure(whole.chance_loss)}) · gradient first/last "
        f"{figure(whole.gradient_ratio)} · Jacobian's singular values: mean square "
        f"{figure(whole.jacobian_mean_square)}, largest/smallest {figure(whole.jacobian_condition)}"
    )
    return Group(head, foretold, cell(told, "dim"), _table(found), Text())


def _table(found: Inspection) -> Table:
    back = found.health.layers[-1].backprop_std
    names = ("std foretold", "std", "act mean", "act std", "dead", "saturated", "back foretold", "back", "cos", "corr")
    made = table("layer", *names, right=names)
    for layer, expected in found.layers:
        made.add_row(*map(cell, _cells(layer, expected, back)))
    return made


def _cells(layer: LayerHealth, expected: LayerPrediction | None, back: float) -> list[str]:
    return [
        layer.layer,
        figure(expected.predicted_std if expected else None),
        figure(layer.preactivation_std),
        figure(layer.activation_mean),
        figure(layer.activation_std),
        share(layer.dead),
        share(layer.saturated),
        figure(expected.gradient_std * back if expected else None),
        figure(layer.backprop_std),
        figure(layer.cosine),
        figure(layer.correlation),
    ]
