"""Saves what can be read of a damaged store into a new file, which takes its place; the damaged file is kept."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import migrations
from initlab_tui.store.paths import PRIVATE_FILE

SIDE_FILES = ("-wal", "-shm", "-journal")
MAX_PROBES = 100_000  # rows looked for one by one, in the part of a table that cannot be read in either direction


@dataclass(frozen=True)
class Repaired:
    """The result of a repair: the rows saved by table, the tables with unreadable rows, and where the old file is."""

    saved: Mapping[str, int]
    incomplete: tuple[str, ...]
    damaged_file: Path


def repair(path: Path) -> Repaired:
    """Replace the damaged store at `path` by a new one with every row that can be read.

    Nobody else may have the store open. Rows of runs that cannot be read are not saved.

    Raises:
        InvalidInputError: if nothing can be read, or the new file cannot be written; nothing is changed.
    """
    path = path.absolute()
    repaired = path.with_name(f"{path.name}.repaired.tmp")
    try:
        repaired.unlink(missing_ok=True)
        os.close(os.open(repaired, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE))
        saved, incomplete = _save(path, repaired)
        damaged = _exchange(path, repaired)
    except (OSError, sqlite3.Error) as error:
        raise InvalidInputError.of(
            "store", f"store {path} cannot be repaired: {error}; it was left as it is: name another one with --store"
        ) from None
    finally:
        repaired.unlink(missing_ok=True)
    return Repaired(saved, incomplete, damaged)


def damage(path: Path) -> str:
    """Return SQLite's message about the damage of a store; empty if it finds none.

    Raises:
        InvalidInputError: if the file cannot be read for another reason, such as a lock.
    """
    try:
        with contextlib.closing(_open_damaged(path.absolute())) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            return "" if found == "ok" else found
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return str(error)
        raise InvalidInputError.of("store", f"store {path} cannot be read: {error}") from None


def living_processes(path: Path) -> list[tuple[int | None, float | None]]:
    """Return pid and start time of the workers and monitors that a store names; none if they cannot be read."""
    query = "SELECT pid, born, monitor_pid, monitor_born FROM workers WHERE ended IS NULL"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(_open_damaged(path)) as connection:
        return [pair for row in connection.execute(query).fetchall() for pair in (row[:2], row[2:])]
    return []


def _open_damaged(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=2, isolation_level=None, uri=True)
    connection.execute("PRAGMA cell_size_check = ON")  # a malformed page is an error and gives no rows
    connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return connection


def _save(path: Path, repaired: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    with (
        contextlib.closing(_open_damaged(path)) as damaged,
        contextlib.closing(sqlite3.connect(repaired, isolation_level=None)) as new,
    ):
        schema = _schema(path, damaged)
        new.execute("PRAGMA auto_vacuum = INCREMENTAL")
        new.execute("PRAGMA foreign_keys = OFF")
        new.execute("BEGIN")
        migrations.create(new, schema)
        names = new.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        # Runs first, because most other rows are looked for by their run.
        tables = sorted((name for (name,) in names), key=lambda name: (name != "runs", name))
        saved, incomplete = {}, []
        for table in tables:
            saved[table], is_complete = _Table(damaged, new, table).save()
            incomplete += [] if is_complete else [table]
        _remove_orphans(new, tables, saved)
        _keep_numbers(damaged, new)
        new.execute("COMMIT")
    return saved, tuple(incomplete)


def _schema(path: Path, damaged: sqlite3.Connection) -> int:
    """Return the number of the schema of a damaged store; its tables are created from the program's migrations."""
    schema = migrations.version(damaged)
    if damaged.execute("PRAGMA application_id").fetchone()[0] != migrations.APPLICATION_ID or schema < 1:
        raise InvalidInputError.of("store", f"{path} is not a store of initlab-tui; it was left as it is")
    if schema > len(migrations.MIGRATIONS):
        raise InvalidInputError.of("store", f"store {path} is from a newer version of initlab-tui, which can repair it")
    return schema


class _Table:
    """The rows of one table, read in the order of its primary key, around the pages that cannot be read."""

    def __init__(self, damaged: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
        self._damaged, self._new, self._table = damaged, new, table
        known = {name for (name,) in new.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        found = [name for (name,) in damaged.execute("SELECT name FROM pragma_table_info(?)", (table,))]
        for name in found:
            if name not in known and name.isidentifier():  # a metric, which has got its column when it was measured
                new.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" REAL')
        columns = new.execute("SELECT name, pk FROM pragma_table_info(?)", (table,)).fetchall()
        self._key = [name for name, number in sorted(columns, key=lambda column: column[1]) if number]
        shared = [name for name, _ in columns if name in found]
        self._columns = ", ".join(f'"{name}"' for name in shared)
        marks = ", ".join("?" * len(shared))
        self._insert = f"INSERT OR IGNORE INTO {table} ({self._columns}) VALUES ({marks})"  # noqa: S608 - from migrations
        self._is_complete = True

    def save(self) -> tuple[int, bool]:
        """Copy the rows, and return their number and whether all could be read."""
        before = self._new.total_changes
        if not self._copy((), "ASC"):
            self._is_complete = False
            if len(self._key) == 1:
                self._copy_around()
            else:
                for value in self._first_keys():
                    if not self._copy((value,), "ASC"):
                        self._copy((value,), "DESC")
        return self._new.total_changes - before, self._is_complete

    def _copy(self, prefix: Sequence[object], order: str) -> bool:
        """Copy rows in one direction until one cannot be read; return whether all were read."""
        conditions = " AND ".join(f"{name} = ?" for name in self._key[: len(prefix)]) or "1"
        by = ", ".join(f"{name} {order}" for name in self._key)
        query = f"SELECT {self._columns} FROM {self._table} WHERE {conditions} ORDER BY {by}"  # noqa: S608
        return all(self._keep(row) for row in self._rows(query, prefix))

    def _copy_around(self) -> None:
        """Copy from the other end, then probe the rows between the two ends one by one."""
        self._copy((), "DESC")
        (key,) = self._key
        found = [row[0] for row in self._new.execute(f"SELECT {key} FROM {self._table} ORDER BY 1")]  # noqa: S608
        gap = max(itertools.pairwise(found), key=lambda pair: pair[1] - pair[0], default=(0, 0))
        query = f"SELECT {self._columns} FROM {self._table} WHERE {key} = ?"  # noqa: S608
        for number in range(gap[0] + 1, min(gap[1], gap[0] + MAX_PROBES)):
            for row in self._rows(query, (number,)):
                self._keep(row)

    def _first_keys(self) -> list[object]:
        """Return the values of the first column of the key: the ids of the runs that were saved."""
        runs = self._new.execute("SELECT id FROM runs ORDER BY id")
        return [run_id for (run_id,) in runs]

    def _rows(self, query: str, values: Sequence[object]) -> Iterator[tuple[object, ...] | None]:
        """Yield rows, and None where no further one can be read."""
        try:
            yield from self._damaged.execute(query, values)
        except sqlite3.DatabaseError:
            yield None

    def _keep(self, row: tuple[object, ...] | None) -> bool:
        if row is None:
            return False
        try:
            self._new.execute(self._insert, row)
        except sqlite3.IntegrityError:  # a value of another type: the row is damaged, and those after it may be intact
            self._is_complete = False
        return True


def _remove_orphans(new: sqlite3.Connection, tables: Sequence[str], saved: dict[str, int]) -> None:
    """Remove rows of runs that were not saved; end running runs with an unreadable worker, which nobody would."""
    for table in tables:
        keys = new.execute('SELECT "table", "from", "to" FROM pragma_foreign_key_list(?)', (table,)).fetchall()
        for parent, column, key in keys:
            orphans = f"{column} IS NOT NULL AND {column} NOT IN (SELECT {key} FROM {parent})"  # noqa: S608
            if table == "runs":  # a run without its comparison, or its worker, is still a result
                new.execute(f"UPDATE runs SET {column} = NULL WHERE {orphans}")  # noqa: S608
            else:
                saved[table] -= new.execute(f"DELETE FROM {table} WHERE {orphans}").rowcount  # noqa: S608
    new.execute(
        "UPDATE runs SET status = 'crashed', reason = 'the store was damaged' "
        "WHERE status = 'running' AND worker_id IS NULL"
    )


def _keep_numbers(damaged: sqlite3.Connection, new: sqlite3.Connection) -> None:
    """Keep the number after which runs are numbered, so that no id is given a second time."""
    with contextlib.suppress(sqlite3.DatabaseError):
        for name, number in damaged.execute("SELECT name, seq FROM sqlite_sequence").fetchall():
            new.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, name))


def _exchange(path: Path, repaired: Path) -> Path:
    """Move the damaged file and its side files away, put the repaired one there, and return the damaged file."""
    damaged = path.with_name(f"{path.name}-damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    _move(path, damaged)
    try:
        _link(repaired, path)
    except OSError:
        _move(damaged, path)
        raise
    return damaged


def _move(path: Path, target: Path) -> None:
    for suffix in ("", *SIDE_FILES):
        if Path(f"{path}{suffix}").exists() and not Path(f"{target}{suffix}").exists():
            Path(f"{path}{suffix}").rename(f"{target}{suffix}")


def _link(file: Path, target: Path) -> None:
    """Give a file another name, unless somebody has created a file of that name meanwhile."""
    try:
        target.hardlink_to(file)
    except FileExistsError:
        raise
    except OSError:  # not every file system has hard links
        file.rename(target)
