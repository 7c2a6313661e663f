"""Counts the workers of a kind that died without claiming a run, so that all processes together stop restarting them.

The count starts from zero when a worker of that kind claims a run, and when the queued runs are left with the reason.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from initlab_tui.store import sql
from initlab_tui.store.database import Store


@dataclass(frozen=True)
class FailedStart:
    """A worker that died without claiming a run, and how it ended."""

    worker_id: int
    exit: str


def count(store: Store, device: str, threads: int) -> int:
    """Return the number of failed starts for this device and number of threads."""
    query = "SELECT count(*) FROM workers WHERE failed_start AND device = ? AND threads = ?"
    return int(sql.connection(store).execute(query, (device, threads)).fetchone()[0])


def last(store: Store, device: str, threads: int) -> FailedStart | None:
    """Return the last failed start for this device and number of threads, None if there is none."""
    query = "SELECT id, exit FROM workers WHERE failed_start AND device = ? AND threads = ? ORDER BY id DESC LIMIT 1"
    row = sql.connection(store).execute(query, (device, threads)).fetchone()
    return FailedStart(*row) if row else None


def forget(connection: sqlite3.Connection, device: str, threads: int) -> None:
    """Count from zero again, in the caller's transaction."""
    query = "UPDATE workers SET failed_start = 0 WHERE failed_start AND device = ? AND threads = ?"
    connection.execute(query, (device, threads))
