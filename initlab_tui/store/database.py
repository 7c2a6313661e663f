"""Opens and creates the store: one SQLite file with the queue and all results, through which processes communicate."""

from __future__ import annotations

import contextlib
import os
import pwd
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.store import migrations, origin, paths
from initlab_tui.store.backup import back_up
from initlab_tui.store.file_system import FileSystem, find_file_system
from initlab_tui.store.files import StoreFiles
from initlab_tui.store.hosts import OtherHosts
from initlab_tui.store.spec_cache import SpecCache

BUSY_SECONDS = 30.0
WAL_BYTES = 16_000_000  # to which its file shrinks after a large transaction
VACUUMED_BYTES = 256e6  # a smaller store is rewritten when it is migrated, so that it can shrink later

StoreError = sqlite3.Error
"""Raised when an open store is read or written and the file is damaged or locked for too long, or the disk is full."""


class ReplacedStoreError(InvalidInputError):
    """The file of an open store was removed, or replaced by another one, which must not be written to."""


class Store:
    """An open store, to be used by one thread, because SQLite connections are not shared between threads.

    The functions of this package's modules read and write its contents. `file` identifies its file, whatever its path.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        file_system: FileSystem,
        *,
        read_only: str = "",
        others: OtherHosts | None = None,
    ) -> None:
        self.path, self.specs, self.files = path, SpecCache(), StoreFiles(path)
        self.file_system = file_system
        self._read_only, self._others = read_only, others
        self._connection = connection
        self.file = _identity(path)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        busy_seconds: float = BUSY_SECONDS,
        find_file_system: Callable[[Path], FileSystem] = find_file_system,
    ) -> Self:
        """Open the store at `path`, creating it and its folder if they do not exist.

        A store of another user, one that cannot be written, and one on a network file system that another host uses,
        is opened to be read. If the clocks of the hosts differ, the other host is noticed within seconds after opening.
        A statement waits up to `busy_seconds` for other writers.

        Raises:
            InvalidInputError: if it cannot be created or read, is not a store, or is from a newer version of the
                program.
        """
        path = path.absolute()
        created = _create(path)
        file_system, read_only = find_file_system(path), _read_only_reason(path)
        try:
            if not read_only:
                connection = _connect(path, busy_seconds, file_system)
                others = OtherHosts(connection) if file_system.is_network else None
                host = others.find_living() if others else None
                if not host:
                    return cls(path, connection, file_system, others=others)
                connection.close()
                read_only = _used_by(host, file_system)
            return cls(path, _connect_to_read(path, busy_seconds, file_system), file_system, read_only=read_only)
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
        if self.is_replaced():
            # Closing the last connection deletes the WAL by its name, which is now the WAL of the other file.
            import ctypes

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
            return
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def read_only(self) -> str:
        """Why nothing can be written; empty if it can."""
        if self._others and not self._read_only and (host := self._others.find_living()):
            self._read_only = _used_by(host, self.file_system)
        return self._read_only

    def require_writable(self) -> None:
        """Raise an InvalidInputError that says why the store cannot be changed, if it cannot."""
        if reason := self.read_only:
            raise _unusable(self.path, f"can be read but not changed: {reason}; name another one with --store")

    def require_current(self) -> None:
        """Raise a ReplacedStoreError if the file was removed, or replaced by another one."""
        if not self.still_exists():
            how = "replaced by another file" if self.is_replaced() else "removed"
            raise ReplacedStoreError([Problem("store", f"store {self.path} was {how} while it was open")])

    def still_exists(self) -> bool:
        """Return whether the opened file still exists and has not been replaced by another one."""
        return _identity(self.path) == self.file

    def is_replaced(self) -> bool:
        """Return whether there is another file at the path of the opened one."""
        return _identity(self.path) not in (self.file, None)

    def data_version(self) -> int:
        """Return a number that changes when another connection has written; followers compare it before they read."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def is_disk_full(error: BaseException) -> bool:
    """Return whether this error of the store means that the disk is full, or a quota is used up."""
    # SQLite reports every other failure to write, such as a quota that is used up, as an IOERR.
    full = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
    return isinstance(error, sqlite3.OperationalError) and _code(error) in full


def is_busy(error: BaseException) -> bool:
    """Return whether this error of the store means that another process held the lock for too long."""
    busy = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)
    return isinstance(error, sqlite3.OperationalError) and _code(error) & 0xFF in busy


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0))  # errors that Python raises have none


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


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


def _used_by(host: str, file_system: FileSystem) -> str:
    return f"the host {host} trains with it, and on {file_system.kind} only one host may write to it"


def _user_name(uid: int) -> str:
    try:
        return f"the user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"another user (uid {uid})"


def _connect_to_read(path: Path, busy_seconds: float, file_system: FileSystem) -> sqlite3.Connection:
    """Connect without writing anything: also in a folder in which the files of a WAL cannot be created."""
    for options in ("mode=ro", "mode=ro&immutable=1"):
        connection = sqlite3.connect(f"{path.as_uri()}?{options}", timeout=busy_seconds, isolation_level=None, uri=True)
        connection.text_factory = _text
        try:
            with _without_shared_memory(connection, file_system):
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


def _connect(path: Path, busy_seconds: float, file_system: FileSystem) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    connection.text_factory = _text
    try:
        with _without_shared_memory(connection, file_system):
            _check_schema(path, connection)
            if migrations.version(connection) == 0:  # it takes the lock, and later has no effect
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # space comes back after a purge
            # With WAL, followers can read while a worker writes. The rollback journal is slower.
            connection.execute(f"PRAGMA journal_mode = {'DELETE' if file_system.is_network else 'WAL'}")
        connection.execute(f"PRAGMA synchronous = {'FULL' if file_system.is_network else 'NORMAL'}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
        connection.create_function("is_own", -1, origin.is_own, deterministic=True)
        connection.execute("PRAGMA foreign_keys = OFF")
        if migrations.migrate(connection, lambda schema: back_up(path, schema)):
            _make_shrinkable(path, connection)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def _without_shared_memory(connection: sqlite3.Connection, file_system: FileSystem) -> Iterator[None]:
    """On a network file system, keep the index of a WAL in this process, because mapping its file may end it."""
    if not file_system.is_network:
        yield
        return
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    yield
    connection.execute("PRAGMA locking_mode = NORMAL")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the lock is released with the next statement


def _make_shrinkable(path: Path, connection: sqlite3.Connection) -> None:
    """Rewrite a store of an earlier version so that it shrinks after a purge, if that takes no more than seconds."""
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] or path.stat().st_size > VACUUMED_BYTES:
        return
    with contextlib.suppress(sqlite3.OperationalError):  # others use it, or there is no room: it works without
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")


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
