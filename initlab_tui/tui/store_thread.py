"""A store on a thread of its own, so that no wait for its lock or the disk holds up a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from initlab_tui.runs.store import Store

T = TypeVar("T")


class StoreThread:
    """Does what it is given, one after the other, with a connection that only its thread uses."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._store: Store | None = None

    async def do(self, work: Callable[[Store], T]) -> T:
        """The result of `work`, or what it raised."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._on_thread, work)

    def _on_thread(self, work: Callable[[Store], T]) -> T:
        if self._store is None:
            self._store = Store.open(self._path)
        return work(self._store)

    def close(self) -> None:
        """Close the connection once what was given before is done."""
        self._executor.submit(self._close)
        self._executor.shutdown(wait=True)

    def _close(self) -> None:
        if self._store:
            self._store.close()
