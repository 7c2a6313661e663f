"""Finds out whether a process died because memory ran out, and says what helps."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

import psutil

HELP = "use fewer workers (--workers 1), a smaller network or --batch-size, or close other programs"
LOW_SHARE = 0.05  # of all memory; with less than this available, the kernel is about to kill processes
_MESSAGES = re.compile(
    r"std::bad_alloc|\bMemoryError\b|ResourceExhausted|out of memory|Cannot allocate memory", re.IGNORECASE
)
_CGROUPS = Path("/sys/fs/cgroup")
_COUNTERS = (
    (Path("/proc/vmstat"), "oom_kill"),
    (_CGROUPS / "memory/memory.oom_control", "oom_kill"),
    (_CGROUPS / "memory.events", "oom_kill"),
)


@dataclass(frozen=True)
class _Sample:
    used: int
    available: int
    total: int


class MemoryWatch:
    """Samples the memory of a process and of the system, to explain later why the process was killed."""

    def __init__(self) -> None:
        self._kills = oom_kills()
        self._sample: _Sample | None = None

    def sample(self, pid: int) -> None:
        """Remember how much memory the process uses and how much is available."""
        with contextlib.suppress(psutil.Error):
            used = psutil.Process(pid).memory_info().rss
            memory = psutil.virtual_memory()
            self._sample = _Sample(used, *_limited(memory.available, memory.total))

    def was_kill_by_kernel(self) -> bool:
        """Return whether the kernel has killed a process for lack of memory since this object was made."""
        return oom_kills() > self._kills

    def explanation(self, *, is_killed: bool, log_tail: str) -> str:
        """Return in words whether memory ran out, and what helps; empty if nothing points to it.

        `is_killed` is whether the process ended by SIGKILL, which is how the kernel ends one.
        """
        if is_killed and self.was_kill_by_kernel():
            certainty = "out of memory"
        elif (is_killed and self._was_low()) or _MESSAGES.search(log_tail):
            certainty = "probably out of memory"
        else:
            return ""
        return f"{certainty}{self._figures()}; {HELP}"

    def _was_low(self) -> bool:
        return self._sample is not None and self._sample.available < LOW_SHARE * self._sample.total

    def _figures(self) -> str:
        if self._sample is None:
            return ""
        return f" (it used {_gigabytes(self._sample.used)}, {_gigabytes(self._sample.available)} were available)"


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory, here and in this process's cgroup."""
    return sum(_counter(path, name) for path, name in (*_COUNTERS, (_own_cgroup() / "memory.events", "oom_kill")))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of Python or of TensorFlow means that memory ran out."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _counter(path: Path, name: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _own_cgroup() -> Path:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::/"):
                return _CGROUPS / line.removeprefix("0::/")
    return _CGROUPS


def _limited(available: int, total: int) -> tuple[int, int]:
    """Return available and total memory within the limit of this process's cgroup, if it has one."""
    group = _own_cgroup()
    with contextlib.suppress(OSError, ValueError):  # there is no limit, or it is "max"
        limit, current = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        if limit < total:
            return max(0, min(available, limit - current)), limit
    return available, total


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
