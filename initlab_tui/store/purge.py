"""Removes deleted runs permanently, in small transactions, so that other processes can write in between."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from initlab_tui.store import sql
from initlab_tui.store.database import Store
from initlab_tui.store.events import note

PURGED = 0.0  # the time of deletion of a run that is being purged, which nobody can restore
BATCH_SECONDS = 0.03  # of one transaction
PAUSE_SECONDS = 0.03  # SQLite has no queue for its lock: another process needs a moment to get it
FIRST_BATCH = 1_000
LEAST_BATCH = 100
PAGES = 1_000  # that are given back to the file system in one transaction


def purge(store: Store, older_than_seconds: float, *, wanted: Callable[[], bool] = lambda: True) -> int:
    """Permanently remove runs that were deleted at least this long ago, with all their data; return their number.

    The file becomes smaller. When `wanted` is false, this ends early, and the next call continues.
    """
    before = time.time() - older_than_seconds
    with sql.transaction(store) as connection:
        rows = connection.execute("SELECT id FROM runs WHERE deleted BETWEEN 0 AND ?", (before,)).fetchall()
        connection.execute("UPDATE runs SET deleted = ? WHERE deleted BETWEEN 0 AND ?", (PURGED, before))
    purged = 0
    for (run_id,) in rows:
        if not _remove_rows(store, run_id, wanted):
            return purged
        with sql.transaction(store) as connection:
            # Record the event for no run, and before the events of the run are removed: numbers only increase.
            note(connection, None, "purged", f"run {run_id}")
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        store.files.remove_checkpoints(run_id)
        purged += 1
    give_space_back(store, wanted)
    return purged


def give_space_back(store: Store, wanted: Callable[[], bool] = lambda: True) -> None:
    """Give the unused pages of the file back to the file system, as far as SQLite can without rewriting the file."""
    connection = sql.connection(store)
    free = unused_pages(connection)
    if not free or not is_shrinkable(connection):
        return
    while free and wanted():
        connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")  # `execute` would free a single page
        before, free = free, unused_pages(connection)
        if free >= before:
            break
        time.sleep(PAUSE_SECONDS)
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()


def unused_pages(connection: sqlite3.Connection) -> int:
    """Return the number of pages in the file that hold nothing."""
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def is_shrinkable(connection: sqlite3.Connection) -> bool:
    """Return whether unused pages can be given back; stores from before 2026-11-24 reuse them only."""
    return bool(connection.execute("PRAGMA auto_vacuum").fetchone()[0])


def _remove_rows(store: Store, run_id: int, wanted: Callable[[], bool]) -> bool:
    """Remove the rows that belong to a run, in batches of about BATCH_SECONDS; return whether all are removed."""
    for table, key in _tables(sql.connection(store)):
        rows = FIRST_BATCH
        # Both names come from the program's own schema.
        batch = f"SELECT {key} FROM {table} WHERE run_id = ? LIMIT ?"  # noqa: S608
        query = f"DELETE FROM {table} WHERE run_id = ? AND ({key}) IN ({batch})"  # noqa: S608
        while True:
            if not wanted():
                return False
            with sql.transaction(store) as connection:
                began = time.perf_counter()
                removed = connection.execute(query, (run_id, run_id, rows)).rowcount
                seconds = time.perf_counter() - began
            if removed < rows:
                break
            rows = max(LEAST_BATCH, int(rows * min(2.0, BATCH_SECONDS / seconds)))
            time.sleep(PAUSE_SECONDS)
    return True


def _tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return the tables with rows of runs, with the columns of their primary key other than the run.

    The events of a run are left to the removal of the run, because their numbers must only increase.
    """
    tables = connection.execute(
        "SELECT name FROM sqlite_master, pragma_foreign_key_list(sqlite_master.name) AS key "
        "WHERE type = 'table' AND key.\"table\" = 'runs' AND key.\"from\" = 'run_id' AND name <> 'events'"
    ).fetchall()
    keys = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 AND name <> 'run_id' ORDER BY pk"
    return [(table, ", ".join(name for (name,) in connection.execute(keys, (table,)))) for (table,) in tables]
