"""Writes the events of a run to the store in batches."""

from __future__ import annotations

import math
import time
from typing import Self

from initlab_tui.store import progress
from initlab_tui.store.database import Store
from initlab_tui.store.progress import Recorded
from initlab_tui.store.runs import Run

# A small network yields hundreds of events a second. With a transaction for each, other writers, such as a request to
# stop, would not get the lock. It is slightly shorter than a chunk of training, so every chunk is visible at once.
WRITE_SECONDS = 0.08


class Recorder:
    """Collects the events of a run and writes them about ten times a second, and the rest at the end of its `with`."""

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
        """Add an event, and return the request found by the last write: stop, pause or None.

        Raises:
            LostRunError: if the run no longer belongs to this worker.
        """
        self._events.append(event)
        if time.monotonic() - self._written >= WRITE_SECONDS:
            self.write()
        return self._request

    def forget_request(self) -> None:
        """Forget the request that the last write found, because it was withdrawn."""
        self._request = None

    def write(self) -> None:
        """Write the collected events.

        Raises:
            LostRunError: if the run no longer belongs to this worker.
        """
        # Clear first: trying a failed write again at the end of the `with` block would hide the error.
        events, self._events = self._events, []
        if events:
            self._request = progress.record(self._store, self._run, events)
            self._written = time.monotonic()
