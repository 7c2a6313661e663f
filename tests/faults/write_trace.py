"""Stops a process before each of its writes to files, so that it can be killed exactly before the n-th.

The kernel does it (seccomp, user notification): the traced process installs a filter for the system calls that write,
create, rename, remove or synchronise files, and hands the listener to the tracing process, for which it waits at each
of these calls. Nothing in the program is replaced. A kill after a call is a kill before the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import platform
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# System calls of x86_64 by number: the kind of write, and the numbers of the arguments that are the descriptor of a
# folder and a path in it. Without a path, the first argument is the descriptor of a file.
CALLS: dict[int, tuple[str, int | None, int | None]] = {
    1: ("write", None, None),
    18: ("pwrite", None, None),
    20: ("writev", None, None),
    74: ("fsync", None, None),
    75: ("fdatasync", None, None),
    77: ("ftruncate", None, None),
    285: ("fallocate", None, None),
    82: ("rename", None, 1),
    83: ("mkdir", None, 0),
    87: ("unlink", None, 0),
    257: ("create", 0, 1),
    263: ("unlink", 0, 1),
    264: ("rename", 2, 3),
    316: ("rename", 2, 3),
}
WRITE, OPENAT = 1, 257
ARCHITECTURE = 0xC000003E
LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
PR_SET_NO_NEW_PRIVS, SECCOMP, SET_MODE_FILTER, NEW_LISTENER = 38, 317, 1, 8
RECEIVE, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
NOTIFICATION = struct.Struct("QIIiIQ6Q")
RESPONSE = struct.Struct("QqiI")


@dataclass(frozen=True)
class Write:
    """A call that is about to be made: its number since the start of the trace, its kind and the file."""

    number: int
    kind: str
    file: str

    def __str__(self) -> str:
        return f"{self.kind} {self.file}"


def can_trace() -> bool:
    """Return whether this machine's kernel and processor are supported."""
    available = Path("/proc/sys/kernel/seccomp/actions_avail")
    return platform.machine() == "x86_64" and available.exists() and "user_notif" in available.read_text()


def _address(store: Path) -> bytes:
    return b"\0initlab-trace-" + hashlib.sha256(os.fsencode(store)).hexdigest()[:16].encode()


def offer(store: Path) -> None:
    """Let this process be traced, if somebody waits to trace the next worker of `store`; call it before any thread."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tracer:
        try:
            tracer.connect(_address(store))
        except ConnectionRefusedError:
            return
        listener = _install()
        socket.send_fds(tracer, [str(os.getpid()).encode()], [listener])
        os.close(listener)


def _install() -> int:
    """Install the filter in this thread and those that it starts, and return the listener's descriptor."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _filter())
    code = ctypes.create_string_buffer(program)
    filters = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    descriptor: int = libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.create_string_buffer(filters))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "cannot install a seccomp filter")
    return descriptor


def _filter() -> Iterator[tuple[int, int, int, int]]:
    """Yield the instructions (code, jump if true, jump if false, operand): notify for CALLS, allow everything else."""
    notify, allow = (RETURN, 0, 0, NOTIFY), (RETURN, 0, 0, ALLOW)
    yield from ((LOAD, 0, 0, ARCHITECTURE_AT), (EQUAL, 1, 0, ARCHITECTURE), allow)
    yield (LOAD, 0, 0, NUMBER_AT)
    # Standard streams are not files of the store, and a file that is only opened is not written.
    yield from ((EQUAL, 0, 4, WRITE), (LOAD, 0, 0, ARGUMENTS_AT), (GREATER, 0, 1, 2), notify, allow)
    yield from ((EQUAL, 0, 4, OPENAT), (LOAD, 0, 0, ARGUMENTS_AT + 2 * 8), (ANY_BIT, 0, 1, os.O_CREAT), notify, allow)
    for number in CALLS.keys() - {WRITE, OPENAT}:
        yield from ((EQUAL, 0, 1, number), notify)
    yield allow


class Tracer:
    """Traces the writes of the next worker of a store to the store and its files.

    Only those of its main thread, because its heartbeats come at any time.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.bind(_address(store))
        self._server.listen(1)

    def trace(self, is_fatal: Callable[[Write], bool], seconds: float = 120.0) -> list[Write]:
        """Trace a worker until it ends, or until a write for which it is killed; return the writes until then.

        Raises:
            TimeoutError: if no worker starts, or it neither ends nor writes, for this time.
        """
        self._server.settimeout(seconds)
        with self._server:
            peer, _ = self._server.accept()
        with peer:
            content, (listener,), *_ = socket.recv_fds(peer, 32, 1)
        try:
            return list(self._until_end(listener, int(content), is_fatal, seconds))
        finally:
            os.close(listener)

    def _until_end(self, listener: int, pid: int, is_fatal: Callable[[Write], bool], seconds: float) -> Iterator[Write]:
        poll, count = select.poll(), 0
        poll.register(listener, select.POLLIN)
        while True:
            ready = poll.poll(1000 * seconds)
            if not ready:
                raise TimeoutError(f"process {pid} has neither written nor ended for {seconds:.0f} s")
            if not ready[0][1] & select.POLLIN:  # the process has ended
                return
            received = bytearray(NOTIFICATION.size)
            with contextlib.suppress(FileNotFoundError):  # the process has just ended, and does not wait any more
                fcntl.ioctl(listener, RECEIVE, received)
                identity, thread, _, number, _, _, *arguments = NOTIFICATION.unpack(received)
                file = self._file(pid, number, arguments) if thread == pid else None
                if file is not None:
                    count += 1
                    write = Write(count, CALLS[number][0], file)
                    yield write
                    if is_fatal(write):
                        os.kill(pid, signal.SIGKILL)
                        return
                fcntl.ioctl(listener, SEND, RESPONSE.pack(identity, 0, 0, CONTINUE))

    def _file(self, pid: int, number: int, arguments: list[int]) -> str | None:
        """Return the name of the file of a call; None if it is not one of the store's."""
        _, folder_at, path_at = CALLS[number]
        opened = Path(f"/proc/{pid}/fd")
        path = Path(_text(pid, arguments[path_at])) if path_at is not None else (opened / str(arguments[0])).readlink()
        if folder_at is not None and not path.is_absolute():
            path = (opened / str(arguments[folder_at])).readlink() / path
        folder = self._store.with_name(f"{self._store.name}-files")
        is_own = folder in (path, path.parent) or (path.parent, path.name[: len(self._store.name)]) == (
            self._store.parent,
            self._store.name,
        )
        return path.name if is_own else None


def _text(pid: int, address: int) -> str:
    """Read a text in the memory of another process."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return os.fsdecode(memory.read(4096).partition(b"\0")[0])
