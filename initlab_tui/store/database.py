"""One SQLite file is the queue, the record, and the channel between processes: opening and creating it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Self

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import migrations, paths
from initlab_tui.store.spec_cache import SpecCache

BUSY_SECONDS = 30.0

StoreError = sqlite3.Error
"""What reading or writing an open store raises when the file is damaged, locked for long, or the disk is full."""


class Store:
    """An open store. One per thread: SQLite connections are not shared.

    What it holds is read and written by the functions of the modules of this package.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self.specs = path, SpecCache()
        self._connection = connection
        self._inode = path.stat().st_ino

    @classmethod
    def open(cls, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open the store at `path`; create it, and its folder, if there is none.

        A statement waits up to `busy_seconds` for other writers.

        Raises:
            InvalidInputError: when it cannot be written, is not a store, or is from a newer program.
        """
        path = path.absolute()
        created = _create(path)
        try:
            return cls(path, _connect(path, busy_seconds))
        except BaseException as error:
            if created:
                path.unlink()
            if isinstance(error, sqlite3.DatabaseError):
                raise _unusable(
                    path, f"cannot be used: {error} (see initlab-tui doctor, or name another file with --store)"
                ) from None
            raise

    @classmethod
    def open_existing(cls, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Self | None:
        """Open the store as `open` does, but return None, and create nothing, if there is none.

        Raises:
            InvalidInputError: as `open`.
        """
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror}") from None
        return cls.open(path, busy_seconds=busy_seconds)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_there(self) -> bool:
        """Return whether the file is still the one that was opened, neither removed nor replaced."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def data_version(self) -> int:
        """Return a number that changes when another connection has written; followers ask for it before they read."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def is_disk_full(error: BaseException) -> bool:
    """Return whether the store raised this because the disk is full."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL


def _unusable(path: Path, problem: str) -> InvalidInputError:
    return InvalidInputError.of("store", f"store {path} {problem}")


def _create(path: Path) -> bool:
    """Create an empty file if there is none; returns whether it did."""
    try:
        if path.is_dir():
            raise _unusable(path, "is a directory: name a file")
        paths.private_folder(path.parent)
        # Only a new file is opened here. Closing any descriptor of a file drops all POSIX locks that the process has
        # on it, including those of SQLite's open connections, and then transactions are lost.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, paths.PRIVATE_FILE))
        return True
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise _unusable(path, "cannot be written: permission denied") from None
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from None
    return False


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    try:
        _check_schema(path, connection)
        # With WAL, followers read while a worker writes. On file systems that do not support it (some network ones)
        # SQLite keeps its rollback journal, which is slower and correct.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        migrations.migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    known, found = len(migrations.MIGRATIONS), migrations.version(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != migrations.APPLICATION_ID:
        raise _unusable(path, "is an SQLite file of another program; name another file with --store")
    if found > known:
        raise _unusable(
            path,
            f"is from a newer version of initlab-tui (schema {found}, this one supports {known}): "
            "upgrade initlab-tui or name another file with --store",
        )
