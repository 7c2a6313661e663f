"""Starts many workers in little time: a process that has imported TensorFlow, but not used it, and forks for each.

Apart from its start, a forked worker is a real one: it runs `worker.main` in its own process. It has no monitor.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from initlab_tui.execution import process_monitor, processes
from initlab_tui.store import workers
from initlab_tui.store.database import Store
from tests.faults.write_trace import offer


class ForkedWorkers:
    """Starts workers for any store, with one thread each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._lock = process, threading.Lock()

    def start(self, store: Store, idle: float = 0.0) -> None:
        """Start a worker, which ends after `idle` seconds without work."""
        worker_id = workers.register(store, "cpu", 1, idle_seconds=idle)
        pid = self._fork(store.path, worker_id)
        # Its monitor would be a process that has also died when the worker has.
        workers.set_monitor(store, worker_id, pid, processes.born(pid))
        workers.set_process(store, worker_id, pid, processes.born(pid))

    def _fork(self, path: Path, worker_id: int) -> int:
        assert self._process.stdin and self._process.stdout
        with self._lock:
            print(json.dumps([str(path), str(worker_id)]), file=self._process.stdin, flush=True)
            return int(self._process.stdout.readline())


@contextmanager
def forked_workers() -> Iterator[ForkedWorkers]:
    """Run the process that starts workers, meanwhile."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[2],
        env=process_monitor.environment(os.environ, "-1", 1),
    ) as process:
        yield ForkedWorkers(process)


def main() -> None:
    """Fork a worker for each line of the input, and print its pid."""
    from initlab_tui.execution import worker
    from initlab_tui.training import compiled_trainer, data_dependent, device, device_dataset, initializers, loop

    assert all((compiled_trainer, data_dependent, device, device_dataset, initializers, loop))  # needed by the workers
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # leaves no zombies
    for line in sys.stdin:
        arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)
            offer(Path(arguments[0]))
            os._exit(worker.main(arguments))
        print(pid, flush=True)


if __name__ == "__main__":
    main()
