"""The events of runs, from which followers learn that something changed."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter

from initlab_tui.domain.errors import shown
from initlab_tui.store import rows, sql
from initlab_tui.store.database import Store

UNREADABLE = "unreadable"
_RULES = {"at": rows.TIME, "kind": rows.LINE, "detail": rows.LINE}


def note(connection: sqlite3.Connection, run_id: int | None, kind: str, detail: str = "") -> None:
    """Record an event of a run, or of purged runs (None), in the caller's transaction.

    Every change of a run is recorded, except the steps of training, because followers look for new events.
    """
    sql.insert(connection, "events", {"run_id": run_id, "at": time.time(), "kind": kind, "detail": detail})


def read_events(store: Store, run_id: int) -> list[tuple[float | None, str, str]]:
    """Return the events of a run as (time, kind, detail), oldest first.

    One that cannot be read is of the kind `unreadable`, has the reason as its detail, and no time.
    """
    query = "SELECT at, kind, detail FROM events WHERE run_id = ? ORDER BY id"
    return [_event(row) for row in sql.connection(store).execute(query, (run_id,))]


def _event(row: tuple[float, str, str]) -> tuple[float | None, str, str]:
    problem = rows.problem(_RULES, row)
    return (None, UNREADABLE, shown(problem)) if problem else row


def list_unreadable(store: Store) -> list[str]:
    """Return, for each run with events that cannot be read, their number."""
    counts: Counter[object] = Counter()
    for run_id, *values in sql.connection(store).execute("SELECT run_id, at, kind, detail FROM events"):
        counts[run_id] += bool(rows.problem(_RULES, values))
    return [rows.unreadable_of(run_id, count, "events") for run_id, count in counts.items() if count]


def newest_event(store: Store) -> int:
    """Return the number of the latest event of any run, 0 if there is none; it only increases."""
    # Only whole numbers are in this range: SQLite orders text and BLOBs after them.
    query = f"SELECT max(id) FROM events WHERE id <= {rows.MAX_ID}"  # noqa: S608 - no outside text
    return rows.valid_id(sql.connection(store).execute(query).fetchone()[0]) or 0


def runs_with_events(store: Store, after: int, until: int) -> set[int | None]:
    """Return the ids of the runs with events in (after, until], and None if runs were purged."""
    query = "SELECT DISTINCT run_id FROM events WHERE id > ? AND id <= ?"
    found = sql.connection(store).execute(query, (after, until))
    return {run_id for (run_id,) in found if run_id is None or rows.valid_id(run_id)}
