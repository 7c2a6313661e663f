"""A program on a pseudo-terminal: keys go in, and pyte renders what it writes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte

TIMEOUT_SECONDS = 60.0
ENTER, ESCAPE, CTRL_C, DOWN, END = "\r", "\x1b", "\x03", "\x1b[B", "\x1b[F"

# Makes the pty its controlling terminal, as a shell's child process has it, then executes the program.
_LAUNCH = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Terminal:
    """Runs `command` on a terminal of `size` (columns, lines), with `env` as its whole environment.

    `raw` is every byte that it wrote, `text` what the screen shows. `before` and `after` are the terminal settings
    (termios) before the program started and after it ended.
    """

    def __init__(self, command: Sequence[str], size: tuple[int, int], env: Mapping[str, str], cwd: Path) -> None:
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._raw = bytearray()
        self._received = threading.Condition()
        self._master, self._slave = pty.openpty()
        self._stop_reader, self._stop_writer = os.pipe()
        self._set_size(size)
        self.before: list[Any] = termios.tcgetattr(self._slave)
        self.after: list[Any] | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._close()

    def _read(self) -> None:
        while True:
            readable, _, _ = select.select([self._master, self._stop_reader], [], [])
            if self._stop_reader in readable:
                return
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the program has closed its last descriptor
                data = b""
            with self._received:
                self._raw += data
                self._stream.feed(data)
                self._received.notify_all()
            if not data:
                return

    @property
    def raw(self) -> bytes:
        with self._received:
            return bytes(self._raw)

    @property
    def text(self) -> str:
        with self._received:
            return "\n".join(self._screen.display)

    def send(self, keys: str) -> None:
        """Type `keys`."""
        os.write(self._master, keys.encode())

    def wait_for(self, wanted: str | Callable[[str], object], *, seconds: float = TIMEOUT_SECONDS) -> str:
        """Wait until the screen contains a text or satisfies a condition, and return the screen's text."""
        deadline = time.monotonic() + seconds
        with self._received:
            while True:
                text = "\n".join(self._screen.display)
                if wanted in text if isinstance(wanted, str) else wanted(text):
                    return text
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._reader.is_alive():
                    raise AssertionError(f"{wanted!r} is not on the screen after {seconds:g} s:\n{text}")
                self._received.wait(min(remaining, 1.0))

    def wait_until_gone(self, unwanted: str, *, seconds: float = TIMEOUT_SECONDS) -> str:
        """Wait until the screen no longer contains a text, and return the screen's text."""
        return self.wait_for(lambda text: unwanted not in text, seconds=seconds)

    def resize(self, size: tuple[int, int]) -> None:
        """Resize the terminal, which sends SIGWINCH to the program."""
        with self._received:
            columns, lines = size
            self._screen.resize(lines, columns)
            self._screen.erase_in_display(2)  # the program has to redraw everything
        self._set_size(size)

    def _set_size(self, size: tuple[int, int]) -> None:
        columns, lines = size
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def kill(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Close the terminal under the running program, as a lost connection does."""
        self._close()

    def exit_code(self, *, seconds: float = TIMEOUT_SECONDS) -> int:
        """Wait until the program has exited and its output has been read; return its exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program did not exit within {seconds:g} s; the screen:\n{self.text}") from None
        if self._slave >= 0:
            self.after = termios.tcgetattr(self._slave)
            self._close_slave()
            self._reader.join(seconds)
        return code

    def _close_slave(self) -> None:
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1

    def _close(self) -> None:
        if self._master >= 0:
            os.write(self._stop_writer, b"x")
            self._reader.join()
            self._close_slave()
            for descriptor in (self._master, self._stop_reader, self._stop_writer):
                os.close(descriptor)
            self._master = -1
