"""The lab on a terminal: how it is started on its own store, what it shows, and how its processes end."""

from __future__ import annotations

import contextlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.benchmarks.figures import Timed
from tests.benchmarks.terminal import Box, Terminal

BARS = re.compile("[▁-█]")  # sparklines, which are drawn later, when their curves have been read


@contextlib.contextmanager
def store_folder() -> Iterator[Path]:
    """Yield a folder for a store; at the end, every process that was started for it is terminated."""
    with tempfile.TemporaryDirectory(prefix="initlab-screen-") as folder:
        try:
            yield Path(folder)
        finally:
            # Idle workers were dismissed when the lab was closed.
            end_workers(Path(folder))


def end_workers(folder: Path, patience: float = 0.0) -> None:
    """Wait until the workers and process monitors of the stores in `folder` have ended, and terminate the others."""
    mine = [process for process in psutil.process_iter(["cmdline"]) if mentions(process, folder)]
    _, left = psutil.wait_procs(mine, patience)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(left, 10)[1]:
        process.kill()


def mentions(process: psutil.Process, folder: Path) -> bool:
    """Return whether the process was started with a path in `folder`; a zombie's command line is None."""
    return any(str(folder) in argument for argument in process.info["cmdline"] or ())


def command(store: Path, data_dir: Path, *arguments: str) -> list[str]:
    places = ["--store", str(store), "--data-dir", str(data_dir.resolve())]
    return [sys.executable, "-m", "initlab_tui", *places, *arguments]


def lab(store: Path, data_dir: Path) -> Terminal:
    return Terminal(command(store, data_dir), store.parent)


def cpu_seconds(terminal: Terminal) -> float:
    """Return the processor time of the program on the terminal so far."""
    spent = terminal.process.cpu_times()
    return spent.user + spent.system


def timed_start(terminal: Terminal, holds: Callable[[Terminal], bool]) -> Timed:
    """Return the time from the start of the program to the first frame for which `holds` returns True."""
    return Timed(terminal.until(holds) - terminal.started, cpu_seconds(terminal))


def shows_setup(terminal: Terminal) -> bool:
    """Return whether the setup is painted with its fields."""
    text = "\n".join(terminal.lines)
    return all(word in text for word in ("1 Setup", "Learning rate", "he_normal"))


def shows_rows(terminal: Terminal) -> bool:
    """Return whether the leaderboard has rows."""
    text = "\n".join(terminal.lines)
    return "3 Results" in text and "▸" in text


def pane_text(terminal: Terminal, box: Box) -> tuple[str, ...]:
    """Return the text of a pane without sparklines, including anything that covers it."""
    return tuple(BARS.sub(" ", line) for line in terminal.text(box))


@contextlib.contextmanager
def settled_lab(store: Path, data_dir: Path) -> Iterator[Terminal]:
    """Yield the lab after its output has settled."""
    with lab(store, data_dir) as terminal:
        terminal.until(shows_rows)
        terminal.rest(3)
        yield terminal
