"""Checks the store's file, for the doctor command."""

from __future__ import annotations

import sqlite3
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import comparisons, curves, events, layer_statistics, runs, sql, workers
from initlab_tui.store.backup import list_backups
from initlab_tui.store.database import Store
from initlab_tui.store.file_system import FileSystem
from initlab_tui.store.purge import unused_pages


@dataclass(frozen=True)
class StoreReport:
    """The state of a store: `health` is SQLite's `ok` or its message, `runs` counts all runs by status.

    `unused_megabytes` of the file hold nothing. `backups` were made before migrations. `unreadable` are the rows that
    are left out because a value in them is invalid, with the reason.
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
    unreadable: tuple[str, ...] = ()


def check_store(store: Store) -> StoreReport | str:
    """Check an open store; if it cannot be read, return SQLite's message."""
    connection = sql.connection(store)
    try:
        return StoreReport(
            health=str(connection.execute("PRAGMA quick_check(1)").fetchone()[0]),
            schema=connection.execute("PRAGMA user_version").fetchone()[0],
            journal=connection.execute("PRAGMA journal_mode").fetchone()[0],
            mode=oct(stat.S_IMODE(store.path.stat().st_mode)),
            megabytes=round(store.path.stat().st_size / 1e6, 1),
            runs=_statuses(connection),
            workers_alive=workers.count_alive(store),
            file_system=store.file_system,
            unused_megabytes=round(unused_pages(connection) * _page_bytes(connection) / 1e6, 1),
            backups=tuple(list_backups(store.path)),
            unreadable=tuple(_unreadable(store)),
        )
    except sqlite3.DatabaseError as error:
        return str(error)


def _page_bytes(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA page_size").fetchone()[0])


def _statuses(connection: sqlite3.Connection) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for status, count in connection.execute("SELECT status, count(*) FROM runs GROUP BY status"):
        counts[status if status in set(RunStatus) else "unreadable"] += count
    return dict(counts)


def _unreadable(store: Store) -> Iterator[str]:
    for run in runs.read_runs(store).unreadable:
        yield f"run {'without a valid id' if run.id is None else run.id}: {run.problem}"
    for worker in workers.list_unreadable(store):
        yield f"worker {'without a valid id' if worker.id is None else worker.id}: {worker.problem}"
    for list_unreadable in (
        comparisons.list_unreadable,
        curves.list_unreadable,
        layer_statistics.list_unreadable,
        events.list_unreadable,
    ):
        yield from list_unreadable(store)
