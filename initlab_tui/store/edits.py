"""Deletes, restores, renames and tags stored runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import sql
from initlab_tui.store.database import Store
from initlab_tui.store.events import note
from initlab_tui.store.purge import PURGED
from initlab_tui.store.runs import refuse_unknown

MAX_CHARACTERS = 60


def delete(store: Store, ids: Sequence[int]) -> list[int]:
    """Delete runs and return their ids; until they are purged, `restore` brings them back.

    Raises:
        InvalidInputError: if one does not exist or has not ended; nothing is deleted.
    """
    with sql.transaction(store) as connection:
        statuses = _statuses(store, connection, ids)
        active = [str(run_id) for run_id, status in statuses.items() if status and status.is_active]
        if active:
            raise InvalidInputError.of("id", f"cannot delete run {', '.join(active)}: stop it first")
        _set(connection, list(statuses), "deleted", time.time(), "deleted")
    return list(statuses)


def restore(store: Store, ids: Sequence[int]) -> list[int]:
    """Restore deleted runs, and return the ids of those that were deleted.

    Raises:
        InvalidInputError: if one does not exist or was purged; nothing is restored.
    """
    with sql.transaction(store) as connection:
        rows = _rows(connection, ids)
        refuse_unknown(store, ids, rows)
        deleted = [run_id for run_id, (_, when) in rows.items() if when is not None]
        _set(connection, deleted, "deleted", None, "restored")
    return deleted


def restore_newest(store: Store) -> list[int]:
    """Restore the runs of the last deletion, and return their ids; none if nothing is deleted."""
    query = "SELECT id FROM runs WHERE deleted = (SELECT max(deleted) FROM runs) AND deleted > ?"
    return restore(store, [run_id for (run_id,) in sql.connection(store).execute(query, (PURGED,))])


def rename(store: Store, ids: Sequence[int], name: str) -> None:
    """Set the name of runs; an empty text removes it.

    Raises:
        InvalidInputError: if the name does not fit on a line, or a run does not exist.
    """
    name = fitting("name", name.strip())
    with sql.transaction(store) as connection:
        _set(connection, list(_statuses(store, connection, ids)), "name", name, "renamed", name)


def tag(store: Store, ids: Sequence[int], tags: str) -> None:
    """Replace the tags of runs by `tags`, words separated by spaces or commas.

    Raises:
        InvalidInputError: if the tags do not fit on a line, or a run does not exist.
    """
    tags = fitting("tags", " ".join(dict.fromkeys(tags.replace(",", " ").split())))
    with sql.transaction(store) as connection:
        _set(connection, list(_statuses(store, connection, ids)), "tags", tags, "tagged", tags)


def fitting(field: str, text: str) -> str:
    """Return `text` if it fits on a line.

    Raises:
        InvalidInputError: if it is too long, or has characters that control the terminal.
    """
    if not text.isprintable() or len(text) > MAX_CHARACTERS:
        shown = text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"
        raise InvalidInputError.of(
            field, f"{field} must be at most {MAX_CHARACTERS} printable characters, got {len(text)}: {shown!r}"
        )
    return text


def _rows(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, tuple[RunStatus | None, float | None]]:
    """Return the status, None if it is invalid, and the time of deletion of existing runs.

    Deleted ones that can be restored are included.
    """
    query = (
        f"SELECT id, status, deleted FROM runs WHERE id {sql.IN_LIST} "  # noqa: S608 - no outside text
        "AND deleted IS NOT ? ORDER BY id"
    )
    found = connection.execute(query, (sql.json_list(ids), PURGED))
    known = set(RunStatus)
    return {run_id: (RunStatus(status) if status in known else None, when) for run_id, status, when in found}


def _statuses(store: Store, connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, RunStatus | None]:
    kept = {run_id: status for run_id, (status, deleted) in _rows(connection, ids).items() if deleted is None}
    refuse_unknown(store, ids, kept)
    return kept


def _set(
    connection: sqlite3.Connection, ids: Sequence[int], column: str, value: object, kind: str, detail: str = ""
) -> None:
    for run_id in ids:
        connection.execute(f"UPDATE runs SET {column} = ? WHERE id = ?", (value, run_id))  # noqa: S608 - no outside text
        note(connection, run_id, kind, detail)
