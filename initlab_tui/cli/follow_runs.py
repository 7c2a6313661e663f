"""From a comparison to its document: queue, start workers, follow, stop on Ctrl+C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from initlab_tui.cli.options import Resources
from initlab_tui.cli.progress import Display, display
from initlab_tui.domain.spec import Comparison
from initlab_tui.execution import supervisor
from initlab_tui.execution.follow import follow
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.services import submit
from initlab_tui.store import queue
from initlab_tui.store.database import Run, Store

FAILED = 1
INTERRUPTED = 130


@dataclass(frozen=True)
class Trained:
    """What came of a comparison's runs; `interrupted` by Ctrl+C."""

    runs: tuple[Run, ...]
    interrupted: bool = False


def train(
    comparison: Comparison, store_path: Path, data_dir: Path | None, place: Resources, console: Console
) -> Trained:
    """Check everything, queue a comparison's runs and, unless detached, follow them to their end on `console`.

    Ctrl+C stops its runs, keeping what they recorded; a second one leaves at once.

    Raises:
        InvalidInputError: with nothing written.
    """
    where = submit.Resources(place.device, place.workers, place.threads)
    submission = submit.prepare(comparison, data_dir, Path.cwd(), where)
    with Store.open(store_path) as store:
        ids = submit.enqueue(store, submission)
        interrupted = False
        if place.detach:
            supervisor.start_workers(store, submission.plan)
        else:
            interrupted = _to_the_end(store, ids, submission.plan, console)
        runs = tuple(store.runs(ids))
    return Trained(runs, interrupted)


def _to_the_end(store: Store, ids: Sequence[int], plan: WorkerPlan, console: Console) -> bool:
    with display(console, len(ids)) as shown:
        try:
            supervisor.start_workers(store, plan)
            _show(store, ids, shown)
        except KeyboardInterrupt:
            queue.stop(store, ids)
            console.print("stopping; Ctrl+C again leaves it to the workers", style="dim")
            try:
                _show(store, ids, shown)
            except KeyboardInterrupt:
                console.print("left", style="dim")
            return True
    return False


def _show(store: Store, ids: Sequence[int], shown: Display) -> None:
    for snapshot in follow(store, ids):
        shown.show(snapshot)


def exit_code(trained: Trained, *, divergence_is_expected: bool) -> int:
    """0 when every run came to a result; diverging is one where starts are compared, not for a lone run."""
    if trained.interrupted:
        return INTERRUPTED
    results = {"done", "diverged"} if divergence_is_expected else {"done"}
    return 0 if all(run.status in results for run in trained.runs) else FAILED
