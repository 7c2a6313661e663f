"""Checks the store's file, for the doctor command."""

from __future__ import annotations

import sqlite3
import stat
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.store import sql, workers
from initlab_tui.store.backup import list_backups
from initlab_tui.store.database import Store
from initlab_tui.store.file_system import FileSystem
from initlab_tui.store.purge import unused_pages


@dataclass(frozen=True)
class StoreReport:
    """The state of a store: `health` is SQLite's `ok` or its message, `runs` counts all runs by status.

    `unused_megabytes` of the file hold nothing. `backups` were made before migrations.
    """

    health: str
    schema: int
    journal: str
    mode: str
    megabytes: float
    runs: dict[str, int]
    workers_alive: int
    file_system: FileSystem
    unused_megabytes: float
    backups: tuple[Path, ...]


def check_store(store: Store) -> StoreReport | str:
    """Check an open store; if it cannot be read, return SQLite's message."""
    connection = sql.connection(store)
    try:
        return StoreReport(
            health=connection.execute("PRAGMA quick_check(1)").fetchone()[0],
            schema=connection.execute("PRAGMA user_version").fetchone()[0],
            journal=connection.execute("PRAGMA journal_mode").fetchone()[0],
            mode=oct(stat.S_IMODE(store.path.stat().st_mode)),
            megabytes=round(store.path.stat().st_size / 1e6, 1),
            runs=dict(connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()),
            workers_alive=workers.count_alive(store),
            file_system=store.file_system,
            unused_megabytes=round(unused_pages(connection) * _page_bytes(connection) / 1e6, 1),
            backups=tuple(list_backups(store.path)),
        )
    except sqlite3.DatabaseError as error:
        return str(error)


def _page_bytes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])
