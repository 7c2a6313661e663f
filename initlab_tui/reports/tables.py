"""The tables and pages that the commands print for people."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.domain.catalog.initializers import CATALOGUE, Entry
from initlab_tui.domain.statistics.leaderboard import Row
from initlab_tui.reports.format import (
    cell,
    diagnoses,
    differing_fields,
    initializer_name,
    number,
    percent,
    percent_interval,
    rate,
    seconds,
    setting,
    short,
    statuses,
    versus,
    when,
)
from initlab_tui.store.database import Run

HEADERS = {"learning_rate": "lr", "batch_size": "batch", "eval_every": "eval", "activation": "act", "epochs": "ep"}
WIDE = 100  # columns from which the leaderboard shows timings


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
        title = cell(setting(board[0], differing), "bold")
        parts += [title, _board(board, differing, width), *_footnotes(board), Text()]
    return Group(*parts[:-1])


def _board(rows: Sequence[Row], differing: Sequence[str], width: int) -> Table:
    dumped = [row.spec.model_dump(mode="json") for row in rows]
    roomy = width >= WIDE
    # Each column's cells; numbers are never cut, so on a narrow terminal some columns stay away.
    columns: dict[str, list[Text]] = {
        "#": [cell(row.rank) for row in rows],
        "initializer": [cell(initializer_name(row.spec.initializer)) for row in rows],
        **{HEADERS.get(name, name): [cell(short(document[name])) for document in dumped] for name in differing},
        "n": [cell(row.n) for row in rows],
        "acc %": [cell(percent_interval(row.test_accuracy)) for row in rows],
        "vs #1": [cell(versus(row)) for row in rows],
    }
    if roomy and len({row.diagnoses[:1] for row in rows}) > 1:
        columns["at step 0"] = [cell(diagnoses(row)) for row in rows]
    if roomy or len(differing) < 2:
        columns["loss"] = [cell(number(row.test_loss.mean)) for row in rows]
    if roomy:
        columns["time"] = [cell(seconds(row.seconds)) for row in rows]
        columns["samples/s"] = [cell(rate(row.samples_per_second)) for row in rows]
    if roomy or any(row.statuses[0][0] != "done" for row in rows):
        columns["status"] = [cell(statuses(row)) for row in rows]
    made = table(*columns, right=("#", "n", "acc %", "vs #1", "loss", "time", "samples/s"))
    made.padding = (0, 2 if roomy else 1, 0, 0)
    for column, cells in zip(made.columns, columns.values(), strict=True):
        if column.justify == "right" or column.header == "status":
            column.min_width = max(len(str(column.header)), *(len(text) for text in cells))
    for row in zip(*columns.values(), strict=True):
        made.add_row(*row)
    return made


def _footnotes(rows: Sequence[Row]) -> list[Text]:
    notes = []
    if any(row.n >= 2 for row in rows):
        notes.append("± 95 % t interval over n seeds; vs #1: difference in points, paired by seed.")
    elif any(row.n for row in rows):
        notes.append("One seed says nothing of the spread: compare with --seeds 3 or more for an interval.")
    if any(row.versus_first and row.versus_first.verdict == "undecided" and row.n for row in rows):
        notes.append("? not distinguishable from #1 by these seeds.")
    return [cell(note, "dim") for note in notes]


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
        ("created", 140, lambda run: when(run.created)),
        ("reason", 160, lambda run: run.reason),
    ]
    shown = [(name, value) for name, least, value in columns if width >= least]
    made = table(*(name for name, _ in shown), right=("id", "seed", "step", "acc %", "loss", "time"))
    for run in runs:
        made.add_row(*(cell(value(run)) for _, value in shown))
    return made


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
    return Group(cell(entry.name, "bold"), facts, Text(), _deviations(entry))


def _deviations(entry: Entry) -> RenderableType:
    """The mean and deviation of a weight, by formula, in the layers of the default network."""
    if entry.moments is None:
        return cell("No formula: it is fitted to training images when a run starts, and `show` tells how.", "dim")
    defaults = {parameter.name: parameter.default for parameter in entry.parameters}
    deviations = table(
        "fan_in", "fan_out", "mean", "σ of a weight", right=("fan_in", "fan_out", "mean", "σ of a weight")
    )
    for fan_in, fan_out in ((784, 256), (256, 256), (256, 10)):
        moments = entry.moments(defaults, fan_in, fan_out)
        deviations.add_row(cell(fan_in), cell(fan_out), cell(number(moments.mean)), cell(number(moments.stddev)))
    return deviations
