"""Read and change a store as another program would: plain SQLite on its file."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

from initlab_tui.store.database import Store


def execute(store: Store, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """Execute one statement on the store's file and return its rows."""
    with contextlib.closing(sqlite3.connect(store.path, timeout=30, isolation_level=None)) as connection:
        return connection.execute(statement, values).fetchall()
