"""The files of a store: checkpoints, logs of workers and reserved disk space, in a folder next to it.

A file's name is made from the id of a run or a worker; no path is ever read from the store, which may come from
somebody else. Every access goes through the opened folder, after checking that it is the user's own, and follows no
link in it, because the store may lie in a folder that others may write to.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store.paths import PRIVATE_FILE, PRIVATE_FOLDER

RESERVE_BYTES = 1 << 20  # of disk space that a worker reserves, so that a run's end can be recorded on a full disk
LOG_BYTES = 1 << 20
KEPT_LOG_BYTES = 1 << 16  # the end of a log that has grown past LOG_BYTES
KEPT_LOG_SECONDS = 7 * 24 * 3600.0
TEMPORARY_SECONDS = 600.0  # after which a temporary file is one that a killed process left behind
_KEPT_SECONDS = {".reserve": -math.inf, ".tmp": TEMPORARY_SECONDS, ".log": KEPT_LOG_SECONDS}
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def checkpoint_name(run_id: int) -> str:
    return f"run-{run_id}.npz"


def previous_checkpoint_name(run_id: int) -> str:
    return f"run-{run_id}.previous.npz"


def log_name(worker_id: int) -> str:
    return f"worker-{worker_id}.log"


def reserve_name(worker_id: int) -> str:
    return f"worker-{worker_id}.reserve"


def _temporary_name(name: str) -> str:
    return f"{name}.tmp"


class StoreFiles:
    """The files of the store at `store`; the folder is created when the first one is written."""

    def __init__(self, store: Path) -> None:
        self.folder = store.with_name(f"{store.name}-files")

    def check(self) -> None:
        """Create the folder if there is none, and check that the user, and nobody else, can write to it.

        Raises:
            InvalidInputError: if it cannot be created or written, is a link or not a folder, belongs to another user,
                or others may write to it.
        """
        try:
            with self._opened() as folder:
                if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder):
                    raise self._refused("cannot be written: permission denied")
        except OSError as error:
            raise self._refused(f"cannot be created: {error.strerror}") from None

    def free_bytes(self) -> int:
        """Return the free space of the disk on which the store lies."""
        found = os.statvfs(self.folder.parent)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def replaced(self, name: str, *, keep_as: str | None = None) -> Iterator[BinaryIO]:
        """Write a file that takes the place of the one with this name, if any, when it is complete and on disk.

        The replaced file is kept with the name `keep_as`, if that is given. If the process dies in between, there is
        for a moment no file with the name, but the one that is kept.
        """
        temporary = _temporary_name(name)
        with self._opened() as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            with os.fdopen(os.open(temporary, os.O_WRONLY | _NEW, PRIVATE_FILE, dir_fd=folder), "wb") as file:
                try:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                except BaseException:
                    os.unlink(temporary, dir_fd=folder)
                    raise
            if keep_as:
                with contextlib.suppress(FileNotFoundError):
                    os.replace(name, keep_as, src_dir_fd=folder, dst_dir_fd=folder)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def create(self, name: str, content: bytes) -> None:
        """Write a new file, after removing what has its name."""
        with self._opened() as folder:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            with os.fdopen(os.open(name, os.O_WRONLY | _NEW, PRIVATE_FILE, dir_fd=folder), "wb") as file:
                file.write(content)

    def append(self, name: str) -> int:
        """Open a file to append to it, and return its descriptor; a link, or a file with two names, is replaced."""
        flags = os.O_WRONLY | os.O_APPEND
        with self._opened() as folder:
            with contextlib.suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid():
                    return os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
                os.unlink(name, dir_fd=folder)
            return os.open(name, flags | _NEW, PRIVATE_FILE, dir_fd=folder)

    def shorten(self, name: str) -> None:
        """Keep only the end of a file to which a process appends, if it is larger than LOG_BYTES."""
        with contextlib.suppress(FileNotFoundError), self._opened(create=False) as folder:
            descriptor = os.open(name, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                status = os.fstat(descriptor)
                if stat.S_ISREG(status.st_mode) and status.st_size > LOG_BYTES:
                    end = os.pread(descriptor, KEPT_LOG_BYTES, status.st_size - KEPT_LOG_BYTES)
                    os.ftruncate(descriptor, 0)
                    file.write(b"[the earlier part of this log was removed]\n" + end.partition(b"\n")[2])

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[BinaryIO]:
        """Open a file to read it.

        Raises:
            FileNotFoundError: if there is none, or it is not a regular file.
        """
        with self._opened() as folder:
            try:
                # A FIFO would block: O_NONBLOCK has no effect on regular files.
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            except OSError as error:
                raise FileNotFoundError(f"{self.folder / name}: {error.strerror}") from error
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(f"{self.folder / name}: not a regular file")
            yield file

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with contextlib.suppress(FileNotFoundError), self._opened(create=False) as folder:
            os.unlink(name, dir_fd=folder)

    def remove_checkpoints(self, run_id: int) -> None:
        """Remove the checkpoints of a run if it has any, also one that a killed worker left unfinished."""
        self.remove(checkpoint_name(run_id))
        self.remove(previous_checkpoint_name(run_id))
        self.remove(_temporary_name(checkpoint_name(run_id)))

    def remove_left_over(self, alive_workers: Collection[int]) -> None:
        """Remove what killed processes left behind: space and old logs of dead workers, old temporary files."""
        kept = {name(worker_id) for worker_id in alive_workers for name in (reserve_name, log_name)}
        with contextlib.suppress(FileNotFoundError), self._opened(create=False) as folder:
            for file in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):
                    age = time.time() - file.stat(follow_symlinks=False).st_mtime
                    kept_seconds = _KEPT_SECONDS.get(Path(file.name).suffix, math.inf)
                    if file.name not in kept and age > kept_seconds:
                        os.unlink(file.name, dir_fd=folder)

    @contextlib.contextmanager
    def _opened(self, *, create: bool = True) -> Iterator[int]:
        if create:
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir(mode=PRIVATE_FOLDER)
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self._refused(f"is a link or not a folder ({error.strerror})") from None
        try:
            status = os.fstat(folder)
            if status.st_uid != os.geteuid():
                raise self._refused("belongs to another user")
            if status.st_mode & _OTHERS_MAY_WRITE:
                raise self._refused(f"can be written by others: chmod 700 {self.folder}")
            yield folder
        finally:
            os.close(folder)

    def _refused(self, problem: str) -> InvalidInputError:
        return InvalidInputError.of(
            "store",
            f"the folder of logs and checkpoints {self.folder} {problem}; move it away, or name another store with "
            "--store",
        )
