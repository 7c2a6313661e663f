"""The layers of a network, as tables for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.experiments.diagnosis import LayerHealth
from initlab_tui.experiments.inspection import Inspection
from initlab_tui.reports.tables import table
from initlab_tui.reports.text import cell, initializer_name, plain, two_digits
from initlab_tui.reports.verdict import figure_text, percent_of, verdict_text
from initlab_tui.runs.checkups import Checkup


def inspection_page(found: Inspection) -> RenderableType:
    """One start: verdicts, and its layers foretold and measured."""
    head = Text.assemble((plain(initializer_name(found.initializer)), "bold"), "  ", verdict_text(found.verdict))
    head.append(f": {plain(found.verdict.reason)}")
    foretold = Text.assemble(("foretold  ", "dim"), verdict_text(found.foretold), f": {found.foretold.reason}")
    whole = found.health.network
    told = (
        f"loss {figure_text(whole.loss)} (of logits near 0: {figure_text(whole.chance_loss)}) · norm of the kernel's "
        f"gradient, first/last {figure_text(whole.gradient_ratio)} · Jacobian's singular values: mean square "
        f"{figure_text(whole.jacobian_mean_square)}, largest/smallest {figure_text(whole.jacobian_condition)} · "
        f"largest |cosine| of two units' weights {figure_text(max(layer.cosine for layer in found.health.layers))}"
    )
    columns = _kept(_foretold_columns(found))
    shown = _table("layer", found.health.layers, columns)
    return Group(head, foretold, cell(told, "dim"), shown, _legend(columns), Text())


LEGEND = {
    "std": "deviation of the pre-activations",
    "mean": "mean of the activations",
    "act": "their deviation",
    "dead": "units that give 0 for every input",
    "flat": "outputs in the flat parts",
    "back": "size of the gradient that comes back",
    "update": "‖ΔW‖/‖W‖ of the last step",
    "cos": "largest |cosine| of two units' weights",
    "corr": "correlation of two images' pre-activations",
}


def _legend(columns: Iterable[str]) -> Text:
    """What the columns hold; those with a star are foretold."""
    names = list(columns)
    star = ["* foretold, corr* from the first layer's"] if any(name.endswith("*") for name in names) else []
    words = [*star, *(f"{name}: {LEGEND[name]}" for name in names if name in LEGEND)]
    return cell(f"{'; '.join(words)} (initlab-tui explain NAME)", "dim")


def _foretold_columns(found: Inspection) -> dict[str, list[str]]:
    back = found.health.layers[-1].backprop_std
    figures, predictions = found.health.layers, found.predictions
    return {
        "std*": [two_digits(each.predicted_std if each else None) for each in predictions],
        "std": [two_digits(each.preactivation_std) for each in figures],
        "mean": [two_digits(each.activation_mean) for each in figures],
        "act": [two_digits(each.activation_std) for each in figures],
        "dead": [percent_of(each.dead) for each in figures],
        "flat": [percent_of(each.saturated) for each in figures],
        "back*": [two_digits(each.gradient_std * back if each else None) for each in predictions],
        "back": [two_digits(each.backprop_std) for each in figures],
        "corr*": [figure_text(each) for each in found.correlations],
        "corr": [figure_text(each.correlation) for each in figures],
    }


def _kept(columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Those columns that have anything in them: eighty cells hold them all then."""
    return {name: cells for name, cells in columns.items() if any(text != "–" for text in cells)}


def _table(title: str, figures: Sequence[LayerHealth], columns: Mapping[str, Sequence[str]]) -> Table:
    made = table(title, *columns, right=list(columns))
    for number, layer in enumerate(figures):
        made.add_row(*map(cell, (layer.layer, *(cells[number] for cells in columns.values()))))
    return made


def health_parts(measured: Sequence[Checkup]) -> Iterable[RenderableType]:
    """What a run's layers were judged to be, each time it changed, and their figures at the last measurement."""
    for _, group in itertools.groupby(measured, lambda checkup: checkup.verdict.name):
        checkup = next(group)
        head = cell(f"layers at step {checkup.step}  ", "dim")
        yield head.append_text(verdict_text(checkup.verdict)).append(f": {plain(checkup.verdict.reason)}")
    last = measured[-1]
    figures = last.health.layers
    columns = _kept(
        {
            "std": [two_digits(each.preactivation_std) for each in figures],
            "mean": [two_digits(each.activation_mean) for each in figures],
            "act": [two_digits(each.activation_std) for each in figures],
            "dead": [percent_of(each.dead) for each in figures],
            "flat": [percent_of(each.saturated) for each in figures],
            "back": [two_digits(each.backprop_std) for each in figures],
            "update": [two_digits(each.update_ratio) for each in figures],
            "cos": [two_digits(each.cosine) for each in figures],
            "corr": [figure_text(each.correlation) for each in figures],
        }
    )
    yield _table(f"at step {last.step}", figures, columns)
    yield _legend(columns)
