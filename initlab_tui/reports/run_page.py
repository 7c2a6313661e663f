"""A page with everything about one run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.reports import layers
from initlab_tui.reports.escape import cell
from initlab_tui.reports.format import number, percent, rate, remark, seconds, short, unreadable_line, when
from initlab_tui.reports.sparkline import sparkline
from initlab_tui.reports.tables import table
from initlab_tui.services.stored_runs import RunDetails
from initlab_tui.store.curves import Curve
from initlab_tui.store.runs import Run, UnreadableRun

SHOWN_EVALUATIONS = 12
UNREADABLE = (
    "This program would not have written this value: the store was damaged, or changed by another program. The run is "
    "left out of the leaderboard."
)


def run_page(found: RunDetails | UnreadableRun) -> RenderableType:
    """Return the status, settings, curves, layers and events of a run, or why it cannot be read."""
    if isinstance(found, UnreadableRun):
        return Group(cell(unreadable_line(found), "bold"), cell(UNREADABLE))
    run = found.run
    title = cell(f"run {run.id}: {run.status}{': ' + remark(run) if remark(run) else ''}", "bold")
    facts = table("", "", folded=[""])
    for name, value in _facts(run):
        facts.add_row(cell(name, "dim"), cell(value))
    parts: list[RenderableType] = [title, facts, Text(), *_curves(found.train, found.test)]
    if found.measurements:
        parts += [*layers.measurement_parts(found.measurements), Text()]
    events = table("when", "event", "", folded=[""])
    for at, kind, detail in found.events:
        events.add_row(cell(when(at)), cell(kind), cell(detail))
    parts.append(events)
    if run.log_tail:
        parts += [Text(), cell("end of the worker's log", "bold"), cell(run.log_tail)]
    return Group(*parts)


def _curves(train: Curve, test: Curve) -> Iterator[RenderableType]:
    if train.steps:
        yield _trace("training loss", train.losses, number)
        yield _trace("training accuracy %", train.accuracies, percent)
        last = "single batches," if train.stride == 1 else f"the last value is a mean of up to {train.stride} batches,"
        yield cell(f"({last} at the first and the last step; the test set is below)", "dim")
        yield Text()
    if test.steps:
        yield _evaluations(test)
        yield Text()


def _trace(name: str, values: Sequence[float], show: Callable[[float], str]) -> Text:
    return cell(f"{name:<20} {show(values[0])} {sparkline(values)} {show(values[-1])}")


def _facts(run: Run) -> Iterator[tuple[str, object]]:
    for name, value in run.spec.model_dump(mode="json").items():
        yield name.replace("_", " "), short(value)
    if run.name:
        yield "name", run.name
    if run.tags:
        yield "tags", run.tags
    yield "steps", f"{run.step} of {run.total_steps or '?'}"
    yield "test accuracy", f"{percent(run.test_accuracy)} %"
    yield "test loss", number(run.test_loss)
    if run.comparison_id:
        yield "comparison", f"{run.comparison_id} (initlab-tui leaderboard --comparison {run.comparison_id})"
    yield "created", when(run.created)
    yield "started, ended", f"{when(run.started)}, {when(run.ended)}"
    yield "time", f"{seconds(run.seconds)}, of which {seconds(run.train_seconds)} in training steps"
    yield "samples/s", rate(run.samples_per_second)
    for name, value in run.record.items():
        yield from _recorded(name, value)


def _recorded(name: str, value: Any) -> Iterator[tuple[str, object]]:
    """Yield the lines for an entry in the record of a run."""
    if name == "initialization":
        yield from _fitting(value)
    elif isinstance(value, dict):
        yield name.replace("_", " "), ", ".join(f"{key} {item}" for key, item in value.items())
    elif name == "compile_seconds":
        yield "compiled in", seconds(value) if value else "0 s: compiled for an earlier run"
    elif name == "execution":
        yield "executed as", value
    elif value not in (None, ""):
        yield name.replace("_", " "), value


def _fitting(initialization: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield what a data-dependent initializer did, with one line for adjacent layers with the same settings."""
    yield "fitted to", f"{initialization['images']} training images"
    for _, group in itertools.groupby(initialization["layers"], _settings_only):
        adjacent = list(group)
        first, last = adjacent[0], adjacent[-1]
        names = " to ".join(dict.fromkeys((first["layer"], last["layer"])))
        columns = {key.replace("_", " "): [layer[key] for layer in adjacent] for key in first if key != "layer"}
        yield names, ", ".join(f"{key} {_range(values)}" for key, values in columns.items())


def _settings_only(layer: Mapping[str, Any]) -> dict[str, object]:
    return {key: value for key, value in layer.items() if key != "layer" and not isinstance(value, float)}


def _range(values: Sequence[Any]) -> str:
    if not isinstance(values[0], float):
        return "–" if values[0] is None else str(values[0])
    return " to ".join(dict.fromkeys((number(min(values)), number(max(values)))))


def _evaluations(curve: Curve) -> Table:
    """Return some of the evaluations, including the first and the last; the JSON document has all of them."""
    made = table("step", "test loss", "test acc %", right=("step", "test loss", "test acc %"))
    count = len(curve.steps)
    picked = sorted({round(index * (count - 1) / (SHOWN_EVALUATIONS - 1)) for index in range(SHOWN_EVALUATIONS)})
    for index in picked:
        made.add_row(
            cell(curve.steps[index]), cell(number(curve.losses[index])), cell(percent(curve.accuracies[index]))
        )
    return made
