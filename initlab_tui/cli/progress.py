"""Shows the progress of runs on stderr: a live display on a terminal, otherwise a line for each finished run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import rich.live
from rich.console import Console, Group, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from initlab_tui.execution.follow import Snapshot
from initlab_tui.execution.patience import DISK_FULL
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import differing_fields, group_name, number, percent, rate, remark, seconds
from initlab_tui.store.curves import LatestStep
from initlab_tui.store.runs import Run

REFRESH_PER_SECOND = 5


class Display(Protocol):
    """A display that shows each snapshot."""

    def show(self, snapshot: Snapshot) -> None: ...


def run_name(run: Run, differing: Sequence[str]) -> str:
    """Return the name of a run: its group and its seed."""
    return plain(f"{group_name(run.spec, differing)} seed {run.spec.seed}")


def ending(run: Run) -> str:
    """Return the status and the results of a finished run."""
    measured = f"accuracy {percent(run.test_accuracy)} %, loss {number(run.test_loss)}, {seconds(run.seconds)}"
    reason = f": {run.reason}" if run.reason else ""
    return plain(f"{run.status}{reason}{', ' + measured if run.started else ''}")


class Lines:
    """Writes a line for each run that ends, and one when they wait for room on the disk."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write, self._shown = write, set[int]()
        self._had_room = True

    def show(self, snapshot: Snapshot) -> None:
        if self._had_room and not snapshot.has_room:
            self._write(DISK_FULL)
        self._had_room = snapshot.has_room
        differing = differing_fields([run.spec for run in snapshot.runs])
        for run in snapshot.runs:
            if run.status.is_ended and run.id not in self._shown:
                self._shown.add(run.id)
                done = f"[{len(self._shown)}/{len(snapshot.runs)}]"
                self._write(f"{done} {run_name(run, differing)}: {ending(run)}")


class Live:
    """Shows a progress bar for all runs, and one for each run in training."""

    def __init__(self, total: int) -> None:
        note = Column(overflow="ellipsis", no_wrap=True)
        self._overall = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[label]}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[note]}", markup=False, table_column=note),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(compact=True),
        )
        self._each = Progress(
            TextColumn("  {task.fields[label]}", markup=False, table_column=note),
            BarColumn(bar_width=12),
            TextColumn("{task.fields[note]}", markup=False, table_column=note),
        )
        self._all = self._overall.add_task("", total=total, label=f"0/{total} runs", note="starting TensorFlow")
        self._tasks: dict[int, TaskID] = {}

    def __rich__(self) -> RenderableType:
        return Group(self._overall, self._each)

    def show(self, snapshot: Snapshot) -> None:
        runs = snapshot.runs
        over = sum(run.status.is_ended for run in runs)
        differing = differing_fields([run.spec for run in runs])
        self._overall.update(
            self._all,
            completed=over + sum(_share(run) for run in runs if not run.status.is_ended),
            label=f"{over}/{len(runs)} runs",
            note=_waiting(snapshot),
        )
        running = {run.id: run for run in runs if run.status == "running"}
        for run_id in self._tasks.keys() - running.keys():
            self._each.remove_task(self._tasks.pop(run_id))
        for run_id, run in running.items():
            if run_id not in self._tasks:
                self._tasks[run_id] = self._each.add_task("", total=1.0, label=run_name(run, differing), note="")
            now = _now(run, snapshot.latest.get(run_id))
            self._each.update(self._tasks[run_id], completed=_share(run), note=now)


def _share(run: Run) -> float:
    return run.step / run.total_steps if run.total_steps else 0.0


def _waiting(snapshot: Snapshot) -> str:
    runs = snapshot.runs
    if not snapshot.has_room:
        return DISK_FULL
    if any(run.status == "paused" for run in runs):
        paused = [str(run.id) for run in runs if run.status == "paused"]
        return f"paused: {' '.join(paused)} (initlab-tui resume ID)"
    if all(run.status == "queued" for run in runs):
        return "starting TensorFlow"
    return ""


def _now(run: Run, latest: LatestStep | None) -> str:
    if run.silent_seconds is not None:
        return f"{remark(run)} (initlab-tui stop {run.id})"
    if run.total_steps is None:
        return "building and compiling the network"
    if latest is None:
        return ""
    loss, accuracy = number(latest.loss), percent(latest.accuracy)
    return f"train loss {loss}  acc {accuracy} %  {rate(run.samples_per_second)}/s"


@contextlib.contextmanager
def display(console: Console, total: int) -> Iterator[Display]:
    """Yield a display for `console`, which is on stderr: live on a terminal, otherwise lines."""
    if not console.is_terminal:
        yield Lines(lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True))
        return
    live = Live(total)
    with rich.live.Live(live, console=console, transient=True, refresh_per_second=REFRESH_PER_SECOND):
        yield live
