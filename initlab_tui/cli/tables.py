"""The tables and pages that the commands print for people."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.cli.documents import spec_document
from initlab_tui.cli.text import cell, initializer_name, number, percent, percent_interval, rate, seconds
from initlab_tui.experiments.initializers import CATALOGUE, Entry
from initlab_tui.experiments.leaderboard import Row, varying
from initlab_tui.experiments.spec import hidden_text
from initlab_tui.runs.store import Curve, Run, Store

SETTING = {
    "hidden": "{}",
    "activation": "{}",
    "optimizer": "{}",
    "learning_rate": "lr {}",
    "batch_size": "batch {}",
    "epochs": "epochs {}",
}
WIDE = 100  # columns from which the leaderboard shows timings
BARS = "▁▂▃▄▅▆▇█"


def table(*columns: str, right: Iterable[str] = ()) -> Table:
    made = Table(box=None, header_style="bold", show_header=any(columns), pad_edge=False, padding=(0, 2, 0, 0))
    numeric = set(right)
    for column in columns:
        if column in numeric:
            made.add_column(column, justify="right", no_wrap=True)
        else:
            made.add_column(column, overflow="fold")
    return made


def leaderboard_tables(rows: Sequence[Row], width: int) -> RenderableType:
    """One table for each set of data, with only the columns that tell its groups apart and that `width` holds."""
    boards = [list(board) for _, board in itertools.groupby(rows, lambda row: (row.spec.dataset, row.fingerprint))]
    parts: list[RenderableType] = []
    for board in boards:
        differing = [name for name in varying([row.spec for row in board]) if name not in ("dataset", "initializer")]
        title = cell(_setting(board[0], differing), "bold")
        parts += [title, _board(board, differing, width), *_footnotes(board), Text()]
    return Group(*parts[:-1])


def _board(rows: Sequence[Row], differing: Sequence[str], width: int) -> Table:
    timing = ("time", "samples/s") if width >= WIDE else ()
    numbers = ("acc %", "vs #1", "loss", "n", *timing)
    made = table("#", "initializer", *differing, *numbers, "status", right=("#", *numbers))
    for row in rows:
        document = spec_document(row.spec)
        made.add_row(
            cell(row.rank),
            cell(initializer_name(row.spec.initializer)),
            *(cell(_short(document[name])) for name in differing),
            cell(percent_interval(row.test_accuracy)),
            _versus(row),
            cell(number(row.test_loss.mean)),
            cell(row.n),
            *(cell(text) for text in (seconds(row.seconds), rate(row.samples_per_second))[: len(timing)]),
            _status(row),
        )
    return made


def _setting(row: Row, differing: Sequence[str]) -> str:
    spec = spec_document(row.spec)
    shared = [label.format(_short(spec[name])) for name, label in SETTING.items() if name not in differing]
    data = f" [{row.fingerprint[:6]}]" if row.fingerprint and row.spec.dataset != "digits" else ""
    return " · ".join([spec["dataset"] + data, *shared])


def _short(value: object) -> str:
    """A field for a column: hidden widths folded, as `100x30`."""
    return hidden_text(value) if isinstance(value, list) else str(value)


def _versus(row: Row) -> Text:
    if row.versus_first is None or row.versus_first.accuracy.mean is None:
        return cell("")
    mark = "" if row.versus_first.verdict == "behind" else " ?"
    return cell(percent_interval(row.versus_first.accuracy) + mark)


def _status(row: Row) -> Text:
    if len(row.statuses) == 1:
        return cell(row.status)
    return cell(", ".join(f"{count} {status}" for status, count in row.statuses))


def _footnotes(rows: Sequence[Row]) -> list[Text]:
    notes = []
    if any(row.n >= 2 for row in rows):
        notes.append("± 95 % t interval over n seeds; vs #1: difference in points, paired by seed.")
    else:
        notes.append("One seed says nothing of the spread: give --seeds 3 or more for an interval.")
    if any(row.versus_first and row.versus_first.verdict == "undecided" and row.n for row in rows):
        notes.append("? not distinguishable from #1 by these seeds.")
    return [cell(note, "dim") for note in notes]


def runs_table(runs: Sequence[Run]) -> Table:
    made = table(
        *("id", "status", "dataset", "network", "initializer", "seed"),
        *("step", "acc %", "loss", "time", "created", "reason"),
        right=("id", "seed", "step", "acc %", "loss", "time"),
    )
    for run in runs:
        spec = run.spec
        made.add_row(
            cell(run.id),
            cell(run.status),
            cell(spec.dataset),
            cell(f"{_short(list(spec.hidden))} {spec.activation}"),
            cell(initializer_name(spec.initializer)),
            cell(spec.seed),
            cell(f"{run.step}/{run.total_steps or '?'}"),
            cell(percent(run.test_accuracy)),
            cell(number(run.test_loss)),
            cell(seconds(run.busy_seconds)),
            cell(_when(run.created)),
            cell(run.reason),
        )
    return made


def _when(at: float | None) -> str:
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def run_page(store: Store, run: Run) -> RenderableType:
    """All that is known of one run."""
    title = cell(f"run {run.id}: {run.status}{': ' + run.reason if run.reason else ''}", "bold")
    facts = table("", "")
    for name, value in _facts(run):
        facts.add_row(cell(name, "dim"), cell(value))
    train, test = store.curve(run.id, "train"), store.curve(run.id, "test")
    parts: list[RenderableType] = [title, facts, Text()]
    if train.steps:
        parts += [
            cell(f"training loss      {sparkline(train.losses)}  {number(train.losses[-1])}"),
            cell(f"training accuracy  {sparkline(train.accuracies)}  {percent(train.accuracies[-1])} %"),
            Text(),
        ]
    if test.steps:
        parts += [_evaluations(test), Text()]
    happened = table("when", "event", "")
    for at, kind, detail in store.events(run.id):
        happened.add_row(cell(_when(at)), cell(kind), cell(detail))
    parts.append(happened)
    if run.log_tail:
        parts += [Text(), cell("end of the worker's log", "bold"), cell(run.log_tail)]
    return Group(*parts)


def _facts(run: Run) -> Iterable[tuple[str, object]]:
    spec = spec_document(run.spec)
    for name, value in spec.items():
        yield name, _short(value)
    yield "steps", f"{run.step} of {run.total_steps or '?'}"
    yield "test accuracy", f"{percent(run.test_accuracy)} %"
    yield "test loss", number(run.test_loss)
    yield "started", _when(run.started)
    yield "ended", _when(run.ended)
    yield "time", f"{seconds(run.busy_seconds)}, of which {seconds(run.train_seconds)} in training steps"
    yield "samples/s", rate(run.samples_per_second)
    for name, value in run.record.items():
        if isinstance(value, dict):
            yield name, ", ".join(f"{key} {item}" for key, item in value.items())
        elif value not in (None, ""):
            yield name, value


def _evaluations(curve: Curve) -> Table:
    made = table("step", "test loss", "test acc %", right=("step", "test loss", "test acc %"))
    for step, loss, accuracy in zip(curve.steps, curve.losses, curve.accuracies, strict=True):
        made.add_row(cell(step), cell(number(loss)), cell(percent(accuracy)))
    return made


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The values as bars, a bar the last of its share of them; a blank where that one is not finite."""
    picked = [
        values[(index + 1) * len(values) // min(width, len(values)) - 1] for index in range(min(width, len(values)))
    ]
    finite = [value for value in picked if value == value and abs(value) != float("inf")]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] if value in finite else " " for value in picked)


def initializers_table() -> Table:
    made = table("name", "draws", "parameters", "when to use it")
    for entry in CATALOGUE.values():
        made.add_row(cell(entry.name, "bold"), cell(entry.summary), cell(_parameters(entry)), cell(entry.when))
    made.add_row(
        cell("import:package.module.Name", "bold"),
        cell("your own"),
        cell("any, as the class or function takes them"),
        cell("a Keras initializer class or a function of shape, found from this folder or installed"),
    )
    return made


def _parameters(entry: Entry) -> str:
    return ", ".join(f"{parameter.name}={parameter.default}" for parameter in entry.parameters)


def initializer_page(entry: Entry) -> RenderableType:
    """One initializer in full, with its deviation on the layers of the default network."""
    facts = table("", "")
    for name, value in (("draws", entry.summary), ("when", entry.when), ("source", entry.source)):
        facts.add_row(cell(name, "dim"), cell(value))
    for parameter in entry.parameters:
        facts.add_row(
            cell(parameter.name, "dim"),
            cell(f"{parameter.meaning}; {parameter.allowed}; default {parameter.default}"),
        )
    defaults = {parameter.name: parameter.default for parameter in entry.parameters}
    deviations = table(
        "fan_in", "fan_out", "mean", "σ of a weight", right=("fan_in", "fan_out", "mean", "σ of a weight")
    )
    for fan_in, fan_out in ((784, 256), (256, 256), (256, 10)):
        moments = entry.moments(defaults, fan_in, fan_out)
        deviations.add_row(cell(fan_in), cell(fan_out), cell(number(moments.mean)), cell(number(moments.stddev)))
    return Group(cell(entry.name, "bold"), facts, Text(), deviations)
