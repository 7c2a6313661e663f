"""Follows runs in the store until they are over: what every face of the program looks through."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store.database import Run, Store

POLL_SECONDS = 0.1
LIVENESS_SECONDS = 1.0
RESTARTS = 3


@dataclass(frozen=True)
class Latest:
    """The newest training step of a run."""

    step: int
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Snapshot:
    """The followed runs as they stand, oldest first, and the newest step of each that trains."""

    runs: tuple[Run, ...]
    latest: dict[int, Latest]

    @property
    def all_ended(self) -> bool:
        return all(run.status.is_ended for run in self.runs)


def latest(store: Store, run_id: int) -> Latest | None:
    """The newest training step of a run; None before the first."""
    row = store.connection.execute(
        "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = 'train' ORDER BY step DESC LIMIT 1",
        (run_id,),
    ).fetchone()
    return Latest(*row) if row else None


def snapshot(store: Store, ids: Sequence[int]) -> Snapshot:
    """Look once."""
    runs = tuple(store.runs(ids))
    newest = {run.id: latest(store, run.id) for run in runs if run.status is RunStatus.RUNNING}
    return Snapshot(runs, {run_id: step for run_id, step in newest.items() if step})


@dataclass(frozen=True)
class _Start:
    """Workers that were started for want of one: the how manieth in vain, and the newest event before."""

    in_vain: int
    event: int


class LivenessMonitor:
    """Sees to it that nobody waits for runs in vain.

    Marks what dead workers left behind, and starts workers where runs wait and none is alive for them. Where
    RESTARTS of them end before one has begun a run, what waits for them is failed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._checked = -math.inf
        self._starts: dict[tuple[str, int], _Start] = {}

    def check(self, ids: Sequence[int] | None = None) -> bool:
        """Look after these runs, or all, once every LIVENESS_SECONDS at most; returns whether any were ended.

        Raises:
            InvalidInputError: when the store was removed.
        """
        now = time.monotonic()
        if now - self._checked < LIVENESS_SECONDS:
            return False
        self._checked = now
        store = self._store
        if not store.is_there():
            raise InvalidInputError.of("store", f"store {store.path} was removed while its runs were followed")
        ended = bool(supervisor.reap(store))
        for plan in supervisor.needed_again(store, ids):
            ended |= self._start_or_fail(plan, ids)
        return ended

    def _start_or_fail(self, plan: WorkerPlan, ids: Sequence[int] | None) -> bool:
        before = self._starts.pop((plan.device, plan.threads), _Start(0, 0))
        in_vain = 0 if self._begun_since(before.event, plan) else before.in_vain
        if in_vain < RESTARTS:
            self._starts[plan.device, plan.threads] = _Start(in_vain + 1, self._store.newest_event())
            supervisor.start_workers(self._store, plan)
            return False
        how = f"{RESTARTS} were, and none lived long enough to begin"
        supervisor.fail_queued(self._store, plan, how, ids=ids)
        return True

    def _begun_since(self, event: int, plan: WorkerPlan) -> bool:
        row = self._store.connection.execute(
            "SELECT 1 FROM events JOIN runs ON runs.id = run_id "
            "WHERE events.id > ? AND kind = 'claimed' AND device = ? AND threads = ? LIMIT 1",
            (event, plan.device, plan.threads),
        ).fetchone()
        return row is not None


def follow(store: Store, ids: Sequence[int]) -> Iterator[Snapshot]:
    """Yield a snapshot now and at each change, the last when all the runs are over.

    A LivenessMonitor looks after them meanwhile.
    """
    keeper, seen = LivenessMonitor(store), -1
    while True:
        changed = keeper.check(ids)
        version = store.data_version()
        if changed or version != seen:
            seen = version
            current = snapshot(store, ids)
            yield current
            if current.all_ended:
                return
        time.sleep(POLL_SECONDS)
