"""Follows runs in the store until they have ended or no worker can be started for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution.liveness import LivenessMonitor
from initlab_tui.execution.patience import has_room
from initlab_tui.store.curves import LatestStep, latest_step
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Snapshot:
    """The followed runs at one moment, oldest first, and the latest step of each run in training.

    Without `has_room` they wait, because the disk of the store is full.
    """

    runs: tuple[Run, ...]
    latest: dict[int, LatestStep]
    has_room: bool

    @property
    def is_over(self) -> bool:
        """Whether all runs have ended, except those that wait because no worker could be started."""
        return all(run.status.is_ended or run.is_without_worker for run in self.runs)


def snapshot(store: Store, ids: Sequence[int], *, has_room: bool) -> Snapshot:
    """Read the runs with these ids and their latest steps."""
    runs = tuple(list_runs(store, ids))
    newest = {run.id: latest_step(store, run.id) for run in runs if run.status is RunStatus.RUNNING}
    return Snapshot(runs, {run_id: step for run_id, step in newest.items() if step}, has_room)


def follow(store: Store, ids: Sequence[int]) -> Iterator[Snapshot]:
    """Yield a snapshot now and after each change; the last one is yielded when it is over.

    Meanwhile a LivenessMonitor restarts missing workers.
    """
    monitor, seen = LivenessMonitor(store), (-1, True)
    while True:
        changed = monitor.check(ids)
        state = store.data_version(), has_room(store)
        if changed or state != seen:
            seen = state
            current = snapshot(store, ids, has_room=state[1])
            yield current
            if current.is_over:
                return
        time.sleep(POLL_SECONDS)
