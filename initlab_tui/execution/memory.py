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


@dataclass(frozen=True)
class _Controller:
    """A memory controller of cgroups: where it is mounted, its name there, and the names of its files."""

    mount: Path
    name: str
    events: str
    limit: str
    usage: str
    prefix: str  # of the numbers in memory.stat that include the groups below


_CONTROLLERS = (
    _Controller(_CGROUPS, "", "memory.events", "memory.max", "memory.current", ""),
    _Controller(
        *(_CGROUPS / "memory", "memory", "memory.oom_control"),
        *("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    ),
)


@dataclass(frozen=True)
class _Sample:
    """Bytes: the most that the process has used so far, what is available to it now, and the limit for both."""

    used: int
    available: int
    total: int


class MemoryWatch:
    """Samples the memory of a process and of the system, to explain later why the process was killed."""

    def __init__(self) -> None:
        self._kills = oom_kills()
        self._sample: _Sample | None = None

    def sample(self, pid: int) -> None:
        """Remember how much memory the process uses and how much is available, until it begins to exit."""
        with contextlib.suppress(psutil.Error):
            used = psutil.Process(pid).memory_info().rss
            if used:
                memory = psutil.virtual_memory()
                most = max(used, self._sample.used if self._sample else 0)
                self._sample = _Sample(most, *_limited(memory.available, memory.total))

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
        used, available, total = map(_gigabytes, (self._sample.used, self._sample.available, self._sample.total))
        return f" (it used at least {used}; {available} of {total} were available)"


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory, here and in the cgroups of this process.

    Only its changes mean something: several counters may count the same process.
    """
    events = [group / controller.events for controller in _CONTROLLERS for group in _groups(controller)]
    return sum(_numbers(path).get("oom_kill", 0) for path in (Path("/proc/vmstat"), *events))


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error of Python or of TensorFlow means that memory ran out."""
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _numbers(path: Path) -> dict[str, int]:
    """Read a file of the kernel with a name and a number in each line; empty if there is none."""
    with contextlib.suppress(OSError, ValueError):
        return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
    return {}


def _groups(controller: _Controller) -> list[Path]:
    """Return the folders of this process's cgroup and of those that contain it, which may have limits too."""
    own = ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if controller.name in names.split(","):
                own = path.strip("/")
    # In a container the path may be that of the host, while the root of the mount is the container's group.
    return [group for path in (own, *map(str, Path(own).parents)) if (group := controller.mount / path).is_dir()]


def _limited(available: int, total: int) -> tuple[int, int]:
    """Return available and total memory within the limits of this process's cgroups, if they have any."""
    for controller in _CONTROLLERS:
        for group in _groups(controller):
            with contextlib.suppress(OSError, ValueError):  # there is no such controller, or the limit is "max"
                limit = int((group / controller.limit).read_text())
                if limit < total:
                    available, total = max(0, min(available, limit - _used(group, controller))), limit
    return available, total


def _used(group: Path, controller: _Controller) -> int:
    """Return the bytes that a cgroup uses, without cached files, which the kernel drops when it needs the memory."""
    numbers = _numbers(group / "memory.stat")
    cached = sum(numbers.get(f"{controller.prefix}{name}", 0) for name in ("active_file", "inactive_file"))
    return int((group / controller.usage).read_text()) - cached


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
