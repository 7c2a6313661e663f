"""The real program on a pseudo-terminal: keys go in, and its frames are rendered and timed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self, TypeVar

import psutil
import pyte

T = TypeVar("T")

KEYS = MappingProxyType(
    {
        "up": b"\x1b[A",
        "down": b"\x1b[B",
        "home": b"\x1b[H",
        "enter": b"\r",
        "escape": b"\x1b",
        "backspace": b"\x7f",
        "space": b" ",
        "tab": b"\t",
    }
)
POLL_SECONDS = 0.005
# Textual asks whether the terminal supports synchronized output, as most do, and then marks the end of each frame.
ASKS_FOR_FRAMES, HAS_FRAMES, END_OF_FRAME = b"\x1b[?2026$p", b"\x1b[?2026;2$y", b"\x1b[?2026l"
# Keyboard modes that pyte does not know and would render as text.
UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=]\d*u|\x1b\]22;[^\x07]*\x07")


@dataclass(frozen=True)
class Box:
    """The inside of a bordered pane: `left` and `top` belong to it, `right` and `bottom` do not."""

    left: int
    top: int
    right: int
    bottom: int


class Terminal:
    """A program on its own terminal.

    A thread reads its output and records the times; frames are rendered only on request, so that rendering does not
    slow down what is measured. All times are those of `time.perf_counter`.
    """

    def __init__(self, command: Sequence[str], home: Path, columns: int = 120, rows: int = 36) -> None:
        self.written = 0
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._chunks: list[tuple[float, bytes]] = []
        self._drawn, self._rest = 0, b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # the program has closed the terminal
                return
            self._chunks.append((time.perf_counter(), data))
            self.written += len(data)
            if ASKS_FOR_FRAMES in data:
                os.write(self._master, HAS_FRAMES)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._process.pid)

    def press(self, *keys: str) -> float:
        """Press keys, given by name or as text, and return the time."""
        data = b"".join(KEYS.get(key, key.encode()) for key in keys)
        now = time.perf_counter()
        os.write(self._master, data)
        return now

    def frames(self) -> Iterator[float]:
        """Render the frames received since the last call, and yield the time when each was complete."""
        while self._drawn < len(self._chunks):
            at, data = self._chunks[self._drawn]
            self._drawn += 1
            *complete, self._rest = (self._rest + data).split(END_OF_FRAME)
            for frame in complete:
                self._stream.feed(UNKNOWN_TO_PYTE.sub(b"", frame))
                yield at

    def received(self) -> bytes:
        """Return what was received since the last call or frame, without rendering it, which takes time."""
        chunks = self._chunks[self._drawn :]
        self._drawn += len(chunks)
        return b"".join(data for _, data in chunks)

    def until(self, condition: Callable[[Self], bool], seconds: float = 60.0) -> float:
        """Return when the first frame was complete for which `condition` holds; later frames are not rendered yet.

        Raises:
            TimeoutError: with the text on the screen.
        """
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline:
            for at in self.frames():
                if condition(self):
                    return at
            if self._process.poll() is not None:
                break
            time.sleep(POLL_SECONDS)
        raise TimeoutError("\n".join([f"not within {seconds:.0f} s, or the program exited:", *self.lines]))

    def shows(self, text: str, seconds: float = 60.0) -> float:
        """Return when the first frame was complete that contains `text`."""
        return self.until(lambda terminal: any(text in line for line in terminal.lines), seconds)

    def rest(self, seconds: float) -> None:
        """Wait for `seconds`, then render the frames received."""
        self.changes(lambda _: None, seconds)

    def changes(self, look: Callable[[Self], T], seconds: float) -> list[tuple[float, T]]:
        """Wait for `seconds`, render the frames received, and return when the result of `look` changed, and to what."""
        time.sleep(seconds)
        before, found = look(self), []
        for at in self.frames():
            now = look(self)
            if now != before:
                before = now
                found.append((at, now))
        return found

    @property
    def lines(self) -> list[str]:
        """The lines on the screen."""
        return list(self._screen.display)

    def box(self, title: str) -> Box:
        """Return the pane with this title in its upper border."""
        lines = self.lines
        top, line = next((n, line) for n, line in enumerate(lines) if f"─ {title} " in line)
        left = line.rindex("╭", 0, line.index(title))
        right = line.index("╮", left)
        bottom = next(n for n in range(top, len(lines)) if lines[n][left] == "╰")
        return Box(left + 1, top + 1, right, bottom)

    def text(self, box: Box) -> tuple[str, ...]:
        """Return the text in a pane, including its lower border, which shows counts."""
        return tuple(line[box.left : box.right] for line in self.lines[box.top : box.bottom + 1])

    def cursor_row(self, box: Box) -> int | None:
        """Return the only row of a pane with a background of its own near the left edge, or None."""
        backgrounds = [self._screen.buffer[row][box.left + 3].bg for row in range(box.top, box.bottom)]
        rare = [row for row, background in enumerate(backgrounds, box.top) if backgrounds.count(background) == 1]
        return rare[0] if len(rare) == 1 else None

    def bold_row(self, box: Box, until: str) -> int | None:
        """Return the first row of a pane that begins in bold, above the row with the text `until`."""
        end = next((row for row in range(box.top, box.bottom) if until in self.lines[row]), box.bottom)
        rows = range(box.top, end)
        return next((row for row in rows if self._screen.buffer[row][box.left + 1].bold), None)

    def close(self) -> None:
        """Terminate the program; kill it if it does not exit."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        os.close(self._master)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
