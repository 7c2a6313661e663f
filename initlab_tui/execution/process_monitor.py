"""Watches one worker's process, so that a native crash is recorded with its exit code whoever else has gone.

    python -m initlab_tui.execution.process_monitor STORE WORKER_ID

A worker that dies while it trains loses that run alone: the watcher starts another for what is queued.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store import paths
from initlab_tui.store.database import Store

RETRIES = 2
WORKER = (sys.executable, "-m", "initlab_tui.execution.worker")


def main(arguments: list[str]) -> None:
    """Watch the worker and those that have to follow it, until one ends in order or none can start."""
    path, worker_id = Path(arguments[0]), int(arguments[1])
    in_vain = 0
    following: int | None = worker_id
    while following is not None:
        code = _run(path, following)
        store = Store.open_existing(path)
        if store is None:
            return  # removed, and not to be made anew for a record of that
        with store:
            in_vain = 0 if _claimed_any(store, following) else in_vain + 1
            following = _after(store, following, code, in_vain)


def _run(path: Path, worker_id: int) -> int:
    with Store.open(path) as store:
        visible, threads, log = store.connection.execute(
            "SELECT visible, threads, log FROM workers WHERE id = ?", (worker_id,)
        ).fetchone()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, paths.PRIVATE_FILE)
        try:
            process = subprocess.Popen(
                [*WORKER, str(path), str(worker_id)],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env=environment(os.environ, visible, threads),
            )
        finally:
            os.close(descriptor)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        store.connection.execute(
            "UPDATE workers SET watcher_pid = ?, watcher_born = ?, pid = ?, born = ? WHERE id = ?",
            (os.getpid(), supervisor.born(os.getpid()), process.pid, supervisor.born(process.pid), worker_id),
        )
    return process.wait()


def _claimed_any(store: Store, worker_id: int) -> bool:
    query = "SELECT 1 FROM runs WHERE worker_id = ? LIMIT 1"
    return store.connection.execute(query, (worker_id,)).fetchone() is not None


def _after(store: Store, worker_id: int, code: int, in_vain: int) -> int | None:
    how = supervisor.exit_in_words(code)
    supervisor.mark_worker_dead(store, worker_id, how)
    device, visible, threads, idle, log = store.connection.execute(
        "SELECT device, visible, threads, idle, log FROM workers WHERE id = ?", (worker_id,)
    ).fetchone()
    if code == 0:
        Path(log).unlink(missing_ok=True)  # what runs failed of is in their records
        return None
    # An exit before any work is for a reason that will not pass; a signal may have been one process's misfortune.
    if in_vain and (code > 0 or in_vain > RETRIES):
        supervisor.fail_queued(store, WorkerPlan(1, threads, device), how, log=Path(log))
        return None
    with store.transaction() as connection:
        waiting = connection.execute(
            "SELECT 1 FROM runs WHERE status = 'queued' AND device = ? AND threads = ? LIMIT 1",
            (device, threads),
        ).fetchone()
        return supervisor.register(store, device, visible, threads, idle) if waiting else None


def environment(inherited: Mapping[str, str], visible: str, threads: int) -> dict[str, str]:
    """The environment of a worker: its GPU, its threads, and no more chatter than there has to be."""
    return {
        **inherited,
        "CUDA_VISIBLE_DEVICES": visible,
        "OMP_NUM_THREADS": str(threads),
        "TF_CPP_MIN_LOG_LEVEL": inherited.get("TF_CPP_MIN_LOG_LEVEL", "2"),
        "KERAS_BACKEND": "tensorflow",
        "PYTHONUNBUFFERED": "1",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
