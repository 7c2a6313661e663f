"""Writes the events of a run to the store, several at a time."""

from __future__ import annotations

import math
import time
from typing import Self

from initlab_tui.store import progress
from initlab_tui.store.database import Store
from initlab_tui.store.progress import Recorded
from initlab_tui.store.runs import Run

# A small network yields hundreds of events a second; with a transaction for each, other writers, such as a request
# to stop, would not get the lock. This is a little less than a chunk of training takes, so each chunk is seen at once.
WRITE_SECONDS = 0.08


class Recorder:
    """Collects a run's events and writes them about ten times a second, and the rest when its `with` block ends."""

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
        """Add an event, and return the request that the last write found: stop, pause or None.

        Raises:
            LostRunError: when the run no longer belongs to this worker.
        """
        self._events.append(event)
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self.write()
        return self._request

    def write(self) -> None:
        """Write the collected events.

        Raises:
            LostRunError: when the run no longer belongs to this worker.
        """
        # A write that failed is not tried again when the `with` block ends: that would hide the reason.
        events, self._events = self._events, []
        if events:
            self._request = progress.record(self._store, self._run, events)
            self._written = time.monotonic()
