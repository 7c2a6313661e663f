"""What people do with what was kept: delete, restore, name and tag runs, and remove them for good."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store.database import Store, note

MAX_CHARACTERS = 60


def delete(store: Store, ids: Sequence[int]) -> list[int]:
    """Put runs into the bin, from where `restore` takes them back until they are purged; returns their ids.

    Raises:
        InvalidInputError: with nothing deleted, when one is not there or not over yet.
    """
    with store.transaction() as connection:
        statuses = _statuses(store, ids)
        active = [str(run_id) for run_id, status in statuses.items() if status.is_active]
        if active:
            raise InvalidInputError.of("id", f"run {', '.join(active)} is not over yet: stop it first")
        _set(connection, list(statuses), "deleted", time.time(), "deleted")
    return list(statuses)


def restore(store: Store, ids: Sequence[int]) -> list[int]:
    """Take deleted runs back; returns the ids of those that were deleted.

    Raises:
        InvalidInputError: with nothing restored, when one is not there, or was purged.
    """
    with store.transaction() as connection:
        rows = _rows(store, ids)
        store.refuse_unknown(ids, rows)
        deleted = [run_id for run_id, (_, when) in rows.items() if when is not None]
        _set(connection, deleted, "deleted", None, "restored")
    return deleted


def restore_newest(store: Store) -> list[int]:
    """Take back what was deleted last, together; returns the runs' ids, none where nothing is deleted."""
    query = "SELECT id FROM runs WHERE deleted = (SELECT max(deleted) FROM runs)"
    return restore(store, [run_id for (run_id,) in store.connection.execute(query)])


def rename(store: Store, ids: Sequence[int], name: str) -> None:
    """Give runs a name; '' takes it away.

    Raises:
        InvalidInputError: for a name that does not fit on a line, or a run that is not there.
    """
    name = fitting("name", name.strip())
    with store.transaction() as connection:
        _set(connection, list(_statuses(store, ids)), "name", name, "renamed", name)


def tag(store: Store, ids: Sequence[int], tags: str) -> None:
    """Give runs these tags, words with blanks or commas between, instead of those they had.

    Raises:
        InvalidInputError: for tags that do not fit on a line, or a run that is not there.
    """
    tags = fitting("tags", " ".join(dict.fromkeys(tags.replace(",", " ").split())))
    with store.transaction() as connection:
        _set(connection, list(_statuses(store, ids)), "tags", tags, "tagged", tags)


def purge(store: Store, older_than_seconds: float) -> int:
    """Remove for good what was deleted longer ago than that, with all it recorded; returns how many runs."""
    before = time.time() - older_than_seconds
    with store.transaction() as connection:
        rows = connection.execute("SELECT id, checkpoint FROM runs WHERE deleted <= ?", (before,)).fetchall()
        if rows:
            # Under no run, and before theirs go: the newest event stays the newest, and followers know of it.
            note(connection, None, "purged", f"{len(rows)} runs")
        connection.executemany("DELETE FROM runs WHERE id = ?", [(run_id,) for run_id, _ in rows])
    for _, checkpoint in rows:
        if checkpoint:
            Path(checkpoint).unlink(missing_ok=True)
    return len(rows)


def fitting(field: str, text: str) -> str:
    """`text`, if it fits on a line.

    Raises:
        InvalidInputError: when it is too long, or would act on a terminal.
    """
    if not text.isprintable() or len(text) > MAX_CHARACTERS:
        shown = text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
        raise InvalidInputError.of(
            field, f"{field} must be at most {MAX_CHARACTERS} printable characters, got {len(text)}: {shown!r}"
        )
    return text


def _rows(store: Store, ids: Sequence[int]) -> dict[int, tuple[RunStatus, float | None]]:
    """Status and time of deletion, of those that are in the store at all."""
    query = f"SELECT id, status, deleted FROM runs WHERE id IN ({','.join('?' * len(ids))}) ORDER BY id"  # noqa: S608
    return {run_id: (RunStatus(status), when) for run_id, status, when in store.connection.execute(query, tuple(ids))}


def _statuses(store: Store, ids: Sequence[int]) -> dict[int, RunStatus]:
    there = {run_id: status for run_id, (status, deleted) in _rows(store, ids).items() if deleted is None}
    store.refuse_unknown(ids, there)
    return there


def _set(
    connection: sqlite3.Connection, ids: Sequence[int], column: str, value: object, kind: str, detail: str = ""
) -> None:
    for run_id in ids:
        connection.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, run_id))  # noqa: S608 - our own
        note(connection, run_id, kind, detail)
