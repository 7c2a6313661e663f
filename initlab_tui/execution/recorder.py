"""Writes the events of a run to the store in batches."""

from __future__ import annotations

import math
import time
from typing import Self

from initlab_tui.execution.patience import RETRY_SECONDS, Patience, is_temporary
from initlab_tui.store import progress
from initlab_tui.store.database import Store, StoreError, is_busy
from initlab_tui.store.progress import Recorded
from initlab_tui.store.runs import Run

# A small network yields hundreds of events a second. With a transaction for each, other writers, such as a request to
# stop, would not get the lock. It is slightly shorter than a chunk of training, so every chunk is visible at once.
WRITE_SECONDS = 0.08
WRITING_SHARE = 0.25  # of the time at most, because each transaction waits for a slow network file system
KEPT_EVENTS = 10_000  # while another process holds the lock; then training waits


class Recorder:
    """Collects the events of a run and writes them about ten times a second, and the rest at the end of its `with`.

    While another process holds the store's lock, training continues and the events are kept. While the disk is full,
    training waits.
    """

    def __init__(self, store: Store, run: Run, patience: Patience | None = None) -> None:
        self._store, self._run = store, run
        self._patience = patience or Patience(store, run.worker_id or 0)
        self._events: list[Recorded] = []
        self._due = -math.inf
        self._request: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.write()

    def add(self, event: Recorded) -> str | None:
        """Add an event, and return the request found by the last write: stop, pause or None.

        Raises:
            LostRunError: if the run no longer belongs to this worker.
            ReplacedStoreError: if the store was removed or replaced.
        """
        self._events.append(event)
        if time.monotonic() >= self._due:
            try:
                self._write()
            except StoreError as error:
                if not is_temporary(error):
                    raise
                if is_busy(error) and len(self._events) < KEPT_EVENTS:
                    self._due = time.monotonic() + RETRY_SECONDS
                else:
                    self.write()
        return self._request

    def write(self) -> None:
        """Write the collected events, as soon as the store can be written.

        Raises:
            LostRunError: if the run no longer belongs to this worker.
            ReplacedStoreError: if the store was removed or replaced.
        """
        if self._events:
            self._patience.until_possible(self._write, self._run)

    def refuse_pause(self, reason: str) -> str | None:
        """Take the request to pause back, record the reason, and return the request that remains: stop or None."""
        sentence = f"not paused: {reason}"
        self._request = self._patience.until_possible(
            lambda: progress.explain(self._store, self._run, sentence, refuses_pause=True), self._run
        )
        return self._request

    def _write(self) -> None:
        began = time.monotonic()
        try:
            self._request = progress.record(self._store, self._run, self._events)
        except Exception as error:
            if not is_temporary(error):
                self._events = []  # trying again at the end of the `with` block would hide the error
            raise
        self._events = []
        ended = time.monotonic()
        self._due = ended + max(WRITE_SECONDS, (ended - began) / WRITING_SHARE)
