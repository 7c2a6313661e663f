"""Ctrl+C ends every command quietly with exit code 130, however early it is pressed.

By default it ends the process immediately, because during imports and in most commands there is nothing to clean up. A
command that may have to stop runs, remove files or restore the terminal calls `raise_interrupt` first.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130


def exit_at_once() -> None:
    """Let Ctrl+C end the process immediately.

    If Ctrl+C is ignored, as for a background command of a script, it remains ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _exit)


def raise_interrupt() -> None:
    """Let Ctrl+C raise KeyboardInterrupt, so that a command can clean up; call this after imports."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
