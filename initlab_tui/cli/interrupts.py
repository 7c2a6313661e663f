"""Ctrl+C ends every command quietly with exit code 130, however early it is pressed."""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130


def exit_at_once() -> None:
    """Let Ctrl+C end the process immediately, during imports and at exit, when there is nothing to clean up.

    If Ctrl+C is ignored, as for a background command of a script, it remains ignored.
    """
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _exit)


def raise_interrupt() -> None:
    """Let Ctrl+C raise KeyboardInterrupt, so that a command can stop its runs or restore the terminal."""
    if signal.getsignal(signal.SIGINT) is _exit:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _exit(_signal: int, _frame: FrameType | None) -> None:
    os._exit(INTERRUPTED)
