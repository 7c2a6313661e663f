"""Copies a store before it is migrated."""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
from pathlib import Path

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store.paths import PRIVATE_FILE

KEPT = 2


def back_up(path: Path, schema: int) -> Path:
    """Copy the store to a private file next to it, keep the newest KEPT of such files, and return the file's path.

    Raises:
        InvalidInputError: if there is no room for the copy, or its folder cannot be written.
    """
    target = path.with_name(f"{path.name}-backup-schema-{schema}")
    temporary = target.with_name(f"{target.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE_FILE))
        _copy(path, temporary)
        temporary.replace(target)
    except (OSError, sqlite3.Error) as error:
        problem = (
            f"store {path} is from an earlier version, and the backup that is made before it is migrated failed: "
            f"{error}; it needs {path.stat().st_size / 1e6:.0f} MB next to the store"
        )
        raise InvalidInputError.of("store", problem) from None
    finally:
        temporary.unlink(missing_ok=True)
    for old in list_backups(path)[KEPT:]:
        old.unlink(missing_ok=True)
    return target


def list_backups(path: Path) -> list[Path]:
    """Return the backups of a store, the newest first."""
    found = [file for file in path.parent.glob(f"{glob.escape(path.name)}-backup-schema-*") if file.suffix != ".tmp"]
    return sorted(found, key=lambda file: file.stat().st_mtime, reverse=True)


def _copy(path: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # a single file, which can be moved and copied
