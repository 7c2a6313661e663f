"""A cache on disk for programs compiled by XLA, shared by worker processes.

TensorFlow reads and writes the cache (`--tf_xla_persistent_cache_directory`). This module chooses its folder, limits
its size, keeps it private, removes damaged files, and lets only one worker at a time compile a program. It does not
import TensorFlow, because TensorFlow reads the flag when it is imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TextIO

import platformdirs

from initlab_tui.training import cpu

FLAG = "--tf_xla_persistent_cache_directory"
MAX_BYTES = 64_000_000  # about 80 programs
UNSEALED_SECONDS = 600.0  # a program without a checksum may have just been compiled by another worker
PRIVATE_FOLDER = 0o700


def default_folder(threads: int) -> Path:
    """Return the folder for programs that this machine's TensorFlow can run with this number of threads.

    XLA compiles for the instruction set of the CPU and for a number of threads, but TensorFlow checks neither.
    """
    depends_on = (
        *(f"{package} {version(package)}" for package in ("tensorflow", "keras")),
        *(cpu.instructions(), str(threads), os.environ.get("XLA_FLAGS", "")),
    )
    return platformdirs.user_cache_path("initlab-tui") / "xla" / _digest(*depends_on)


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


class XlaCache:
    """The programs in `folder`. Only the user may write to it, because they are machine code that will be executed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def enable(self) -> bool:
        """Make TensorFlow use the folder; call this before TensorFlow is imported.

        Returns False, and prints the reason on stderr, if the folder cannot be created, others may write to it, or
        TF_XLA_FLAGS already names another one.
        """
        flags = os.environ.get("TF_XLA_FLAGS", "")
        try:
            self._folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            status = self._folder.stat()
        except OSError as error:
            return _not_kept(str(error))
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return _not_kept(f"others may write to {self._folder}")
        if FLAG in flags:
            return _not_kept(f"TF_XLA_FLAGS is {flags!r}")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {FLAG}={self._folder}".strip()
        return True

    @contextlib.contextmanager
    def compiling(self, program: str, meanwhile: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Hold the lock on a program while it is compiled or loaded, so that other workers find it compiled.

        If another worker has the lock, call `meanwhile` before waiting for it. If the disk is full or does not support
        locks, this is reported on stderr and training continues.
        """
        with contextlib.ExitStack() as stack:
            with _reported():
                lock = stack.enter_context((self._folder / f"{_digest(program)[:2]}.lock").open("w"))
                _acquire(lock, meanwhile)
                self._remove_damaged()
            yield
            with _reported():
                self._seal()
                self._limit()

    def _remove_damaged(self) -> None:
        """Remove damaged programs, because TensorFlow would execute them."""
        for program in self._folder.glob("*.pb"):
            with contextlib.suppress(FileNotFoundError):  # another worker was faster
                sealed = _checksum_file(program).exists()
                damaged = sealed and _checksum_file(program).read_text(errors="replace") != _checksum(program)
                if damaged or (not sealed and time.time() - program.stat().st_mtime > UNSEALED_SECONDS):
                    _remove(program)

    def _seal(self) -> None:
        """Write the checksum of each new program."""
        for program in self._folder.glob("*.pb"):
            with contextlib.suppress(FileNotFoundError):
                if not _checksum_file(program).exists():
                    _checksum_file(program).write_text(_checksum(program))

    def _limit(self) -> None:
        """Remove the oldest programs, including those for other versions and threads, until all fit into MAX_BYTES."""
        with contextlib.suppress(FileNotFoundError):
            programs = sorted((file.stat().st_mtime, file) for file in self._folder.parent.glob("*/*.pb"))
            total = sum(file.stat().st_size for _, file in programs)
            for _, program in programs:
                if total <= MAX_BYTES:
                    return
                total -= program.stat().st_size
                _remove(program)


def _acquire(lock: TextIO, meanwhile: Callable[[], object]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        meanwhile()
        fcntl.flock(lock, fcntl.LOCK_EX)


@contextlib.contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        _not_kept(str(error))


def _not_kept(why: str) -> bool:
    print(f"compiled programs are not kept: {why}", file=sys.stderr)
    return False


def _remove(program: Path) -> None:
    # Remove the program first, because without its checksum it would be taken for a new one.
    program.unlink(missing_ok=True)
    _checksum_file(program).unlink(missing_ok=True)


def _checksum_file(program: Path) -> Path:
    return program.with_suffix(".crc32")


def _checksum(program: Path) -> str:
    return f"{zlib.crc32(program.read_bytes()):08x}"
