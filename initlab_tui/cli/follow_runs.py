"""Trains a checked comparison from the command line: submits it, follows its runs, and stops them on Ctrl+C."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from initlab_tui.cli.progress import Display, display
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution.follow import follow
from initlab_tui.services import submit
from initlab_tui.services.submit import Submission
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs

FAILED = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Trained:
    """The runs of a comparison that can be read, and whether Ctrl+C stopped them."""

    runs: tuple[Run, ...]
    interrupted: bool = False

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
        return Trained(tuple(list_runs(store, ids)), interrupted)


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


def _show(store: Store, ids: Sequence[int], shown: Display) -> None:
    for snapshot in follow(store, ids):
        shown.show(snapshot)


def exit_code(trained: Trained, *, divergence_is_expected: bool) -> int:
    """Return 0 if every run has a result; divergence is a result in a comparison, but not for a single run."""
    if trained.interrupted:
        return INTERRUPTED
    results = {RunStatus.DONE, RunStatus.DIVERGED} if divergence_is_expected else {RunStatus.DONE}
    return 0 if trained.runs and all(run.status in results for run in trained.runs) else FAILED
