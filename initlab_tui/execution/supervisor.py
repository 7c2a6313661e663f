"""Plans and starts workers, and marks as dead those whose process is gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from initlab_tui.domain.errors import InvalidInputError, quoted
from initlab_tui.execution import processes
from initlab_tui.execution.heartbeats import HeartbeatWatch
from initlab_tui.execution.patience import is_temporary
from initlab_tui.store import failed_starts, queue, worker_deaths, workers
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.worker_log import log_tail
from initlab_tui.store.workers import RegisteredWorker

SILENT_SECONDS = 60.0  # without a heartbeat, after which a worker on another host counts as dead
SPAWN_SECONDS = 10.0  # at most, until the pid of a process monitor is registered


@dataclass(frozen=True)
class WorkerPlan:
    """The number of workers, their threads, and their device.

    The device is cpu, gpu (any), gpu:N, or auto: a GPU if TensorFlow sees one, otherwise the CPU.
    """

    workers: int
    threads: int
    device: str


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """Return the usable NVIDIA GPUs, named as in CUDA_VISIBLE_DEVICES, without loading TensorFlow."""
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
    """Choose the number of workers and threads for a number of runs, unless they are given.

    On the CPU, plan one worker per core, limited by the number of runs and by memory (`run_bytes` each), because two
    workers with one thread train faster than one with two; a single run gets all cores. Plan one worker per GPU.

    Raises:
        InvalidInputError: if the device does not exist.
    """
    found = gpus() if device != "cpu" else []
    device = device or ("auto" if found else "cpu")
    allowed = ["cpu", *(["gpu"] if found else []), *(f"gpu:{number}" for number in range(len(found)))]
    if device not in (*allowed, "auto"):
        raise InvalidInputError.of(
            "device", f"unknown device {quoted(device)}: allowed on this machine: {', '.join(allowed)}"
        )
    fitting = max(1, psutil.virtual_memory().available // max(run_bytes, 1))
    most = {"cpu": cores(), "gpu": len(found), "auto": len(found)}.get(device, 1)
    count = min(workers or min(most, fitting), max(1, runs))
    return WorkerPlan(count, threads or max(1, cores() // count), device)


def start_workers(store: Store, plan: WorkerPlan, idle: float = 0.0) -> list[int]:
    """Start the missing workers of the plan, which end after `idle` seconds without work; return their ids.

    Each has a process monitor in its own session, so that neither Ctrl+C nor a lost connection ends it.
    """
    reap(store)
    store.files.remove_left_over({worker.id for worker in workers.list_alive(store)})
    ids = workers.register_missing(
        store,
        plan.workers,
        plan.device,
        plan.threads,
        gpus=_candidates(plan.device),
        idle_seconds=idle,
    )
    for worker_id in ids:
        _spawn_monitor(store, worker_id)
    return ids


def _candidates(device: str) -> list[str]:
    """Return the GPUs that a worker for this device may use."""
    if device == "cpu":
        return []
    found = gpus()
    return [found[int(device.removeprefix("gpu:"))]] if device.startswith("gpu:") else found


def _spawn_monitor(store: Store, worker_id: int) -> None:
    monitor = subprocess.Popen(
        [sys.executable, "-m", "initlab_tui.execution.process_monitor", str(store.path), str(worker_id)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    workers.set_monitor(store, worker_id, monitor.pid, processes.born(monitor.pid))


def reap(store: Store, heartbeats: HeartbeatWatch | None = None) -> list[int]:
    """Mark the runs of workers whose process is gone as crashed, and return the ids of these runs.

    Normally the process monitor does this and knows the exit code; this covers the case that the monitor died too.
    Without `heartbeats`, which takes time to observe, only processes of this host can be found dead.
    """
    if store.read_only:
        return []
    crashed = []
    for unreadable in workers.list_unreadable(store):
        if unreadable.id is not None:  # nothing is known about its process, and runs must not wait for it
            how = f"its row in the store cannot be read: {unreadable.problem}"
            crashed += worker_deaths.mark_dead(store, unreadable.id, how)
    for worker in workers.list_alive(store):
        silent = heartbeats.silent_seconds(worker) if heartbeats else 0.0
        how = _death(worker, silent)
        if not how:
            continue
        try:
            crashed += worker_deaths.mark_dead(store, worker.id, how)
        except StoreError as error:
            if not is_temporary(error):
                raise
            break  # the store is locked, or its disk is full: what is in it can be shown all the same
    return crashed


def _death(worker: RegisteredWorker, silent: float) -> str:
    """Return how a worker was found to be dead; empty if it is not."""
    # On this host, look for its processes, because a suspended laptop sends no heartbeat. On another host the heartbeat
    # is all there is.
    if worker.host != socket.gethostname():
        return f"no heartbeat from host {worker.host[:64]} for {silent:.0f} s" if silent > SILENT_SECONDS else ""
    if processes.is_running(worker.pid, worker.born):
        return ""
    if processes.is_running(worker.monitor_pid, worker.monitor_born):
        # The monitor records the end of its worker at once, unless it hangs.
        is_late = worker.pid is not None and silent > SPAWN_SECONDS
        return "its process is gone, and its monitor does not react; its exit code is unknown" if is_late else ""
    # A newly registered worker has no monitor for a moment.
    is_gone = worker.monitor_pid is not None or silent > SPAWN_SECONDS
    return "its process is gone, and its monitor too; its exit code is unknown" if is_gone else ""


def hold_queued(store: Store, plan: WorkerPlan) -> None:
    """Leave the queued runs whose workers cannot start, and that no living worker could take, with the reason."""
    failure = failed_starts.last(store, plan.device, plan.threads)
    tail = log_tail(store, failure.worker_id) if failure else ""
    last_line = f": {tail.splitlines()[-1]}" if tail.strip() else ""
    reason = f"no worker could be started: {failure.exit if failure else 'unknown'}{last_line}"
    queue.hold_waiting(store, plan.device, plan.threads, reason, tail)


def needed_again(store: Store, ids: Sequence[int] | None = None) -> list[WorkerPlan]:
    """Return plans for the queued runs, of `ids` or of all, that no living worker could take."""
    return [
        WorkerPlan(
            min(waiting.runs, max(1, cores() // waiting.threads)) if waiting.device == "cpu" else 1,
            waiting.threads,
            waiting.device,
        )
        for waiting in queue.waiting_without_worker(store, ids)
    ]
