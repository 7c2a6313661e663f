"""The events of runs, from which followers learn that something changed."""

from __future__ import annotations

import sqlite3
import time

from initlab_tui.store import sql
from initlab_tui.store.database import Store


def note(connection: sqlite3.Connection, run_id: int | None, kind: str, detail: str = "") -> None:
    """Record an event of a run, or of purged runs (None), in the caller's transaction.

    Every change of a run is recorded, except the steps of training, because followers look for new events.
    """
    sql.insert(connection, "events", {"run_id": run_id, "at": time.time(), "kind": kind, "detail": detail})


def read_events(store: Store, run_id: int) -> list[tuple[float, str, str]]:
    """Return the events of a run as (time, kind, detail), oldest first."""
    query = "SELECT at, kind, detail FROM events WHERE run_id = ? ORDER BY id"
    return sql.connection(store).execute(query, (run_id,)).fetchall()


def newest_event(store: Store) -> int:
    """Return the number of the latest event of any run, 0 if there is none; it only increases."""
    return int(sql.connection(store).execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])


def runs_with_events(store: Store, after: int, until: int) -> set[int | None]:
    """Return the ids of the runs with events in (after, until], and None if runs were purged."""
    query = "SELECT DISTINCT run_id FROM events WHERE id > ? AND id <= ?"
    return {run_id for (run_id,) in sql.connection(store).execute(query, (after, until))}
