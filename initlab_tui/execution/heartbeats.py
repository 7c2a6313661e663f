"""Measures for how long workers have been silent, without comparing the clocks of two hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from initlab_tui.store.workers import RegisteredWorker

# A process that was itself stopped for longer does not know what happened meanwhile.
LONGEST_GAP_SECONDS = 5.0


@dataclass(frozen=True)
class _Sighting:
    heartbeat: float
    silent: float
    at: float


class HeartbeatWatch:
    """Remembers the heartbeats of workers.

    A worker is alive if its heartbeat changes; what time it contains does not matter, because clocks of hosts differ
    and may be set while a worker runs. Time is measured by this process's monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sightings: dict[int, _Sighting] = {}

    def silent_seconds(self, worker: RegisteredWorker) -> float:
        """Return for how long the heartbeat of `worker` has not changed, as far as this process has seen."""
        now, before = self._clock(), self._sightings.get(worker.id)
        silent = 0.0
        if before and before.heartbeat == worker.heartbeat:
            silent = before.silent + min(now - before.at, LONGEST_GAP_SECONDS)
        self._sightings[worker.id] = _Sighting(worker.heartbeat, silent, now)
        return silent

    def keep_only(self, worker_ids: Collection[int]) -> None:
        """Forget all workers but these."""
        self._sightings = {key: seen for key, seen in self._sightings.items() if key in worker_ids}
