"""The layers of a network as tables and lines for a terminal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.domain.layers.diagnosis import Diagnosis
from initlab_tui.domain.layers.inspection import Inspection
from initlab_tui.domain.layers.measurement import LayerStatistics, Measurement
from initlab_tui.domain.layers.metrics import LAYER_METRICS, NETWORK_METRICS
from initlab_tui.reports.diagnosis import bars, diagnosis_text, relative_levels, sign
from initlab_tui.reports.escape import cell, plain
from initlab_tui.reports.format import figure_text, initializer_name, percent_of, two_digits
from initlab_tui.reports.tables import table
from initlab_tui.store.layer_statistics import StoredMeasurement

# Eighty columns have no room for more; the JSON documents have every metric.
INSPECTED = (
    *("preactivation_std", "activation_mean", "activation_std", "dead_share", "saturated_share"),
    *("preactivation_grad_rms", "input_correlation"),
)
WITH_PREDICTION = ("preactivation_std", "preactivation_grad_rms", "input_correlation")
NOT_IN_RUN_PAGE = frozenset({"preactivation_mean", "kernel_grad_norm", "kernel_grad_std", "duplicate_units"})
_FORMATS = {"share": percent_of, "correlation": figure_text}  # by unit; all others have two digits


def metric_text(name: str, value: float | None) -> str:
    """Return the value of a layer metric as shown in tables."""
    return _FORMATS.get(LAYER_METRICS[name].unit, two_digits)(value)


def inspection_page(found: Inspection) -> RenderableType:
    """Return the diagnoses of an initializer, and the predicted and measured statistics of its layers."""
    measured, network = found.measurement, found.measurement.network
    head = Text.assemble((plain(initializer_name(found.initializer)), "bold"), "\n")
    for label, diagnosis in (("measured", found.diagnosis), ("predicted", found.predicted_diagnosis)):
        head.append(f"{label:<11}", style="dim").append_text(diagnosis_text(diagnosis))
        head.append(f": {plain(diagnosis.reason)}\n")
    columns = _columns(measured.layers, INSPECTED, {name: _predicted(found, name) for name in WITH_PREDICTION})
    cosine = max(layer.value("max_cosine") for layer in measured.layers)
    whole = (
        f"loss {figure_text(network['loss'])} (logits near 0: {figure_text(network['chance_loss'])})",
        _labelled("gradient_ratio", network["gradient_ratio"]),
        _labelled("jacobian_mean_square", network["jacobian_mean_square"])
        + f", {_labelled('jacobian_condition', network['jacobian_condition'])}",
        f"{LAYER_METRICS['max_cosine'].title} {figure_text(cosine)}",
    )
    head.append(" · ".join(whole), style="dim")
    return Group(head, _table("layer", measured.layers, columns), _legend(columns), Text())


def _labelled(name: str, value: float | None) -> str:
    return f"{NETWORK_METRICS[name].title} {figure_text(value)}"


def _predicted(found: Inspection, name: str) -> list[str]:
    return [metric_text(name, predicted[name]) for predicted in found.predicted]


def _columns(
    layers: Sequence[LayerStatistics], names: Iterable[str], predicted: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """Return the cells by heading, each column after its prediction, which has a star; empty columns are omitted."""
    columns = {}
    for name in names:
        heading = LAYER_METRICS[name].heading
        columns[f"{heading}*"] = predicted.get(name, [])
        columns[heading] = [metric_text(name, layer[name]) for layer in layers]
    return {heading: cells for heading, cells in columns.items() if any(text != "–" for text in cells)}


def _table(title: str, layers: Sequence[LayerStatistics], columns: Mapping[str, Sequence[str]]) -> Table:
    made = table(title, *columns, right=list(columns))
    for number, layer in enumerate(layers):
        made.add_row(*map(cell, (layer.layer, *(cells[number] for cells in columns.values()))))
    return made


def _legend(headings: Iterable[str]) -> Text:
    """Return an explanation of the columns of a table."""
    headings = list(headings)
    star = ["* predicted, corr* from the first layer's corr"] if any(each.endswith("*") for each in headings) else []
    titles = [f"{metric.heading}: {metric.title}" for metric in LAYER_METRICS.values() if metric.heading in headings]
    return cell(f"{'; '.join([*star, *titles])} (initlab-tui explain NAME)", "dim")


def measurement_parts(measured: Sequence[StoredMeasurement]) -> Iterable[RenderableType]:
    """Yield each change of a run's diagnosis, and the statistics of its layers at the last measurement."""
    for _, group in itertools.groupby(measured, lambda each: each.diagnosis.name):
        first = next(group)
        head = cell(f"layers at step {first.step}  ", "dim")
        yield head.append_text(diagnosis_text(first.diagnosis)).append(f": {plain(first.diagnosis.reason)}")
    last = measured[-1]
    layers = last.measurement.layers
    columns = _columns(layers, [name for name in LAYER_METRICS if name not in NOT_IN_RUN_PAGE], {})
    yield _table(f"at step {last.step}", layers, columns)
    yield _legend(columns)


def layer_lines(measurement: Measurement, diagnosis: Diagnosis, most: int) -> list[Text]:
    """Return a heading, and up to `most` layers of a measured network with bars as in `measurement_text`.

    If there are more layers, some are omitted, but never the first, the last and the one that the diagnosis names.
    """
    hidden, (signal, gradient) = measurement.hidden, relative_levels(measurement)
    share = "dead_share" if all(layer["saturated_share"] is None for layer in hidden) else "saturated_share"
    shown = ("activation_std", "kernel_grad_norm", "update_ratio", share)
    std, norm, update, last = (LAYER_METRICS[name].heading for name in shown)
    title = f"{'layer':<10}{std:>8}   {norm:>8}   {update:>7}  {last:>5}"
    lines, number, before = [Text(title, style="bold dim")], {layer.layer: n for n, layer in enumerate(hidden)}, -1
    for at in _some(len(hidden), most, number.get(diagnosis.layer)):
        layer = hidden[at]
        if at > before + 1:
            lines[-1].append(" ⋮", style="dim")
        before = at
        std, norm, update, last = (metric_text(name, layer[name]) for name in shown)
        line = Text(f"{layer.layer:<10}{std:>8} {bars([signal[at]])} {norm:>8} {bars([gradient[at]])} ")
        line.append(f"{update:>7}  {last:>5}")
        if diagnosis.has_problem and layer.layer == diagnosis.layer:
            line.append(f" {sign(diagnosis.name)}", style="bold red")
        lines.append(line)
    return lines


def _some(count: int, most: int, wanted: int | None) -> list[int]:
    """Return up to `most` of `count` indices, spread from the first to the last, with `wanted` among them."""
    if count <= most or most < 2:
        return list(range(min(count, max(most, 0))))
    found = [round(place * (count - 1) / (most - 1)) for place in range(most)]
    if wanted is not None and wanted not in found:
        nearest = min(range(1, most - 1), key=lambda place: abs(found[place] - wanted), default=0)
        found[nearest] = wanted
    return found
