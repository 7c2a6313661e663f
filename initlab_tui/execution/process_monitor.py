"""Monitors a worker's process, so that a native crash is recorded with its exit code even if nothing else is running.

    python -m initlab_tui.execution.process_monitor STORE WORKER_ID

A worker that dies during training loses only that run: the monitor starts another worker for the queued runs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import processes
from initlab_tui.store import workers
from initlab_tui.store.database import Store
from initlab_tui.store.files import StoreFiles, log_name

RETRIES = 2
LOG_SECONDS = 1.0  # between two looks at the size of the log
WORKER = (sys.executable, "-m", "initlab_tui.execution.worker")


def main(arguments: list[str]) -> None:
    """Monitor the worker and its successors, until one ends normally or none can start."""
    path, worker_id = Path(arguments[0]), int(arguments[1])
    failed = 0
    current: int | None = worker_id
    while current is not None:
        with Store.open(path) as store:
            process = _start(store, current)
        code = _wait(process, store.files, current)
        if not store.still_exists():
            return  # do not create a removed store again, or write to another one, only to record an exit
        with Store.open(path) as store:
            failed = 0 if workers.has_claimed_any(store, current) else failed + 1
            current = _record_end(store, current, code, failed)


def _start(store: Store, worker_id: int) -> subprocess.Popen[bytes]:
    worker = workers.read_worker(store, worker_id)
    descriptor = store.files.append(log_name(worker_id))
    try:
        process = subprocess.Popen(
            [*WORKER, str(store.path), str(worker_id)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            env=environment(os.environ, worker.visible_devices, worker.threads),
        )
    finally:
        os.close(descriptor)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())

    # Imported late: a worker waits for its monitor's imports.
    from initlab_tui.execution.patience import Patience

    def record() -> None:
        workers.set_monitor(store, worker_id, os.getpid(), processes.born(os.getpid()))
        workers.set_process(store, worker_id, process.pid, processes.born(process.pid))

    Patience(store, worker_id).until_possible(record)
    return process


def _wait(process: subprocess.Popen[bytes], files: StoreFiles, worker_id: int) -> int:
    """Return the worker's exit code when it has ended; meanwhile its log keeps its size."""
    ended = threading.Event()

    def shorten() -> None:
        while not ended.wait(LOG_SECONDS):
            with contextlib.suppress(OSError, InvalidInputError):
                files.shorten(log_name(worker_id))

    threading.Thread(target=shorten, daemon=True).start()
    try:
        return process.wait()
    finally:
        ended.set()


def _record_end(store: Store, worker_id: int, code: int, failed: int) -> int | None:
    from initlab_tui.execution.patience import Patience

    return Patience(store, worker_id).until_possible(lambda: _successor(store, worker_id, code, failed))


def _successor(store: Store, worker_id: int, code: int, failed: int) -> int | None:
    """Record how the worker ended, and return the id of the worker to start next, None if none is needed.

    `failed` counts the workers in a row that ended without claiming a run.
    """
    how = processes.describe_exit(code)
    workers.mark_dead(store, worker_id, how)
    worker = workers.read_worker(store, worker_id)
    if code == 0:
        store.files.remove(log_name(worker_id))  # failed runs have the end of it in their records
        return None
    # A worker that exits without claiming a run will do so again; one killed by a signal may succeed the next time.
    if failed and (code > 0 or failed > RETRIES):
        # Imported late: a worker waits for its monitor's imports.
        from initlab_tui.execution import supervisor

        supervisor.fail_queued(store, supervisor.WorkerPlan(1, worker.threads, worker.device), how, worker_id=worker_id)
        return None
    return workers.register_successor(store, worker)


def environment(inherited: Mapping[str, str], visible_devices: str, threads: int) -> dict[str, str]:
    """Return the environment of a worker: its GPU, its threads, and settings that keep the log short."""
    return {
        **inherited,
        "CUDA_VISIBLE_DEVICES": visible_devices,
        "OMP_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": inherited.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "KERAS_BACKEND": "tensorflow",
        "PYTHONUNBUFFERED": "1",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
