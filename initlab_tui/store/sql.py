"""Access to the store's connection, which an import contract restricts to this package."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

from initlab_tui.store.database import Store

# A condition for a set of ids of any size, with `json_list` as its value.
IN_LIST = "IN (SELECT value FROM json_each(?))"


def connection(store: Store) -> sqlite3.Connection:
    """Return the connection of an open store in autocommit mode, in which each statement is a transaction."""
    return store._connection


@contextlib.contextmanager
def transaction(store: Store) -> Iterator[sqlite3.Connection]:
    """Open a transaction that takes the write lock at once; an exception rolls it back.

    Raises:
        InvalidInputError: if the store can only be read.
        ReplacedStoreError: if its file was removed or replaced.
    """
    store.require_writable()
    store.require_current()
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
    """Insert a row and return its id; the names of the table and its columns must not come from outside."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    query = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - no outside text
    return int(connection.execute(query, tuple(values.values())).lastrowid or 0)


def json_list(ids: Iterable[int]) -> str:
    """Return the value of `IN_LIST` for these ids."""
    return json.dumps(list(ids))
