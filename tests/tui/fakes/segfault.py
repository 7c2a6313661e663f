"""Claims a run and dies by SIGSEGV."""

from __future__ import annotations

import os
import signal

from tests.tui.fakes.claiming import claim

if __name__ == "__main__":
    claim()
    os.kill(os.getpid(), signal.SIGSEGV)
