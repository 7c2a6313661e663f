"""Notices dead and hung workers, and restarts missing ones, so that nobody waits forever."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import supervisor
from initlab_tui.execution.heartbeats import HeartbeatWatch
from initlab_tui.execution.patience import is_temporary
from initlab_tui.execution.stop_escalation import SHOWN_SILENCE_SECONDS, StopEscalation
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store import failed_starts, workers
from initlab_tui.store.database import Store, StoreError

LIVENESS_SECONDS = 1.0
RESTARTS = 3


def refuse_removed(store: Store) -> None:
    """Check that the file of an open store still exists.

    Raises:
        InvalidInputError: if it was removed, or replaced by another file.
    """
    if not store.still_exists():
        raise InvalidInputError.of("store", f"store {store.path} was removed while its runs were followed")


class LivenessMonitor:
    """Looks after the workers of a store; each lab, following command and process monitor has one.

    It marks the runs of dead workers as crashed, records how long workers have been silent, ends workers that do not
    react to a request to stop, and starts workers for queued runs that no living worker could take. If RESTARTS of
    them in a row end without claiming a run, whoever started them, the waiting runs stay queued with the reason.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checked = -math.inf
        self._heartbeats = HeartbeatWatch()
        self._escalation = StopEscalation()
        self._restarted: set[tuple[str, int]] = set()

    def check(self, ids: Sequence[int] | None = None) -> bool:
        """Check all workers, at most once every LIVENESS_SECONDS, and restart those that these runs, or all, need.

        Returns whether a run has changed.

        Raises:
            InvalidInputError: if the store was removed.
        """
        now = time.monotonic()
        if now - self._checked < LIVENESS_SECONDS:
            return False
        self._checked = now
        refuse_removed(self._store)
        if self._store.read_only:
            return False
        try:
            changed = bool(supervisor.reap(self._store, self._heartbeats))
            changed |= self._check_silent()
            for plan in supervisor.needed_again(self._store, ids):
                changed |= self._restart_or_hold(plan)
            return changed
        except StoreError as error:
            if not is_temporary(error):
                raise
            return False  # the store is locked, or its disk is full: following it continues

    def has_signalled(self, worker_id: int) -> bool:
        """Return whether this worker got a signal from here because it did not react to a request to stop."""
        return worker_id in self._escalation.signalled

    def _check_silent(self) -> bool:
        alive = workers.list_alive(self._store)
        self._heartbeats.keep_only({worker.id for worker in alive})
        silent = {worker.id: self._heartbeats.silent_seconds(worker) for worker in alive}
        self._escalation.check(self._store, silent)
        changed = False
        for worker_id, seconds in silent.items():
            if seconds >= SHOWN_SILENCE_SECONDS:
                changed |= workers.record_silence(self._store, worker_id, seconds)
        return changed

    def _restart_or_hold(self, plan: WorkerPlan) -> bool:
        kind = (plan.device, plan.threads)
        # Failures that were counted before this process tried may be old ones, such as workers lost at a reboot.
        if kind in self._restarted and failed_starts.count(self._store, *kind) >= RESTARTS:
            supervisor.hold_queued(self._store, plan)
            self._restarted.discard(kind)
            return True
        self._restarted.add(kind)
        supervisor.start_workers(self._store, plan)
        return False
