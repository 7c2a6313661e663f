"""Ends workers that do not react to a request to stop: first with SIGTERM, then with SIGKILL."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping

from initlab_tui.execution import processes
from initlab_tui.store import workers
from initlab_tui.store.database import Store
from initlab_tui.store.workers import RegisteredWorker

SHOWN_SILENCE_SECONDS = 10.0  # a worker without a heartbeat for this long is reported as silent
TERMINATE_SECONDS = 10.0  # after the request, if the worker is silent
KILL_SECONDS = 20.0
# A worker with a heartbeat may be compiling a large network, and stops after that.
PATIENCE_WITH_HEARTBEAT = 6.0


class StopEscalation:
    """Remembers since when runs have been asked to stop, and signals their workers if these are on this host.

    `signalled` are the ids of the workers that got a signal.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[int, float] = {}
        self._terminated: set[int] = set()
        self.signalled: set[int] = set()

    def check(self, store: Store, silent: Mapping[int, float]) -> None:
        """Signal the workers that have used up their grace time; `silent` are the seconds of silence by worker."""
        now, asked = self._clock(), workers.asked_to_stop(store)
        self._since = {run_id: self._since.get(run_id, now) for run_id in asked}
        for run_id, worker in asked.items():
            if worker.host == socket.gethostname():
                self._signal(run_id, worker, now - self._since[run_id], silent.get(worker.id, 0.0))

    def _signal(self, run_id: int, worker: RegisteredWorker, waited: float, silent: float) -> None:
        patience = 1.0 if silent >= SHOWN_SILENCE_SECONDS else PATIENCE_WITH_HEARTBEAT
        if waited >= KILL_SECONDS * patience:
            number = signal.SIGKILL
        elif waited >= TERMINATE_SECONDS * patience and run_id not in self._terminated:
            number = signal.SIGTERM
            self._terminated.add(run_id)
        else:
            return
        if processes.send_signal(worker.pid, worker.born, number):
            self.signalled.add(worker.id)
