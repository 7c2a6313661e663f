"""The layers of a network one by one, as tables and lines for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.domain.layers.diagnosis import Diagnosis, LayerStatistics, Measurement
from initlab_tui.domain.layers.inspection import Inspection
from initlab_tui.reports.diagnosis import SIGNS, bars, levels, verdict_text
from initlab_tui.reports.format import cell, figure_text, initializer_name, percent_of, plain, two_digits
from initlab_tui.reports.tables import table
from initlab_tui.store.layer_statistics import StoredMeasurement


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
    back = found.health.layers[-1].backprop_std
    foretold_cells = {
        "std": [two_digits(each.predicted_std if each else None) for each in found.predictions],
        "back": [two_digits(each.gradient_std * back if each else None) for each in found.predictions],
        "corr": [figure_text(each) for each in found.correlations],
    }
    # The largest cosine stands above: eighty cells hold the other columns.
    columns = _columns(found.health.layers, [name for name in COLUMNS if name != "cos"], foretold_cells)
    return Group(
        head, foretold, cell(told, "dim"), _table("layer", found.health.layers, columns), _legend(columns), Text()
    )


class Column(NamedTuple):
    """A figure of a layer: what it is, and its cell."""

    what: str
    cell: Callable[[LayerStatistics], str]


COLUMNS: Mapping[str, Column] = MappingProxyType(
    {
        "std": Column("deviation of the pre-activations", lambda layer: two_digits(layer.preactivation_std)),
        "mean": Column("mean of the activations", lambda layer: two_digits(layer.activation_mean)),
        "act": Column("their deviation", lambda layer: two_digits(layer.activation_std)),
        "dead": Column("units that give 0 for every input", lambda layer: percent_of(layer.dead)),
        "flat": Column("outputs in the flat parts", lambda layer: percent_of(layer.saturated)),
        "back": Column("size of the gradient that comes back", lambda layer: two_digits(layer.backprop_std)),
        "update": Column("‖ΔW‖/‖W‖ of the last step", lambda layer: two_digits(layer.update_ratio)),
        "cos": Column("largest |cosine| of two units' weights", lambda layer: two_digits(layer.cosine)),
        "corr": Column("correlation of two images' pre-activations", lambda layer: figure_text(layer.correlation)),
    }
)


def _columns(
    layers: Sequence[LayerStatistics], names: Iterable[str], foretold: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """The cells by column, each after what was `foretold` of it, with a star; only those with anything in them."""
    columns = {}
    for name in names:
        columns[f"{name}*"] = foretold.get(name, [])
        columns[name] = [COLUMNS[name].cell(layer) for layer in layers]
    return {name: cells for name, cells in columns.items() if any(text != "–" for text in cells)}


def _table(title: str, layers: Sequence[LayerStatistics], columns: Mapping[str, Sequence[str]]) -> Table:
    made = table(title, *columns, right=list(columns))
    for number, layer in enumerate(layers):
        made.add_row(*map(cell, (layer.layer, *(cells[number] for cells in columns.values()))))
    return made


def _legend(columns: Iterable[str]) -> Text:
    """What the columns hold; those with a star are foretold."""
    names = list(columns)
    star = ["* foretold, corr* from the first layer's"] if any(name.endswith("*") for name in names) else []
    words = [*star, *(f"{name}: {COLUMNS[name].what}" for name in names if name in COLUMNS)]
    return cell(f"{'; '.join(words)} (initlab-tui explain NAME)", "dim")


def health_parts(measured: Sequence[StoredMeasurement]) -> Iterable[RenderableType]:
    """What a run's layers were judged to be, each time it changed, and their figures at the last measurement."""
    for _, group in itertools.groupby(measured, lambda checkup: checkup.verdict.name):
        checkup = next(group)
        head = cell(f"layers at step {checkup.step}  ", "dim")
        yield head.append_text(verdict_text(checkup.verdict)).append(f": {plain(checkup.verdict.reason)}")
    last = measured[-1]
    columns = _columns(last.health.layers, COLUMNS, {})
    yield _table(f"at step {last.step}", last.health.layers, columns)
    yield _legend(columns)


def layer_lines(health: Measurement, verdict: Diagnosis, most: int) -> list[Text]:
    """A measured network layer by layer: a title, then up to `most` layers with bars as in `checkup_text`.

    Of more layers some are left out, but never the first, the last, and the one that the verdict names.
    """
    hidden, (forward, back) = health.layers[:-1], levels(health)
    flat = any(layer.saturated is not None for layer in hidden)
    title = f"{'layer':<10}{'act σ':>8}   {'gradient':>8}   {'ΔW/W':>7}  {'flat' if flat else 'dead':>5}"
    lines, number, before = [Text(title, style="bold dim")], {layer.layer: n for n, layer in enumerate(hidden)}, -1
    for at in _some(len(hidden), most, number.get(verdict.layer)):
        layer = hidden[at]
        if at > before + 1:
            lines[-1].append(" ⋮", style="dim")
        before = at
        line = Text(f"{layer.layer:<10}{two_digits(layer.activation_std):>8} ")
        line.append(f"{bars([forward[at]])} {two_digits(layer.gradient_norm):>8} ")
        line.append(f"{bars([back[at]])} {two_digits(layer.update_ratio):>7}  ")
        line.append(f"{percent_of(layer.saturated if flat else layer.dead):>5}")
        if verdict.has_problem and layer.layer == verdict.layer:
            line.append(f" {SIGNS[verdict.name]}", style="bold red")
        lines.append(line)
    return lines


def _some(count: int, most: int, wanted: int | None) -> list[int]:
    """Up to `most` of `count` numbers, spread from the first to the last, one of them the `wanted`."""
    if count <= most or most < 2:
        return list(range(min(count, max(most, 0))))
    found = [round(place * (count - 1) / (most - 1)) for place in range(most)]
    if wanted is not None and wanted not in found:
        nearest = min(range(1, most - 1), key=lambda place: abs(found[place] - wanted), default=0)
        found[nearest] = wanted
    return found
