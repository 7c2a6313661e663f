"""The store's connection, for the modules of this room: an import contract keeps it from all others."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from initlab_tui.store.database import Store

# A condition on a set of ids: its value is `json_list`, however many ids there are.
IN_LIST = "IN (SELECT value FROM json_each(?))"


def connection(store: Store) -> sqlite3.Connection:
    """Return the connection of an open store, in autocommit mode: a statement of its own is a transaction."""
    return store._connection


@contextlib.contextmanager
def transaction(store: Store) -> Iterator[sqlite3.Connection]:
    """Write all or nothing; the write lock is taken at the start."""
    opened = connection(store)
    opened.execute("BEGIN IMMEDIATE")
    try:
        yield opened
        opened.execute("COMMIT")
    except BaseException:
        # After some errors, such as a full disk, SQLite has already rolled back.
        if opened.in_transaction:
            opened.execute("ROLLBACK")
        raise


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, object]) -> int:
    """Insert a row and return its id; the names of the table and its columns are the program's own."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    query = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - no outside text
    return int(connection.execute(query, tuple(values.values())).lastrowid or 0)


def json_list(ids: Iterable[int]) -> str:
    """Return ids as the value of `IN_LIST`."""
    return json.dumps(list(ids))
