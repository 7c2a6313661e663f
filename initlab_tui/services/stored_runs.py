"""Reads runs from the store, after marking those of dead workers as crashed."""

from __future__ import annotations

from dataclasses import dataclass

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.store import layer_statistics, queue, runs
from initlab_tui.store.curves import Curve, read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.store.rows import MAX_ID
from initlab_tui.store.runs import Run, RunRows, UnreadableRun


@dataclass(frozen=True)
class StoredRuns:
    """Runs, oldest first, and the number of queued runs that no living worker could train.

    `held` are the queued runs that are not trained, because this user did not queue them; `unreadable` are the rows
    of the store that are not valid runs.
    """

    runs: tuple[Run, ...]
    waiting: int = 0
    held: tuple[int, ...] = ()
    unreadable: tuple[UnreadableRun, ...] = ()


@dataclass(frozen=True)
class RunDetails:
    """Everything recorded about a run; `events` are (time, kind, detail), oldest first.

    The time is None for an event that cannot be read.
    """

    run: Run
    train: Curve
    test: Curve
    measurements: tuple[StoredMeasurement, ...]
    events: tuple[tuple[float | None, str, str], ...]


def read_runs(store: Store, comparison_id: int | None = None) -> StoredRuns:
    """Read all runs, or those of one comparison.

    Raises:
        InvalidInputError: if there is no such comparison.
    """
    supervisor.reap(store)
    if comparison_id is None:
        found, unreadable = runs.read_runs(store)
    else:
        known = comparison_id <= MAX_ID
        found, unreadable = runs.read_comparison_runs(store, comparison_id) if known else RunRows([], [])
        if not found and not unreadable:
            raise InvalidInputError.of("comparison", f"no comparison {comparison_id} in {store.path}")
    held = set(queue.list_held(store))
    queued = [run.id for run in found if run.status is RunStatus.QUEUED and run.id not in held]
    waiting = len(queued) if queued and supervisor.needed_again(store, queued) else 0
    return StoredRuns(tuple(found), waiting, tuple(run.id for run in found if run.id in held), tuple(unreadable))


def read_details(store: Store, run_id: int) -> RunDetails | UnreadableRun:
    """Read everything about one run.

    Raises:
        InvalidInputError: if there is no such run.
    """
    supervisor.reap(store)
    found = details(store, run_id)
    if found is None:
        raise InvalidInputError.of("id", f"no run {run_id} in {store.path}: see initlab-tui runs")
    return found


def details(store: Store, run_id: int) -> RunDetails | UnreadableRun | None:
    """Return everything recorded about a run, or why it cannot be read; None if there is no such run."""
    found, unreadable = runs.read_runs(store, [run_id])
    if not found:
        return next(iter(unreadable), None)
    run = found[0]
    return RunDetails(
        run,
        read_curve(store, run_id, "train"),
        read_curve(store, run_id, "test"),
        tuple(layer_statistics.read(store, run_id)),
        tuple(read_events(store, run_id)),
    )
