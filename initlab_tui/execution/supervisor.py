"""Starts workers, finds the living and marks what the dead left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import paths
from initlab_tui.store.database import Store, insert, note
from initlab_tui.store.queue import log_tail

HEARTBEAT_SECONDS = 2.0
SILENT_SECONDS = 60.0  # after which a worker on another host counts as dead
SPAWN_SECONDS = 10.0  # that a watcher may take until its pid is known


@dataclass(frozen=True)
class WorkerPlan:
    """How many workers, each with how many threads, on which device.

    That is cpu, gpu (any), gpu:N, or auto: a GPU that seems to be there, but the CPU where TensorFlow sees none.
    """

    workers: int
    threads: int
    device: str


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The NVIDIA GPUs that may be used, as CUDA_VISIBLE_DEVICES names them; no TensorFlow needed."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],  # noqa: S607 - wherever it is installed
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return listed.stdout.split() if listed.returncode == 0 else []


def plan(runs: int, device: str | None, workers: int | None, threads: int | None, run_bytes: int) -> WorkerPlan:
    """Choose workers and threads for so many runs, where the person did not.

    On CPUs a worker per core while there are runs and memory (`run_bytes` each) for them, since two workers
    of one thread train more than one of two; a lone run gets all cores. On GPUs one worker for each.

    Raises:
        InvalidInputError: for a device that is not there.
    """
    found = gpus() if device != "cpu" else []
    device = device or ("auto" if found else "cpu")
    allowed = ["cpu", *(["gpu"] if found else []), *(f"gpu:{number}" for number in range(len(found)))]
    if device not in (*allowed, "auto"):
        raise InvalidInputError.of(
            "device", f"device {device!r} is not here: allowed on this machine: {', '.join(allowed)}"
        )
    fitting = max(1, psutil.virtual_memory().available // max(run_bytes, 1))
    most = {"cpu": cores(), "gpu": len(found), "auto": len(found)}.get(device, 1)
    count = min(workers or min(most, fitting), max(1, runs))
    return WorkerPlan(count, threads or max(1, cores() // count), device)


def start_workers(store: Store, plan: WorkerPlan, idle: float = 0.0) -> list[int]:
    """Start as many workers as the plan has and do not live yet; `idle` seconds without work end them.

    Each gets a watcher in a session of its own, so neither Ctrl+C nor a lost connection reaches it.
    Returns the new workers' ids.
    """
    reap(store)
    with store.transaction() as connection:
        (living,) = connection.execute(
            "SELECT count(*) FROM workers WHERE ended IS NULL AND device = ? AND threads = ?",
            (plan.device, plan.threads),
        ).fetchone()
        ids = [
            register(store, plan.device, _free_gpu(store, plan.device), plan.threads, idle)
            for _ in range(plan.workers - living)
        ]
    for worker_id in ids:
        _spawn_watcher(store, worker_id)
    return ids


def _free_gpu(store: Store, device: str) -> str:
    """What a new worker is to see as CUDA_VISIBLE_DEVICES: the GPU with the fewest workers, or none."""
    if device == "cpu":
        return "-1"
    found = gpus()
    if device.startswith("gpu:"):
        return found[int(device.removeprefix("gpu:"))]
    rows = store.connection.execute(
        "SELECT visible, count(*) FROM workers WHERE ended IS NULL AND host = ? GROUP BY visible",
        (socket.gethostname(),),
    )
    busy = dict(rows.fetchall())
    return min(found, key=lambda gpu: busy.get(gpu, 0))


def register(store: Store, device: str, visible: str, threads: int, idle: float) -> int:
    """Enter a worker that is about to be started, in the caller's transaction."""
    now = time.time()
    files = paths.private_folder(paths.files_beside(store.path))
    values = {
        "host": socket.gethostname(),
        "device": device,
        "visible": visible,
        "threads": threads,
        "idle": idle,
        "started": now,
        "heartbeat": now,
        "log": "",
    }
    worker_id = insert(store.connection, "workers", values)
    log = str(files / f"worker-{worker_id}.log")
    store.connection.execute("UPDATE workers SET log = ? WHERE id = ?", (log, worker_id))
    return worker_id


def _spawn_watcher(store: Store, worker_id: int) -> None:
    watcher = subprocess.Popen(
        [sys.executable, "-m", "initlab_tui.execution.process_monitor", str(store.path), str(worker_id)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    store.connection.execute(
        "UPDATE workers SET watcher_pid = ?, watcher_born = ? WHERE id = ?",
        (watcher.pid, born(watcher.pid), worker_id),
    )


def born(pid: int) -> float | None:
    """When the process of this pid was started, in seconds since boot; None where there is none.

    Since boot, because the wall clock may be set while it lives.
    """
    try:
        booted = psutil.boot_time()  # also renews what psutil adds to a process's age
        return psutil.Process(pid).create_time() - booted
    except psutil.NoSuchProcess:
        return None


def _lives(pid: int | None, birth: float | None) -> bool:
    if pid is None or birth is None:
        return False
    try:
        zombie = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    now_born = born(pid)
    return not zombie and now_born is not None and abs(now_born - birth) < 1


def reap(store: Store) -> list[int]:
    """Mark as crashed what workers without a living process left running; returns those runs' ids.

    The watcher does this with the exit code at hand; here are the cases in which it died too. On this host a
    process is looked for, so a suspended laptop kills nothing; of another host only the heartbeat is known.
    """
    rows = store.connection.execute(
        "SELECT id, host, watcher_pid, watcher_born, pid, born, heartbeat FROM workers WHERE ended IS NULL"
    ).fetchall()
    crashed = []
    for worker_id, host, watcher_pid, watcher_born, pid, birth, heartbeat in rows:
        silent = time.time() - heartbeat
        if host != socket.gethostname():
            dead = silent > SILENT_SECONDS
        else:
            # A registration whose watcher is not started yet has no pid for a moment.
            dead = not (_lives(watcher_pid, watcher_born) or _lives(pid, birth)) and (
                watcher_pid is not None or silent > SPAWN_SECONDS
            )
        if dead:
            how = f"its process is gone, last heard of {silent:.0f} s ago; nobody was left to see its exit code"
            crashed += mark_worker_dead(store, worker_id, how)
    return crashed


def mark_worker_dead(store: Store, worker_id: int, how: str) -> list[int]:
    """Record that a worker's process ended, and mark what it was training as crashed; returns those ids."""
    now = time.time()
    with store.transaction() as connection:
        row = connection.execute(
            "UPDATE workers SET ended = ?, exit = ? WHERE id = ? AND ended IS NULL RETURNING log, heartbeat",
            (now, how, worker_id),
        ).fetchone()
        if row is None:
            return []
        tail = log_tail(Path(row[0]))
        # It may be found long after: what it trained is counted up to its last sign of life.
        last = min(now, row[1] + HEARTBEAT_SECONDS)
        reason = f"worker {worker_id} died: {how}"
        ids = [
            run_id
            for (run_id,) in connection.execute(
                "UPDATE runs SET status = 'crashed', reason = ?, log_tail = ?, ended = ?, request = NULL, "
                "busy_seconds = busy_seconds + max(0, ? - timed_from) WHERE worker_id = ? AND status = 'running' "
                "RETURNING id",
                (reason, tail, last, last, worker_id),
            ).fetchall()
        ]
        for run_id in ids:
            note(connection, run_id, "crashed", reason)
    return ids


def fail_queued(
    store: Store, plan: WorkerPlan, how: str, *, log: Path | None = None, ids: Sequence[int] | None = None
) -> None:
    """Fail what waits for workers that cannot even start, unless one lives that could do it; of `ids`, or all."""
    among, numbers = _among(ids)
    tail = log_tail(log) if log else ""
    last_words = f": {tail.splitlines()[-1]}" if tail.strip() else ""
    reason = f"no worker could be started: {how}{last_words}"
    with store.transaction() as connection:
        rows = connection.execute(
            f"""
            UPDATE runs SET status = 'failed', reason = ?, log_tail = ?, ended = ?
            WHERE status = 'queued' AND device = ? AND threads = ? {among}
                AND NOT EXISTS (SELECT 1 FROM workers WHERE ended IS NULL
                    AND workers.device = runs.device AND workers.threads = runs.threads)
            RETURNING id
            """,  # noqa: S608 - no outside text
            (reason, tail, time.time(), plan.device, plan.threads, *numbers),
        ).fetchall()
        for (run_id,) in rows:
            note(connection, run_id, "failed", reason)


def workers_alive(store: Store) -> int:
    """How many workers are registered and not ended."""
    return int(store.connection.execute("SELECT count(*) FROM workers WHERE ended IS NULL").fetchone()[0])


def _among(ids: Sequence[int] | None) -> tuple[str, tuple[str, ...]]:
    """What limits a query to these runs, and its values; nothing where all are meant."""
    return ("", ()) if ids is None else ("AND runs.id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))


def dismiss(store: Store, worker_ids: Sequence[int]) -> None:
    """Let workers end as soon as they have no work: those that stand idle now, those that train with the queue."""
    store.connection.execute(
        "UPDATE workers SET idle = 0 WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(worker_ids)),)
    )


def needed_again(store: Store, ids: Sequence[int] | None = None) -> list[WorkerPlan]:
    """Plans for those runs, of `ids` or of all, that wait with no worker alive that could take them."""
    among, numbers = _among(ids)
    rows = store.connection.execute(
        f"""
        SELECT device, threads, count(*) FROM runs WHERE status = 'queued' {among}
            AND NOT EXISTS (SELECT 1 FROM workers WHERE ended IS NULL
                AND workers.device = runs.device AND workers.threads = runs.threads)
        GROUP BY device, threads
        """,  # noqa: S608 - no outside text
        numbers,
    ).fetchall()
    return [
        WorkerPlan(min(waiting, max(1, cores() // threads)) if device == "cpu" else 1, threads, device)
        for device, threads, waiting in rows
    ]


def exit_in_words(code: int) -> str:
    """A process's exit status as people know it."""
    if code >= 0:
        return f"exit code {code}"
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return f"killed by {signal.Signals(-code).name} (signal {-code}{hint})"
