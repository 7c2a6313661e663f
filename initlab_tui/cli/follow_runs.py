"""Trains a checked comparison from the command line: submits it, follows its runs, and stops them on Ctrl+C."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from initlab_tui.cli import output
from initlab_tui.cli.progress import Display, display
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution.follow import follow
from initlab_tui.reports.format import without_worker_message
from initlab_tui.services import submit
from initlab_tui.services.submit import Submission
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs

FAILED = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Trained:
    """The runs that were followed and can be read, and whether Ctrl+C ended that.

    `is_lost` is whether there were runs, and none of them can be read.
    """

    runs: tuple[Run, ...]
    interrupted: bool = False
    is_lost: bool = False

    @property
    def comparison_id(self) -> int | None:
        return self.runs[0].comparison_id if self.runs else None


def train(submission: Submission, store_path: Path, console: Console, *, detach: bool = False) -> Trained:
    """Submit a comparison and, unless detached, follow its runs on `console` until they end.

    Ctrl+C stops the runs and keeps their results so far; a second Ctrl+C returns at once.

    Raises:
        InvalidInputError: if the store cannot be used.
    """
    with Store.open(store_path) as store:
        ids = submit.submit(store, submission).ids
        interrupted = not detach and _follow_to_the_end(store, ids, console)
        return _trained(store, ids, interrupted=interrupted)


def _follow_to_the_end(store: Store, ids: Sequence[int], console: Console) -> bool:
    """Follow the runs until all have ended, and return whether Ctrl+C was pressed."""
    with display(console, len(ids)) as shown:
        try:
            # The leaderboard needs it for intervals: import it now, while the workers start.
            importlib.import_module("scipy.special")
            _show(store, ids, shown)
        except KeyboardInterrupt:
            queue.stop(store, ids)
            console.print("stopping the runs; press Ctrl+C again to return at once", style="dim")
            try:
                _show(store, ids, shown)
            except KeyboardInterrupt:
                console.print("the workers stop the remaining runs", style="dim")
            return True
    return False


def attach(store: Store, ids: Sequence[int], console: Console) -> Trained:
    """Follow runs that train in the background on `console` until they end; Ctrl+C leaves them training."""
    is_left = False
    try:
        with display(console, len(ids)) as shown:
            importlib.import_module("scipy.special")
            _show(store, ids, shown)
    except KeyboardInterrupt:
        is_left = True
    return _trained(store, ids, interrupted=is_left)


def _trained(store: Store, ids: Sequence[int], *, interrupted: bool) -> Trained:
    runs = tuple(list_runs(store, ids))
    without_worker = [run for run in runs if run.is_without_worker]
    if without_worker:
        output.error(without_worker_message(without_worker))
    return Trained(runs, interrupted, is_lost=bool(ids) and not runs)


def _show(store: Store, ids: Sequence[int], shown: Display) -> None:
    for snapshot in follow(store, ids):
        shown.show(snapshot)


def exit_code(trained: Trained, *, divergence_is_expected: bool) -> int:
    """Return 0 if every run has a result; divergence is a result in a comparison, but not for a single run."""
    if trained.interrupted:
        return INTERRUPTED
    results = {RunStatus.DONE, RunStatus.DIVERGED} if divergence_is_expected else {RunStatus.DONE}
    return 0 if not trained.is_lost and all(run.status in results for run in trained.runs) else FAILED


def print_results(runs: Sequence[Run], *, only_with_results: bool = False) -> None:
    """Print the leaderboard of runs and its conclusion on stdout, and which runs failed on stderr."""
    from initlab_tui.reports import documents, tables
    from initlab_tui.reports.format import conclusion

    rows = documents.rows(runs)
    if any(row.n for row in rows) or not only_with_results:
        output.print_page(lambda width: tables.leaderboard_tables(rows, width))
    sentence = conclusion(rows)
    if sentence:
        output.print_text(sentence)
    for run in runs:
        if run.status in (RunStatus.FAILED, RunStatus.CRASHED):
            output.error(f"run {run.id} {run.status}: {run.reason} (initlab-tui show {run.id})")
