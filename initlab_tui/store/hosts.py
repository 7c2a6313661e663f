"""Finds out whether another host uses a store on a network file system, where only one host may."""

from __future__ import annotations

import socket
import sqlite3
import time

from initlab_tui.store import rows

FRESH_SECONDS = 60.0
WATCHED_SECONDS = 5.0  # more than two heartbeats


def other_host(connection: sqlite3.Connection) -> str | None:
    """Return the name of another host with living workers, None if there is none.

    A heartbeat whose time is not about now, perhaps by another clock, is watched for WATCHED_SECONDS.
    """
    before = _heartbeats(connection)
    now = time.time()
    fresh = [host for host, heartbeat in before.values() if abs(now - heartbeat) < FRESH_SECONDS]
    if fresh or not before:
        return fresh[0] if fresh else None
    time.sleep(WATCHED_SECONDS)
    after = _heartbeats(connection)
    return next((host for worker, (host, beat) in after.items() if before.get(worker) != (host, beat)), None)


def _heartbeats(connection: sqlite3.Connection) -> dict[int, tuple[str, float]]:
    query = "SELECT id, host, heartbeat FROM workers WHERE ended IS NULL AND host <> ?"
    found = connection.execute(query, (socket.gethostname(),))
    return {
        worker: (host, heartbeat)
        for worker, host, heartbeat in found
        if rows.LINE.allows(host) and rows.TIME.allows(heartbeat)
    }
