"""Information about processes: their start time, whether they are running, and their exit status."""

from __future__ import annotations

import signal

import psutil


def born(pid: int) -> float | None:
    """Return the start time of the process with this pid in seconds since boot; None if there is none.

    Since boot, because the wall clock may be changed while the process runs.
    """
    try:
        booted = psutil.boot_time()  # also refreshes the boot time from which psutil computes `create_time`
        return psutil.Process(pid).create_time() - booted
    except psutil.NoSuchProcess:
        return None


def is_running(pid: int | None, birth: float | None) -> bool:
    """Return whether the process that was started at `birth`, as `born` returns it, is still running."""
    if pid is None or birth is None:
        return False
    try:
        zombie = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    now_born = born(pid)
    return not zombie and now_born is not None and abs(now_born - birth) < 1


def describe_exit(code: int) -> str:
    """Return the exit status of a process as text."""
    if code >= 0:
        return f"exit code {code}"
    hint = ", possibly out of memory" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name} (signal {-code}{hint})"
