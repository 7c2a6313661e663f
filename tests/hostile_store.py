"""Stores with values that the program never writes, in columns that take anything.

SQLite's STRICT tables and checks are part of the file's schema, so whoever crafts a file leaves them out.
"""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from initlab_tui.store.database import Store

STORE = Path(__file__).parent / "store" / "schema-3-store.gz"
NOT_UTF_8 = object()
VALUES: tuple[object, ...] = (
    *(None, "NaN", "", "\x1b[2J", "[1", "[]", "{}", "[" * 5_000, "x" * 20_000, NOT_UTF_8, b"\xff\xfe"),
    *(-1, 2**63 - 1, -(2**63), 1.5, 1e308, -1e308, -1e300, float("inf"), float("-inf")),
)
ROWS = {
    "runs": "id = 1",
    "comparisons": "id = 1",
    "workers": "id = 1",
    "events": "id = 1",
    "curves": "run_id = 1 AND split = 'train'",
    "measurements": "run_id = 2 AND step = 0",
    "layer_statistics": "run_id = 2 AND number = 1 AND step = 0",
}


def old_store(path: Path) -> None:
    """Write a store with finished runs and layer statistics, and one registered worker that has not ended."""
    path.write_bytes(gzip.decompress(STORE.read_bytes()))
    Store.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE workers SET ended = NULL, exit = NULL WHERE id = 1")


def loosen(path: Path) -> dict[str, list[str]]:
    """Replace the tables by ones without types, checks and keys, except for ids; return their columns."""
    tables = {}
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for table in ROWS:
            names = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")]
            columns = ", ".join("id INTEGER PRIMARY KEY" if name == "id" else name for name in names)
            connection.execute(f"ALTER TABLE {table} RENAME TO typed")
            connection.execute(f"CREATE TABLE {table} ({columns})")
            connection.execute(f"INSERT INTO {table} SELECT * FROM typed")  # noqa: S608
            connection.execute("DROP TABLE typed")
            tables[table] = names
    return tables


def bound(value: object) -> tuple[str, tuple[object, ...]]:
    """Return an SQL expression for a value, and what is bound to it."""
    return ("CAST(x'fffe41' AS TEXT)", ()) if value is NOT_UTF_8 else ("?", (value,))


def spread(path: Path) -> int:
    """Add copies of a row of each table, each with one hostile value in one column; return the number of runs."""
    tables = loosen(path)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for table, columns in tables.items():
            for column, value in _places(columns):
                _copy(connection, table, columns, column, value)
        # One row whose id is no number is all that a table with an id can have.
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def _places(columns: list[str]) -> Iterator[tuple[str, object]]:
    return ((column, value) for column in columns if column != "id" for value in VALUES)


def _copy(connection: sqlite3.Connection, table: str, columns: list[str], column: str, value: object) -> None:
    kept = [name for name in columns if name != "id"]
    expression, values = bound(value)
    selected = ", ".join(expression if name == column else name for name in kept)
    # The first such row, because the copies may be such rows too.
    source = f"SELECT {selected} FROM {table} WHERE {ROWS[table]} ORDER BY rowid LIMIT 1"  # noqa: S608
    connection.execute(f"INSERT INTO {table} ({', '.join(kept)}) {source}", values)
