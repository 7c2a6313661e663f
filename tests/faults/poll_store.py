"""A follower that polls a store as the lab does, and measures it.

    python -m tests.faults.poll_store STORE

It polls until its stdin is closed, and then prints the durations of its polls, and what it knows of each run.
"""

from __future__ import annotations

import json
import select
import sys
import time
from pathlib import Path

from initlab_tui.store.database import Store
from initlab_tui.tui.app import POLL_SECONDS
from initlab_tui.tui.store_monitor import StoreMonitor


def main(path: Path) -> None:
    monitor, seconds = StoreMonitor(), []
    known: dict[int, list[object]] = {}
    with Store.open(path) as store:
        is_last = False
        while not is_last:
            is_last = bool(select.select([sys.stdin], [], [], POLL_SECONDS)[0])
            began = time.monotonic()
            snapshot = monitor.poll(store)
            seconds.append(time.monotonic() - began)
            if snapshot:
                changed = (snapshot.runs[run_id] for run_id in snapshot.changed if run_id in snapshot.runs)
                known |= {run.id: [run.status, run.step, run.test_loss, run.test_accuracy] for run in changed}
    json.dump({"seconds": seconds, "runs": known}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
