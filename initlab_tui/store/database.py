"""Opens and creates the store: one SQLite file with the queue and all results, through which processes communicate."""

from __future__ import annotations

import os
import pwd
import sqlite3
from pathlib import Path
from typing import Self

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import migrations, origin, paths
from initlab_tui.store.files import StoreFiles
from initlab_tui.store.spec_cache import SpecCache

BUSY_SECONDS = 30.0

StoreError = sqlite3.Error
"""Raised when an open store is read or written and the file is damaged or locked for too long, or the disk is full."""


class Store:
    """An open store, to be used by one thread, because SQLite connections are not shared between threads.

    The functions of this package's modules read and write its contents. `read_only` says why nothing can be written,
    and is empty if it can.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, read_only: str = "") -> None:
        self.path, self.specs, self.files = path, SpecCache(), StoreFiles(path)
        self.read_only = read_only
        self._connection = connection
        self._inode = path.stat().st_ino

    @classmethod
    def open(cls, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open the store at `path`, creating it and its folder if they do not exist.

        A store of another user, or one that cannot be written, is opened to be read. A statement waits up to
        `busy_seconds` for other writers.

        Raises:
            InvalidInputError: if it cannot be created or read, is not a store, or is from a newer version of the
                program.
        """
        path = path.absolute()
        created = _create(path)
        read_only = _read_only_reason(path)
        try:
            connection = _connect_to_read(path, busy_seconds) if read_only else _connect(path, busy_seconds)
            return cls(path, connection, read_only)
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
        """Open the store at `path` like `open`, but return None and create nothing if it does not exist.

        Raises:
            InvalidInputError: as for `open`.
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

    def require_writable(self) -> None:
        """Raise an InvalidInputError that says why the store cannot be changed, if it cannot."""
        if self.read_only:
            raise _unusable(self.path, f"can be read but not changed: {self.read_only}; name another one with --store")

    def still_exists(self) -> bool:
        """Return whether the opened file still exists and has not been replaced by another one."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def data_version(self) -> int:
        """Return a number that changes when another connection has written; followers compare it before they read."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def is_disk_full(error: BaseException) -> bool:
    """Return whether this error of the store means that the disk is full."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL


def _unusable(path: Path, problem: str) -> InvalidInputError:
    return InvalidInputError.of("store", f"store {path} {problem}")


def _create(path: Path) -> bool:
    """Create an empty file if there is none, and return whether it was created."""
    try:
        if path.is_dir():
            raise _unusable(path, "is a directory: name a file")
        paths.private_folder(path.parent)
        # Open only a new file. Closing any descriptor of a file drops all POSIX locks that the process has on it,
        # including those of SQLite's open connections, and then transactions are lost.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, paths.PRIVATE_FILE))
        return True
    except FileExistsError:
        if not os.access(path, os.R_OK):
            raise _unusable(path, "cannot be read: permission denied") from None
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from None
    return False


def _read_only_reason(path: Path) -> str:
    status = path.stat()
    if status.st_uid != os.geteuid():
        return f"it belongs to {_user_name(status.st_uid)}"
    if not os.access(path, os.W_OK):
        return "you have no permission to write to it"
    return "" if os.access(path.parent, os.W_OK) else f"you have no permission to write to {path.parent}"


def _user_name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"another user (uid {uid})"


def _connect_to_read(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """Connect without writing anything: also in a folder in which the files of a WAL cannot be created."""
    for options in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"{path.as_uri()}?{options}", timeout=busy_seconds, isolation_level=None, uri=True)
        connection.text_factory = _text
        try:
            _check_schema(path, connection)
        except sqlite3.OperationalError:
            connection.close()
            if "immutable" in options:
                raise
            continue
        except BaseException:
            connection.close()
            raise
        if migrations.version(connection) < len(migrations.MIGRATIONS):
            connection.close()
            raise _unusable(path, "is from an earlier version of initlab-tui and has to be opened by its owner first")
        connection.create_function("is_own", -1, origin.is_own, deterministic=True)
        return connection
    raise AssertionError("one of the two ways returns or raises")


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    connection.text_factory = _text
    try:
        _check_schema(path, connection)
        connection.create_function("is_own", -1, origin.is_own, deterministic=True)
        # With WAL, followers can read while a worker writes. On file systems that do not support it, such as some
        # network file systems, SQLite keeps its rollback journal, which is slower but correct.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        migrations.migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _text(value: bytes) -> str | bytes:
    """Return a text; if it is not UTF-8, its bytes, rather than failing the whole query because of one row."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _check_schema(path: Path, connection: sqlite3.Connection) -> None:
    known, found = len(migrations.MIGRATIONS), migrations.version(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    programs = connection.execute("SELECT count(*) FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != migrations.APPLICATION_ID:
        raise _unusable(path, "is an SQLite file of another program; name another file with --store")
    if programs:
        raise _unusable(path, "has triggers or views, which initlab-tui never creates; name another file with --store")
    if found > known:
        raise _unusable(
            path,
            f"is from a newer version of initlab-tui (schema {found}, this one supports {known}): "
            "upgrade initlab-tui or name another file with --store",
        )
