"""Reads runs from the store, after marking those of dead workers as crashed."""

from __future__ import annotations

from dataclasses import dataclass

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.execution.patience import has_room
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

    `held` are the queued runs that are not trained, because this user did not queue them, and `without_worker` those
    for which no worker could be started. `has_room` is whether the disk of the store has room for more; without it,
    workers wait. `unreadable` are the rows of the store that are not valid runs.
    """

    runs: tuple[Run, ...]
    waiting: int = 0
    held: tuple[int, ...] = ()
    has_room: bool = True
    unreadable: tuple[UnreadableRun, ...] = ()

    @property
    def without_worker(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.is_without_worker)


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
    queued = [
        run.id for run in found if run.status is RunStatus.QUEUED and not run.is_without_worker and run.id not in held
    ]
    waiting = len(queued) if queued and supervisor.needed_again(store, queued) else 0
    is_active = any(run.status in (RunStatus.QUEUED, RunStatus.RUNNING) for run in found)
    return StoredRuns(
        tuple(found),
        waiting,
        tuple(run.id for run in found if run.id in held),
        not is_active or has_room(store),
        tuple(unreadable),
    )


def followable(store: Store, run_id: int | None) -> list[int]:
    """Return the runs of the comparison of a run, or all that are queued or running.

    Runs for which no worker could be started, and that nobody has resumed, are not among all.

    Raises:
        InvalidInputError: if there is no such run, or it cannot be read.
    """
    supervisor.reap(store)
    if run_id is None:
        waiting = (RunStatus.QUEUED, RunStatus.RUNNING)
        held = set(queue.list_held(store))
        found = [run for run in runs.list_runs(store) if run.status in waiting and not run.is_without_worker]
        return [run.id for run in found if run.id not in held]
    named = {run.id: run for run in runs.list_runs(store, [run_id])}
    runs.refuse_unknown(store, [run_id], named)
    comparison_id = named[run_id].comparison_id
    return [run_id] if comparison_id is None else [each.id for each in runs.list_comparison_runs(store, comparison_id)]


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
