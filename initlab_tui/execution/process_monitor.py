"""Monitors a worker's process, so that a native crash is recorded with its exit code even if nothing else is running.

    python -m initlab_tui.execution.process_monitor STORE WORKER_ID

A worker that dies during training loses only that run: the monitor starts another worker for the queued runs. While
its worker lives, the monitor also looks after the other workers of the store, whose monitors may have died.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import processes
from initlab_tui.execution.memory import MemoryWatch
from initlab_tui.store import failed_starts, worker_deaths, workers
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.files import log_name
from initlab_tui.store.worker_log import log_tail

if TYPE_CHECKING:
    from initlab_tui.execution.liveness import LivenessMonitor

LOOK_SECONDS = 2.0  # between two looks at the workers of the store
WORKER = (sys.executable, "-m", "initlab_tui.execution.worker")


@dataclass(frozen=True)
class Exit:
    """How a worker's process ended: its exit code, and what is known about memory.

    `caused_by_run` is whether the run in training is the likely cause; `is_requested` is whether the worker was ended
    because it did not react to a request to stop.
    """

    code: int
    memory: str = ""
    caused_by_run: bool = False
    is_requested: bool = False

    @property
    def description(self) -> str:
        described = processes.describe_exit(self.code)
        if self.is_requested:
            described += " because it did not react to the request to stop"
        return f"{described}: {self.memory}" if self.memory else described


def main(arguments: list[str]) -> None:
    """Monitor the worker and its successors, until one ends normally or none can start."""
    path, worker_id = Path(arguments[0]), int(arguments[1])
    starter = os.getppid()
    current: int | None = worker_id
    while current is not None:
        with Store.open(path) as store:
            process = _start(store, current)
        ended = _wait(store, current, process, starter)
        current = _recorded(store, current, ended)


def _start(store: Store, worker_id: int) -> subprocess.Popen[bytes]:
    worker = workers.read_worker(store, worker_id)
    descriptor = store.files.append(log_name(worker_id))
    try:
        process = subprocess.Popen(
            [*WORKER, str(store.path), str(worker_id), str(os.getpid())],
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


def _wait(store: Store, worker_id: int, process: subprocess.Popen[bytes], starter: int) -> Exit:
    """Wait for the end of a worker, and meanwhile look after it and the other workers of the store."""
    memory = MemoryWatch()
    with Lookout(store, worker_id, starter) as lookout:
        while True:
            try:
                code = process.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                memory.sample(process.pid)
                lookout.look()
            else:
                return lookout.describe(code, memory)


class Lookout:
    """Looks after a worker and the other workers of its store.

    `started_in` is the store as it was opened for the worker, closed since: a store that was removed or replaced is not
    opened. `starter` is the process that started this monitor. When it is gone, nobody else will dismiss the worker.
    """

    def __init__(self, started_in: Store, worker_id: int, starter: int) -> None:
        self._started_in, self._worker_id, self._starter = started_in, worker_id, starter
        self._store: Store | None = None
        self._liveness: LivenessMonitor | None = None
        self._is_dismissed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._store:
            self._store.close()

    def look(self) -> None:
        """Check the workers of the store, shorten the log, and dismiss the own worker if its starter is gone.

        Problems of the store, which may be locked, full or removed, are left to the next look: whatever happens to the
        store, the end of the worker must be recorded.
        """
        with contextlib.suppress(StoreError, InvalidInputError, OSError):
            self._started_in.files.shorten(log_name(self._worker_id))
            self._open()
            if self._store is None or self._liveness is None:
                return
            if not self._is_dismissed and os.getppid() != self._starter:
                workers.dismiss(self._store, [self._worker_id])
                self._is_dismissed = True
            self._liveness.check()

    def _open(self) -> None:
        from initlab_tui.execution.liveness import LivenessMonitor  # late: its imports would delay the worker

        if self._store is None and self._started_in.still_exists():
            self._store = Store.open(self._started_in.path)
            self._liveness = LivenessMonitor(self._store)

    def describe(self, code: int, memory: MemoryWatch) -> Exit:
        """Return how the worker's process ended."""
        if self._liveness and self._liveness.has_signalled(self._worker_id):
            return Exit(code, is_requested=True)
        if code == 0:
            return Exit(code)
        is_killed = code == -signal.SIGKILL
        explanation = memory.explanation(is_killed=is_killed, log_tail=self._log_tail())
        return Exit(code, explanation, processes.is_own_fault(code) or (is_killed and memory.was_kill_by_kernel()))

    def _log_tail(self) -> str:
        with contextlib.suppress(StoreError, InvalidInputError):
            if self._started_in.still_exists():
                return log_tail(self._started_in, self._worker_id)
        return ""


def _recorded(started_in: Store, worker_id: int, ended: Exit) -> int | None:
    """Record how a worker ended, and return the id of the worker to start next, None if none is needed."""
    while True:
        try:
            if not started_in.still_exists():
                return None  # do not create a removed store again, or write to another one, only to record an exit
            with Store.open(started_in.path) as store:
                return _successor(store, worker_id, ended)
        except StoreError:  # it is locked or the disk is full: the exit code is known only here, so try again
            time.sleep(LOOK_SECONDS)


def _successor(store: Store, worker_id: int, ended: Exit) -> int | None:
    worker = workers.read_worker(store, worker_id)
    if ended.code == 0 and not ended.is_requested:
        worker_deaths.mark_dead(store, worker_id, ended.description, is_failure=False)
        store.files.remove(log_name(worker_id))  # failed runs have the end of it in their records
        return None
    from initlab_tui.execution import liveness, supervisor  # late, as above

    has_failed = not workers.has_claimed_any(store, worker_id)
    failed = failed_starts.count(store, worker.device, worker.threads) + 1 if has_failed else 0
    # A worker that exits without claiming a run will do so again; one killed by a signal may succeed the next time.
    is_hopeless = failed >= liveness.RESTARTS or (has_failed and ended.code > 0)
    # Registered before the old one is marked dead, so that no other process finds a queue without a worker.
    successor = None if is_hopeless else workers.register_successor(store, worker)
    if successor is not None:
        workers.set_monitor(store, successor, os.getpid(), processes.born(os.getpid()))
    worker_deaths.mark_dead(store, worker_id, ended.description, caused_by_run=ended.caused_by_run)
    if is_hopeless:
        supervisor.hold_queued(store, supervisor.WorkerPlan(1, worker.threads, worker.device))
    return successor


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
