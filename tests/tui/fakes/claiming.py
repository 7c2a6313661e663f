"""Up to the first run all fakes do as a worker does, only without TensorFlow."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from initlab_tui.store import queue
from initlab_tui.store.database import Run, Store


def claim() -> tuple[Store, Run]:
    """Wait for a run; end the process where the worker is dismissed before there is one."""
    store, worker_id = Store.open(Path(sys.argv[1])), int(sys.argv[2])
    while True:
        run = queue.claim(store, worker_id)
        if run:
            return store, run
        (idle,) = store.connection.execute("SELECT idle FROM workers WHERE id = ?", (worker_id,)).fetchone()
        if not idle and queue.retire_if_idle(store, worker_id):
            sys.exit(0)
        time.sleep(0.05)
