"""Writes what a run yields into the store, several events at a time."""

from __future__ import annotations

import math
import time
from typing import Self

from initlab_tui.store import queue
from initlab_tui.store.database import Run, Store
from initlab_tui.store.queue import Recorded

# A small network yields hundreds of events a second; a transaction for each would keep other writers, such as
# a stop, from the lock. A little less than a chunk of training lasts, so that each of those is seen at once.
WRITE_SECONDS = 0.08


class Recorder:
    """Gathers a run's events and writes them about ten times a second; what is left, when its `with` ends."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store, self._run = store, run
        self._events: list[Recorded] = []
        self._written = -math.inf
        self._request: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.write()

    def add(self, event: Recorded) -> str | None:
        """Take an event, and return what was asked of the run by the last write: stop, pause or None.

        Raises:
            LostRunError: when the run is no longer this worker's.
        """
        self._events.append(event)
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self.write()
        return self._request

    def write(self) -> None:
        """Write what was gathered.

        Raises:
            LostRunError: when the run is no longer this worker's.
        """
        # What could not be written is not tried again when `with` ends: that would hide why.
        events, self._events = self._events, []
        if events:
            self._request = queue.record(self._store, self._run, events)
            self._written = time.monotonic()
