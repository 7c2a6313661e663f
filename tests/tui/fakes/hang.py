"""Claims a run, then does nothing and ignores SIGTERM."""

from __future__ import annotations

import signal
import threading

from tests.tui.fakes.claiming import claim

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    claim()
    threading.Event().wait()
