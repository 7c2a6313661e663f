"""Information about processes: their start time, whether they are running, and their exit status."""

from __future__ import annotations

import signal

import psutil

# Signals with which a process ends because of what it does itself.
OWN_FAULTS = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)


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


def send_signal(pid: int | None, birth: float | None, number: signal.Signals) -> bool:
    """Send a signal to the process that was started at `birth`, and return whether it was sent.

    Another process that has got the same pid since is left alone, and so is one of another user.
    """
    if pid is None or pid <= 1:
        return False
    try:
        process = psutil.Process(pid)  # `send_signal` checks again that this is still the same process
        if not is_running(pid, birth):
            return False
        process.send_signal(number)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
    return True


def describe_exit(code: int) -> str:
    """Return the exit status of a process as text."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name} (signal {-code})"


def is_own_fault(code: int) -> bool:
    """Return whether a process with this exit status ended because of what it did, not by a signal from outside."""
    return code > 0 or -code in OWN_FAULTS
