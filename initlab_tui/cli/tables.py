"""The tables and pages that the commands print for people."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.cli.documents import spec_document
from initlab_tui.cli.text import (
    cell,
    differing_fields,
    group_name,
    initializer_name,
    number,
    percent,
    percent_interval,
    rate,
    seconds,
    short,
)
from initlab_tui.experiments.initializers import CATALOGUE, Entry
from initlab_tui.experiments.leaderboard import Row
from initlab_tui.runs.store import Curve, Run, Store

SETTING = {
    "hidden": "{}",
    "activation": "{}",
    "optimizer": "{}",
    "learning_rate": "lr {}",
    "batch_size": "batch {}",
    "epochs": "epochs {}",
}
HEADERS = {"learning_rate": "lr", "batch_size": "batch", "eval_every": "eval", "activation": "act", "epochs": "ep"}
WIDE = 100  # columns from which the leaderboard shows timings
SHOWN_EVALUATIONS = 12
BARS = "▁▂▃▄▅▆▇█"


def table(*columns: str, right: Iterable[str] = (), folded: Iterable[str] = ()) -> Table:
    """A table without lines; `right` columns are numbers, `folded` ones may wrap, the others are cut."""
    made = Table(box=None, header_style="bold", show_header=any(columns), pad_edge=False, padding=(0, 2, 0, 0))
    numbers, wraps = set(right), set(folded)
    for column in columns:
        justify: JustifyMethod = "right" if column in numbers else "left"
        made.add_column(
            column, justify=justify, no_wrap=column not in wraps, overflow="fold" if column in wraps else "ellipsis"
        )
    return made


def leaderboard_tables(rows: Sequence[Row], width: int) -> RenderableType:
    """One table for each set of data, with only the columns that tell its groups apart and that `width` holds."""
    boards = [list(board) for _, board in itertools.groupby(rows, lambda row: (row.spec.dataset, row.fingerprint))]
    parts: list[RenderableType] = []
    for board in boards:
        differing = differing_fields([row.spec for row in board])
        title = cell(_setting(board[0], differing), "bold")
        parts += [title, _board(board, differing, width), *_footnotes(board), Text()]
    return Group(*parts[:-1])


def _board(rows: Sequence[Row], differing: Sequence[str], width: int) -> Table:
    dumped = [spec_document(row.spec) for row in rows]
    roomy = width >= WIDE
    # Each column's cells; numbers are never cut, so on a narrow terminal some columns stay away.
    columns: dict[str, list[Text]] = {
        "#": [cell(row.rank) for row in rows],
        "initializer": [cell(initializer_name(row.spec.initializer)) for row in rows],
        **{HEADERS.get(name, name): [cell(short(document[name])) for document in dumped] for name in differing},
        "n": [cell(row.n) for row in rows],
        "acc %": [cell(percent_interval(row.test_accuracy)) for row in rows],
        "vs #1": [_versus(row) for row in rows],
    }
    if roomy or len(differing) < 2:
        columns["loss"] = [cell(number(row.test_loss.mean)) for row in rows]
    if roomy:
        columns["time"] = [cell(seconds(row.seconds)) for row in rows]
        columns["samples/s"] = [cell(rate(row.samples_per_second)) for row in rows]
    if roomy or any(row.statuses[0][0] != "done" for row in rows):
        columns["status"] = [_status(row) for row in rows]
    made = table(*columns, right=("#", "n", "acc %", "vs #1", "loss", "time", "samples/s"))
    made.padding = (0, 2 if roomy else 1, 0, 0)
    for column, cells in zip(made.columns, columns.values(), strict=True):
        if column.justify == "right" or column.header == "status":
            column.min_width = max(len(str(column.header)), *(len(text) for text in cells))
    for row in zip(*columns.values(), strict=True):
        made.add_row(*row)
    return made


def _setting(row: Row, differing: Sequence[str]) -> str:
    spec = spec_document(row.spec)
    shared = [label.format(short(spec[name])) for name, label in SETTING.items() if name not in differing]
    data = f" [{row.fingerprint[:6]}]" if row.fingerprint and row.spec.dataset != "digits" else ""
    steps = [f"{row.total_steps} steps"] if row.total_steps and not {"epochs", "batch_size"} & set(differing) else []
    return " · ".join([spec["dataset"] + data, *shared, *steps])


def _versus(row: Row) -> Text:
    versus = row.versus_first
    if versus is None or not row.n:
        return cell("")
    if versus.accuracy.mean is None:
        return cell("no shared seed")
    return cell(percent_interval(versus.accuracy) + (" ?" if versus.verdict == "undecided" else ""))


def _status(row: Row) -> Text:
    if len(row.statuses) == 1:
        return cell(row.status)
    return cell(", ".join(f"{count} {status}" for status, count in row.statuses))


def _footnotes(rows: Sequence[Row]) -> list[Text]:
    notes = []
    if any(row.n >= 2 for row in rows):
        notes.append("± 95 % t interval over n seeds; vs #1: difference in points, paired by seed.")
    elif any(row.n for row in rows):
        notes.append("One seed says nothing of the spread: compare with --seeds 3 or more for an interval.")
    if any(row.versus_first and row.versus_first.verdict == "undecided" and row.n for row in rows):
        notes.append("? not distinguishable from #1 by these seeds.")
    return [cell(note, "dim") for note in notes]


def conclusion(rows: Sequence[Row]) -> str:
    """Whether the first of a comparison's groups is better than the second, in a sentence; empty for fewer."""
    if len(rows) < 2 or not rows[1].n or rows[1].versus_first is None:
        return ""
    first, second = (group_name(row.spec, differing_fields([row.spec for row in rows])) for row in rows[:2])
    versus = rows[1].versus_first
    if versus.accuracy.mean is None or versus.verdict == "too_few_seeds":
        return f"#1 {first} or #2 {second}: too few shared seeds to decide."
    seeds = f"over {versus.accuracy.n} shared seeds"
    points = percent_interval(versus.accuracy).lstrip("-")
    if versus.verdict == "behind":
        return f"#1 {first} is better than #2 {second} by {points} points {seeds}: more than the seeds' spread."
    if versus.verdict == "ahead":
        return f"#2 {second} is better than #1 {first} by {points} points {seeds}; #1 leads by seeds that #2 lacks."
    return f"#1 {first} and #2 {second} differ by {points} points {seeds}: not decided."


def runs_table(runs: Sequence[Run], width: int) -> Table:
    """One line for each run, with the columns that `width` holds; what matters most stays."""
    columns: list[tuple[str, int, Callable[[Run], object]]] = [
        ("id", 0, lambda run: run.id),
        ("status", 0, lambda run: run.status),
        ("dataset", 120, lambda run: run.spec.dataset),
        ("network", 90, lambda run: f"{short(list(run.spec.hidden))} {run.spec.activation}"),
        ("initializer", 0, lambda run: initializer_name(run.spec.initializer)),
        ("seed", 0, lambda run: run.spec.seed),
        ("step", 0, lambda run: f"{run.step}/{run.total_steps}" if run.total_steps else "–"),
        ("acc %", 0, lambda run: percent(run.test_accuracy)),
        ("loss", 0, lambda run: number(run.test_loss)),
        ("time", 100, lambda run: seconds(run.seconds)),
        ("created", 140, lambda run: _when(run.created)),
        ("reason", 160, lambda run: run.reason),
    ]
    shown = [(name, value) for name, least, value in columns if width >= least]
    made = table(*(name for name, _ in shown), right=("id", "seed", "step", "acc %", "loss", "time"))
    for run in runs:
        made.add_row(*(cell(value(run)) for _, value in shown))
    return made


def _when(at: float | None) -> str:
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def run_page(store: Store, run: Run) -> RenderableType:
    """All that is known of one run."""
    title = cell(f"run {run.id}: {run.status}{': ' + run.reason if run.reason else ''}", "bold")
    facts = table("", "", folded=[""])
    for name, value in _facts(run):
        facts.add_row(cell(name, "dim"), cell(value))
    train, test = store.curve(run.id, "train"), store.curve(run.id, "test")
    parts: list[RenderableType] = [title, facts, Text()]
    if train.steps:
        parts += [
            _trace("training loss", train.losses, number),
            _trace("training accuracy %", train.accuracies, percent),
            cell("(of single batches, first and last step; the test set's below)", "dim"),
            Text(),
        ]
    if test.steps:
        parts += [_evaluations(test), Text()]
    happened = table("when", "event", "", folded=[""])
    for at, kind, detail in store.events(run.id):
        happened.add_row(cell(_when(at)), cell(kind), cell(detail))
    parts.append(happened)
    if run.log_tail:
        parts += [Text(), cell("end of the worker's log", "bold"), cell(run.log_tail)]
    return Group(*parts)


def _trace(name: str, values: Sequence[float], show: Callable[[float], str]) -> Text:
    return cell(f"{name:<20} {show(values[0])} {sparkline(values)} {show(values[-1])}")


def _facts(run: Run) -> Iterable[tuple[str, object]]:
    for name, value in spec_document(run.spec).items():
        yield name.replace("_", " "), short(value)
    yield "steps", f"{run.step} of {run.total_steps or '?'}"
    yield "test accuracy", f"{percent(run.test_accuracy)} %"
    yield "test loss", number(run.test_loss)
    if run.comparison_id:
        yield "comparison", f"{run.comparison_id} (initlab-tui leaderboard --comparison {run.comparison_id})"
    yield "created", _when(run.created)
    yield "started, ended", f"{_when(run.started)}, {_when(run.ended)}"
    yield "time", f"{seconds(run.seconds)}, of which {seconds(run.train_seconds)} in training steps"
    yield "samples/s", rate(run.samples_per_second)
    for name, value in run.record.items():
        if isinstance(value, dict):
            yield name.replace("_", " "), ", ".join(f"{key} {item}" for key, item in value.items())
        elif name == "compile_seconds":
            yield "compiled in", seconds(value) if value else "0 s: compiled for an earlier run"
        elif name == "execution":
            yield "executed as", value
        elif value not in (None, ""):
            yield name.replace("_", " "), value


def _evaluations(curve: Curve) -> Table:
    made = table("step", "test loss", "test acc %", right=("step", "test loss", "test acc %"))
    count = len(curve.steps)
    # The first, the last, and some between; --json has all.
    picked = sorted({round(index * (count - 1) / (SHOWN_EVALUATIONS - 1)) for index in range(SHOWN_EVALUATIONS)})
    for index in picked:
        made.add_row(
            cell(curve.steps[index]), cell(number(curve.losses[index])), cell(percent(curve.accuracies[index]))
        )
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


_INITIALIZERS = ("name", "draws", "parameters", "when to use it")


def initializers_table() -> Table:
    made = table(*_INITIALIZERS, folded=_INITIALIZERS[1:])
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
    facts = table("", "", folded=[""])
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
