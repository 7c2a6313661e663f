"""Finds out whether another host uses a store on a network file system, where only one host may."""

from __future__ import annotations

import socket
import sqlite3
import time

from initlab_tui.store import rows

FRESH_SECONDS = 60.0


class OtherHosts:
    """The other hosts with workers that have not ended, as far as the store says when this is created.

    A host whose heartbeats are about now uses the store. The others may have ended without a word, or have another
    clock: that shows when a heartbeat changes, so nobody has to wait for it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._before = self._heartbeats()

    def find_living(self) -> str | None:
        """Return the name of a host that uses the store, None if none is known to."""
        if not self._before:
            return None
        now = time.time()
        for worker, (host, heartbeat) in self._heartbeats().items():
            if worker in self._before and (
                abs(now - heartbeat) < FRESH_SECONDS or self._before[worker] != (host, heartbeat)
            ):
                return host
        return None

    def _heartbeats(self) -> dict[int, tuple[str, float]]:
        query = "SELECT id, host, heartbeat FROM workers WHERE ended IS NULL AND host <> ?"
        found = self._connection.execute(query, (socket.gethostname(),))
        return {
            worker: (host, heartbeat)
            for worker, host, heartbeat in found
            if rows.LINE.allows(host) and rows.TIME.allows(heartbeat)
        }
