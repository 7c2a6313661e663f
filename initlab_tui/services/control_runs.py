"""Stops, pauses, resumes and retries runs."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import processes, supervisor
from initlab_tui.execution.follow import POLL_SECONDS
from initlab_tui.execution.liveness import LivenessMonitor
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs, refuse_unknown


@dataclass(frozen=True)
class Controlled:
    """The ids of the requested runs that changed, and the statuses of the others."""

    changed: tuple[int, ...]
    unchanged: Mapping[int, RunStatus]


def stop(store: Store, ids: Sequence[int] | None) -> Controlled:
    """Stop the runs with these ids, or all that are queued, running or paused; their results so far are kept."""
    chosen = _choose(store, ids, lambda run: run.status.is_active)
    return _controlled(store, chosen, queue.stop(store, chosen))


def without_monitor(store: Store, ids: Sequence[int]) -> list[int]:
    """Return those of `ids` that are asked to stop and train here in a worker whose process monitor is gone."""
    asked = workers.asked_to_stop(store)
    return [
        run_id
        for run_id in ids
        if (worker := asked.get(run_id))
        and worker.host == socket.gethostname()
        and worker.monitor_pid is not None
        and not processes.is_running(worker.monitor_pid, worker.monitor_born)
    ]


def wait_until_stopped(store: Store, ids: Sequence[int]) -> None:
    """Wait until runs that were asked to stop have ended, and end their workers if these do not react."""
    monitor = LivenessMonitor(store)
    while workers.asked_to_stop(store).keys() & set(ids):
        monitor.check()
        time.sleep(POLL_SECONDS)


def pause(store: Store, ids: Sequence[int] | None) -> Controlled:
    """Pause the runs with these ids, or all that are queued or running; running ones write a checkpoint."""
    chosen = _choose(store, ids, lambda run: run.status in (RunStatus.QUEUED, RunStatus.RUNNING))
    return _controlled(store, chosen, queue.pause(store, chosen))


def resume(store: Store, ids: Sequence[int] | None, *, allow_import: bool = False) -> Controlled:
    """Queue paused, stopped, crashed, failed and held runs again, and start workers for queued runs that have none.

    A run continues from its last checkpoint, or without one from step 0. If `ids` is None, only paused and queued runs
    are chosen.

    Runs are held if somebody else queued them, or if no worker could be started for them.

    Raises:
        InvalidInputError: if one of `ids` is done or diverged, or somebody else queued it with custom code and that is
            not allowed; nothing is changed.
    """
    chosen = _choose(store, ids, lambda run: run.status in (RunStatus.PAUSED, RunStatus.QUEUED))
    _refuse(store, chosen, _resume_problem)
    if not allow_import:
        refuse_foreign_code(store, chosen)
    _refuse(store, chosen, _deadly_problem)
    resumed = set(queue.resume(store, chosen))
    queued = [run.id for run in list_runs(store, chosen) if run.status is RunStatus.QUEUED]
    if _start_missing_workers(store, queued):
        resumed |= set(queued)
    return _controlled(store, chosen, [run_id for run_id in chosen if run_id in resumed])


def retry(store: Store, ids: Sequence[int], *, allow_import: bool = False) -> list[int]:
    """Queue failed, crashed and stopped runs again in their comparisons, and start missing workers.

    Returns the ids of the new runs. A run whose retry is still active is skipped.

    Raises:
        InvalidInputError: if one of `ids` cannot be retried, or somebody else queued it with custom code and that is
            not allowed; nothing is queued.
    """
    store.require_writable()
    supervisor.reap(store)
    _refuse(store, ids, _retry_problem)
    if not allow_import:
        refuse_foreign_code(store, ids)
    queued = queue.retry(store, ids)
    _start_missing_workers(store, queued)
    return queued


def refuse_foreign_code(store: Store, ids: Sequence[int]) -> None:
    """Refuse runs with a custom initializer that this user did not queue.

    Raises:
        InvalidInputError: naming the code and how to allow it.
    """
    foreign = list_runs(store, queue.list_foreign(store, ids))
    problems = [
        Problem(
            "id",
            f"run {run.id} was not queued by you and runs code that is not part of initlab-tui: "
            f"{run.spec.initializer}, from {run.import_folder}: read it, and allow it with --allow-import if you "
            "trust it",
        )
        for run in foreign
        if run.spec.initializer.is_imported
    ]
    if problems:
        raise InvalidInputError(problems)


def _choose(store: Store, ids: Sequence[int] | None, wanted: Callable[[Run], bool]) -> list[int]:
    store.require_writable()
    supervisor.reap(store)
    return list(dict.fromkeys(ids)) if ids else [run.id for run in list_runs(store) if wanted(run)]


def _refuse(store: Store, ids: Sequence[int], problem_of: Callable[[Run], str]) -> None:
    runs = list_runs(store, ids)
    refuse_unknown(store, ids, {run.id for run in runs})
    problems = [Problem("id", f"run {run.id} is {run.status}: {reason}") for run in runs if (reason := problem_of(run))]
    if problems:
        raise InvalidInputError(problems)


def _resume_problem(run: Run) -> str:
    return "it has a result, and there is nothing to resume" if run.status.has_result else ""


def _retry_problem(run: Run) -> str:
    if problem := _deadly_problem(run):
        return problem
    return "" if run.status.can_be_retried else "only failed, crashed and stopped runs can be retried"


def _start_missing_workers(store: Store, ids: Sequence[int]) -> bool:
    plans = supervisor.needed_again(store, ids) if ids else []
    for plan in plans:
        supervisor.start_workers(store, plan)
    return bool(plans)


def _deadly_problem(run: Run) -> str:
    if run.is_deadly and run.status.is_ended:
        return f"it has killed {run.deaths} workers and is not tried again; queue a new run with other settings"
    return ""


def _controlled(store: Store, ids: Sequence[int], changed: Sequence[int]) -> Controlled:
    return Controlled(tuple(changed), {run.id: run.status for run in list_runs(store, ids) if run.id not in changed})
