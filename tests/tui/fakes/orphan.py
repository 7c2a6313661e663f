"""A real worker whose monitor is killed before it could ask for its parent process."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from initlab_tui.execution import worker
from initlab_tui.store import workers
from initlab_tui.store.database import Store

if __name__ == "__main__":
    monitor = os.getppid()
    with Store.open(Path(sys.argv[1])) as store:
        while workers.read_worker(store, int(sys.argv[2])).pid is None:
            time.sleep(0.01)
    os.kill(monitor, signal.SIGKILL)
    while os.getppid() == monitor:
        pass
    sys.exit(worker.main(sys.argv[1:]))
