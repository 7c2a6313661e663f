"""Reads runs from the store, after marking those of dead workers as crashed."""

from __future__ import annotations

from dataclasses import dataclass

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.execution.patience import has_room
from initlab_tui.store import layer_statistics, queue
from initlab_tui.store.curves import Curve, read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.store.runs import Run, find_run, list_comparison_runs, list_runs

MAX_ID = 2**63 - 1  # the largest integer of SQLite


@dataclass(frozen=True)
class StoredRuns:
    """Runs, oldest first, and the number of queued runs that no living worker could train.

    `held` are the queued runs that are not trained, because this user did not queue them, and `without_worker` those
    for which no worker could be started. `has_room` is whether the disk of the store has room for more; without it,
    workers wait.
    """

    runs: tuple[Run, ...]
    waiting: int = 0
    held: tuple[int, ...] = ()
    has_room: bool = True

    @property
    def without_worker(self) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if run.is_without_worker)


@dataclass(frozen=True)
class RunDetails:
    """Everything recorded about a run; `events` are (time, kind, detail), oldest first."""

    run: Run
    train: Curve
    test: Curve
    measurements: tuple[StoredMeasurement, ...]
    events: tuple[tuple[float, str, str], ...]


def read_runs(store: Store, comparison_id: int | None = None) -> StoredRuns:
    """Read all runs, or those of one comparison.

    Raises:
        InvalidInputError: if there is no such comparison.
    """
    supervisor.reap(store)
    if comparison_id is None:
        found = list_runs(store)
    else:
        found = list_comparison_runs(store, comparison_id) if comparison_id <= MAX_ID else []
        if not found:
            raise InvalidInputError.of("comparison", f"no comparison {comparison_id} in {store.path}")
    held = set(queue.list_held(store))
    queued = [
        run.id for run in found if run.status is RunStatus.QUEUED and not run.is_without_worker and run.id not in held
    ]
    waiting = len(queued) if queued and supervisor.needed_again(store, queued) else 0
    is_active = any(run.status in (RunStatus.QUEUED, RunStatus.RUNNING) for run in found)
    return StoredRuns(
        tuple(found), waiting, tuple(run.id for run in found if run.id in held), not is_active or has_room(store)
    )


def followable(store: Store, run_id: int | None) -> list[int]:
    """Return the runs of the comparison of a run, or all that are queued or running.

    Runs for which no worker could be started, and that nobody has resumed, are not among all.

    Raises:
        InvalidInputError: if there is no such run.
    """
    supervisor.reap(store)
    if run_id is None:
        waiting = (RunStatus.QUEUED, RunStatus.RUNNING)
        held = set(queue.list_held(store))
        found = [run for run in list_runs(store) if run.status in waiting and not run.is_without_worker]
        return [run.id for run in found if run.id not in held]
    run = find_run(store, run_id) if run_id <= MAX_ID else None
    if run is None:
        raise InvalidInputError.of("id", f"no run {run_id} in {store.path}: see initlab-tui runs")
    if run.comparison_id is None:
        return [run.id]
    return [each.id for each in list_comparison_runs(store, run.comparison_id)]


def read_details(store: Store, run_id: int) -> RunDetails:
    """Read everything about one run.

    Raises:
        InvalidInputError: if there is no such run.
    """
    supervisor.reap(store)
    found = details(store, run_id)
    if found is None:
        raise InvalidInputError.of("id", f"no run {run_id} in {store.path}: see initlab-tui runs")
    return found


def details(store: Store, run_id: int) -> RunDetails | None:
    """Return everything recorded about a run, or None if there is no such run."""
    run = find_run(store, run_id)
    if run is None:
        return None
    return RunDetails(
        run,
        read_curve(store, run_id, "train"),
        read_curve(store, run_id, "test"),
        tuple(layer_statistics.read(store, run_id)),
        tuple(read_events(store, run_id)),
    )
