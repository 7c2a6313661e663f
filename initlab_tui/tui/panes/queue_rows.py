"""The runs in the training pane: their order, their cells, and the time that is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import about, initializer_name, number, percent, seconds
from initlab_tui.store.runs import Run, UnreadableRun
from initlab_tui.tui.status_style import STATUS_STYLES
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.widgets.table_columns import GAP, Column

RECENT = 200  # ended runs that are listed, and as many that cannot be read
UNREADABLE = "unreadable"
ORDER = (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.QUEUED)
MOST_INITIALIZER = 40
SCROLLBAR = 1  # reserved, because the bar appears only after the rows
COLUMNS = (
    Column("status", "status", 10),
    Column("run", "run", 4, right=True),
    Column("initializer", "initializer", 17, middle=True),
    Column("seed", "seed", 4, right=True),
    Column("done", "done", 5, right=True),
    Column("loss", "loss", 9, right=True),
    Column("acc", "acc %", 5, right=True),
    Column("time", "time", 7, right=True),
)


def columns(room: int) -> list[Column]:
    """Return the columns for a table of `room` cells; the initializer gets the remaining cells."""
    spare = room - SCROLLBAR + GAP - sum(column.width + GAP for column in COLUMNS)
    return [
        replace(column, width=min(MOST_INITIALIZER, column.width + max(0, spare)))
        if column.key == "initializer"
        else column
        for column in COLUMNS
    ]


def order(snapshot: StoreSnapshot) -> list[int]:
    """Return the runs by id: running, paused and queued ones, those that cannot be read, and those that ended.

    Those that ended are listed with the newest first.
    """
    active = sorted(snapshot.active, key=lambda run: (ORDER.index(run.status), run.id))
    ended: list[int] = []
    for run in reversed(snapshot.runs.values()):
        if len(ended) == RECENT:
            break
        if run.status.is_ended:
            ended.append(run.id)
    unreadable = [run.id for run in snapshot.unreadable if run.id is not None and run.id not in snapshot.runs]
    return [run.id for run in active] + unreadable[:RECENT] + ended


def cells(run: Run | UnreadableRun | None) -> Sequence[Text]:
    """Return the cells of a run; empty ones if it is no longer in the store."""
    if run is None:
        return [Text("")] * len(COLUMNS)
    if isinstance(run, UnreadableRun):
        texts = (Text(UNREADABLE, style="bold red"), Text(str(run.id)), Text(plain(run.problem)))
        return [*texts, *[Text("")] * (len(COLUMNS) - len(texts))]
    status = STATUS_STYLES[run.status]
    evaluated = run.test_accuracy is not None
    return (
        Text(status.label, style=status.colour),
        Text(str(run.id)),
        Text(plain(initializer_name(run.spec.initializer))),
        Text(str(run.spec.seed)),
        Text(f"{100 * run.step // run.total_steps} %" if run.total_steps else ""),
        Text(number(run.test_loss) if evaluated else ""),
        Text(percent(run.test_accuracy) if evaluated else ""),
        Text(_duration(run.seconds) if run.started else ""),
    )


def _duration(value: float) -> str:
    """Return `59.5 s`, `12:59` or `1:02:59`: never wider than the column."""
    if value < 59.95:
        return seconds(value)
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def progress(snapshot: StoreSnapshot) -> str:
    """Return `paused · 3/15 runs done · 20 s left` of the comparison that is running; `idle` if none is."""
    if not snapshot.active:
        return "idle" if snapshot.workers else ""
    comparison_id = snapshot.active[0].comparison_id
    runs = [run for run in snapshot.runs.values() if run.comparison_id == comparison_id]
    ended = sum(run.status.is_ended for run in runs)
    paused = "paused · " if all(run.status is RunStatus.PAUSED for run in snapshot.active) else ""
    return f"{paused}{ended}/{len(runs)} runs done · {time_left(runs)}"


def time_left(runs: Sequence[Run]) -> str:
    """Return the time for the remaining steps of a comparison, at the speed of its runs so far."""
    steps = sum(run.step for run in runs if run.total_steps)
    busy = sum(run.seconds for run in runs if run.total_steps)
    known = max((run.total_steps or 0 for run in runs), default=0)
    left = sum((run.total_steps or known) - run.step for run in runs if not run.status.is_ended)
    workers = max(1, sum(run.status is RunStatus.RUNNING for run in runs))
    return f"{about(busy / steps * left / workers)} left" if steps and busy else "starting"
