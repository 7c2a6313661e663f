"""What all fakes share: claim a run as a worker does, without TensorFlow."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run


def claim() -> tuple[Store, Run]:
    """Wait for a run; exit if the worker is dismissed first."""
    store, worker_id = Store.open(Path(sys.argv[1])), int(sys.argv[2])
    while True:
        run = queue.claim(store, worker_id)
        if run:
            return store, run
        idle = workers.read_worker(store, worker_id).idle_seconds
        if not idle and workers.retire_if_idle(store, worker_id):
            sys.exit(0)
        time.sleep(0.05)
