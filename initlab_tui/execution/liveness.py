"""Restarts missing workers, and fails runs that cannot start, so that nobody waits forever."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import supervisor
from initlab_tui.execution.patience import is_temporary
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.events import any_claimed_since, newest_event

LIVENESS_SECONDS = 1.0
RESTARTS = 3


@dataclass(frozen=True)
class _Restart:
    """The number of failed restarts so far, and the last event before the latest restart."""

    failed: int
    event: int


def refuse_removed(store: Store) -> None:
    """Check that the file of an open store still exists.

    Raises:
        InvalidInputError: if it was removed, or replaced by another file.
    """
    if not store.still_exists():
        raise InvalidInputError.of("store", f"store {store.path} was removed while its runs were followed")


class LivenessMonitor:
    """Restarts missing workers; fails runs that cannot start.

    It marks the runs of dead workers as crashed, and starts workers for queued runs that no living worker could take.
    If RESTARTS of them in a row end without claiming a run, the waiting runs fail.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checked = -math.inf
        self._restarts: dict[tuple[str, int], _Restart] = {}

    def check(self, ids: Sequence[int] | None = None) -> bool:
        """Check the workers of these runs, or of all, at most once every LIVENESS_SECONDS; return whether a run ended.

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
            ended = bool(supervisor.reap(self._store))
            for plan in supervisor.needed_again(self._store, ids):
                ended |= self._restart_or_fail(plan, ids)
            return ended
        except StoreError as error:
            if not is_temporary(error):
                raise
            return False  # the store is locked, or its disk is full: following it continues

    def _restart_or_fail(self, plan: WorkerPlan, ids: Sequence[int] | None) -> bool:
        before = self._restarts.pop((plan.device, plan.threads), _Restart(0, 0))
        claimed = any_claimed_since(self._store, before.event, plan.device, plan.threads)
        failed = 0 if claimed else before.failed
        if failed < RESTARTS:
            self._restarts[plan.device, plan.threads] = _Restart(failed + 1, newest_event(self._store))
            supervisor.start_workers(self._store, plan)
            return False
        supervisor.fail_queued(self._store, plan, f"{RESTARTS} workers in a row ended without claiming a run", ids=ids)
        return True
