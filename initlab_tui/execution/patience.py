"""Waits until the store can be written: while another process holds its lock, and while the disk is full."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from initlab_tui.store import progress
from initlab_tui.store.database import Store, StoreError, is_busy, is_disk_full
from initlab_tui.store.files import RESERVE_BYTES, reserve_name
from initlab_tui.store.runs import Run

T = TypeVar("T")
RETRY_SECONDS = 0.5
GRACE_SECONDS = 20.0  # for which a terminated worker still waits to write what it has
DISK_FULL = "waiting: the disk of the store is full; training continues when there is room"


class Patience:
    """Repeats a worker's writes until they are possible, for as long as it takes.

    On a full disk the space that the worker reserved is freed, so that the wait, and requests of other processes, can
    still be recorded.
    """

    def __init__(self, store: Store, worker_id: int) -> None:
        self._store, self._worker_id = store, worker_id
        self._gives_up_at = math.inf

    def terminate(self) -> None:
        """Wait no longer than GRACE_SECONDS from now on."""
        self._gives_up_at = time.monotonic() + GRACE_SECONDS

    def until_possible(self, write: Callable[[], T], run: Run | None = None) -> T:
        """Return the result of `write`, which is repeated while the store is locked or the disk is full.

        The wait for room is recorded with `run`.

        Raises:
            ReplacedStoreError: if the store was removed or replaced.
            StoreError: any other error of `write`, or if the worker was terminated meanwhile.
        """
        announced = False
        while True:
            try:
                return write()
            except StoreError as error:
                if not is_temporary(error) or time.monotonic() >= self._gives_up_at:
                    raise
                is_full = is_disk_full(error)
                if not announced:
                    print(f"waiting to write to the store: {error}", file=sys.stderr)
                    announced = True
            if is_full:
                self.wait_for_room(run)
            else:
                self._store.require_current()
                time.sleep(RETRY_SECONDS)

    def wait_for_room(self, run: Run | None = None) -> None:
        """Return when there is room on the disk, the worker was terminated, or `run` is asked to stop."""
        self._store.files.remove(reserve_name(self._worker_id))
        request = self._explain(run, DISK_FULL)
        while True:
            self._store.require_current()
            time.sleep(RETRY_SECONDS)
            if request == "stop" or self._gives_up_at < math.inf or has_room(self._store):
                break
            request = progress.read_request(self._store, run) if run else None
        self._explain(run, "")

    def _explain(self, run: Run | None, reason: str) -> str | None:
        if run is None:
            return None
        try:
            return progress.explain(self._store, run, reason)
        except StoreError as error:
            if not is_temporary(error):
                raise
            return None  # the wait is what matters


def is_temporary(error: BaseException) -> bool:
    """Return whether the same write may succeed later."""
    return is_busy(error) or is_disk_full(error)


def has_room(store: Store) -> bool:
    """Return whether the disk has room for the space that a worker reserves, and for some training."""
    return store.files.free_bytes() >= 2 * RESERVE_BYTES
