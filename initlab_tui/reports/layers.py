"""The layers of a network, as tables for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.experiments.diagnosis import LayerHealth
from initlab_tui.experiments.inspection import Inspection
from initlab_tui.experiments.meanfield import LayerPrediction
from initlab_tui.reports.tables import table
from initlab_tui.reports.text import cell, initializer_name, plain
from initlab_tui.reports.verdict import figure_text, verdict_text
from initlab_tui.runs.checkups import Checkup


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
        f"loss {figure_text(whole.loss)} (of logits near 0: {figure_text(whole.chance_loss)}) · gradient first/last "
        f"{figure_text(whole.gradient_ratio)} · Jacobian's singular values: mean square "
        f"{figure_text(whole.jacobian_mean_square)}, largest/smallest {figure_text(whole.jacobian_condition)}"
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
        figure_text(expected.predicted_std if expected else None),
        figure_text(layer.preactivation_std),
        figure_text(layer.activation_mean),
        figure_text(layer.activation_std),
        share(layer.dead),
        share(layer.saturated),
        figure_text(expected.gradient_std * back if expected else None),
        figure_text(layer.backprop_std),
        figure_text(layer.cosine),
        figure_text(layer.correlation),
    ]


def health_parts(measured: Sequence[Checkup]) -> Iterable[RenderableType]:
    """What a run's layers were judged to be, each time it changed, and their figures at the last measurement."""
    for _, group in itertools.groupby(measured, lambda checkup: checkup.verdict.name):
        checkup = next(group)
        head = cell(f"layers at step {checkup.step}  ", "dim")
        yield head.append_text(verdict_text(checkup.verdict)).append(f": {plain(checkup.verdict.reason)}")
    last = measured[-1]
    names = ("std", "act mean", "act std", "dead", "saturated", "gradient", "back", "update", "cos", "corr")
    made = table(f"at step {last.step}", *names, right=names)
    for layer in last.health.layers:
        made.add_row(*map(cell, _measured_cells(layer)))
    yield made


def _measured_cells(layer: LayerHealth) -> list[str]:
    return [
        layer.layer,
        *map(figure_text, (layer.preactivation_std, layer.activation_mean, layer.activation_std)),
        *map(share, (layer.dead, layer.saturated)),
        *map(figure_text, (layer.gradient_norm, layer.backprop_std, layer.update_ratio)),
        *map(figure_text, (layer.cosine, layer.correlation)),
    ]
