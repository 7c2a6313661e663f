"""Marks workers whose process has ended as dead, together with the runs that they were training."""

from __future__ import annotations

import contextlib
import time

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import events, rows, sql
from initlab_tui.store.database import Store
from initlab_tui.store.files import reserve_name
from initlab_tui.store.worker_log import log_tail
from initlab_tui.store.workers import HEARTBEAT_SECONDS

HAVE_RESULT = tuple(status for status in RunStatus if status.has_result)
MOST_DEATHS = 2  # a run that has killed so many workers is not tried again


def mark_dead(
    store: Store, worker_id: int, how: str, *, caused_by_run: bool = False, is_failure: bool = True
) -> list[int]:
    """Record that a worker's process ended, mark the run that it was training as crashed, and return the run's id.

    A run that was asked to stop is marked as stopped. `caused_by_run` is whether the run is the likely cause;
    `is_failure` is False for a worker that ended normally. Files that it left behind are removed.
    """
    now = time.time()
    with sql.transaction(store) as connection:
        row = connection.execute(
            "UPDATE workers SET ended = ?, exit = ?, silent_seconds = NULL, failed_start = (? AND claims = 0) "
            "WHERE id = ? AND ended IS NULL RETURNING heartbeat",
            (now, how, is_failure, worker_id),
        ).fetchone()
        if row is None:
            return []
        # A death may be noticed much later, so the run's time ends with the last heartbeat, on the worker's own clock.
        last = _end(row[0], now)
        query = "SELECT id, request, deaths FROM runs WHERE worker_id = ? AND status = 'running'"
        lost = connection.execute(query, (worker_id,)).fetchall()
        for run_id, request, deaths in lost:
            status, reason = _ending(f"worker {worker_id} died: {how}", request, deaths + caused_by_run)
            connection.execute(
                "UPDATE runs SET status = ?, reason = ?, log_tail = ?, ended = ?, request = NULL, deaths = ?, "
                "busy_seconds = busy_seconds + max(0, ? - timed_from) WHERE id = ?",
                (status, reason, log_tail(store, worker_id), last, deaths + caused_by_run, last, run_id),
            )
            events.note(connection, run_id, status, reason)
    _remove_files(store, worker_id)
    return [run_id for run_id, *_ in lost]


def _remove_files(store: Store, worker_id: int) -> None:
    """Remove the space that a dead worker reserved, and the checkpoints of its last run if that has a result."""
    query = "SELECT id, status FROM runs WHERE worker_id = ? ORDER BY ended DESC LIMIT 1"
    # A folder that cannot be used is reported when the next worker is started.
    with contextlib.suppress(InvalidInputError, OSError):
        store.files.remove(reserve_name(worker_id))
        for run_id, status in sql.connection(store).execute(query, (worker_id,)):
            if status in HAVE_RESULT:
                store.files.remove_checkpoints(run_id)


def _end(heartbeat: object, now: float) -> float:
    """Return when a worker that is dead now ended; its clock may be ahead of this one."""
    if not isinstance(heartbeat, float) or not rows.TIME.allows(heartbeat):
        return now
    return heartbeat if heartbeat > now else min(now, heartbeat + HEARTBEAT_SECONDS)


def _ending(died: str, request: str | None, deaths: int) -> tuple[RunStatus, str]:
    if request == "stop":
        return RunStatus.STOPPED, f"on request; {died}"
    if deaths >= MOST_DEATHS:
        return RunStatus.CRASHED, f"{died}; the run has killed {deaths} workers and is not tried again"
    return RunStatus.CRASHED, died
