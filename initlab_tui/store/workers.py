"""Registers workers, records their heartbeats, and marks dead ones together with the runs that they were training."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initlab_tui.domain.errors import InvalidInputError, shown
from initlab_tui.store import rows, sql
from initlab_tui.store.database import Store

if TYPE_CHECKING:
    from initlab_tui.domain.spec import RunSpec

HEARTBEAT_SECONDS = 2.0  # between the heartbeats of a worker


@dataclass(frozen=True)
class Preparation:
    """A request to compile the network of a spec while the worker is idle.

    `spec` is the JSON of a RunSpec; `data_file` is the file of its dataset, None for a bundled one.
    """

    spec: str
    data_file: str | None


@dataclass(frozen=True)
class RegisteredWorker:
    """A worker in the store; `pid` is None until its process runs, `monitor_pid` until its monitor runs.

    `visible_devices` is its CUDA_VISIBLE_DEVICES, a GPU or -1. `born` and `monitor_born` are the start times of the
    processes, because a pid may be reused for another process. `heartbeat` is the time of its last heartbeat.
    """

    id: int
    host: str
    device: str
    threads: int
    visible_devices: str
    idle_seconds: float
    monitor_pid: int | None
    monitor_born: float | None
    pid: int | None
    born: float | None
    heartbeat: float
    preparation: Preparation | None


@dataclass(frozen=True)
class UnreadableWorker:
    """A row of the store that is not a valid worker, and why; the id is None if it is invalid itself."""

    id: int | None
    problem: str


_RULES = {
    "id": rows.ID,
    "host": rows.LINE,
    "device": rows.DEVICE,
    "threads": rows.THREADS,
    "visible_devices": rows.LINE,
    "idle_seconds": rows.number(0, rows.MAX_SECONDS),
    "monitor_pid": rows.optional(rows.PID),
    "monitor_born": rows.optional(rows.TIME),
    "pid": rows.optional(rows.PID),
    "born": rows.optional(rows.TIME),
    "heartbeat": rows.TIME,
    "preparation": rows.ANY,  # an invalid request is ignored
}
_COLUMNS = ", ".join(_RULES)
# Whether a worker that could train the run is alive.
HAS_WORKER = """EXISTS (
    SELECT 1 FROM workers
    WHERE workers.ended IS NULL AND workers.device = runs.device AND workers.threads = runs.threads)"""
# Whether the user queued the run; another one is not trained.
_SIGNED = ("origin", "spec", "data_file", "import_folder", "device", "threads")
IS_OWN = f"is_own({', '.join(f'CAST(runs.{column} AS BLOB)' for column in _SIGNED)})"
_HAS_WORK = f"""EXISTS (
    SELECT 1 FROM runs
    WHERE status = 'queued' AND runs.device = workers.device AND runs.threads = workers.threads AND {IS_OWN})"""  # noqa: S608


def read_worker(store: Store, worker_id: int) -> RegisteredWorker:
    """Return a registered worker, ended or not.

    Raises:
        KeyError: if there is none with this id.
        InvalidInputError: if its row cannot be read.
    """
    query = f"SELECT {_COLUMNS} FROM workers WHERE id = ?"  # noqa: S608 - no outside text
    row = sql.connection(store).execute(query, (worker_id,)).fetchone()
    if row is None:
        raise KeyError(worker_id)
    worker = _worker(row)
    if isinstance(worker, UnreadableWorker):
        raise InvalidInputError.of("store", f"worker {worker_id} in {store.path} cannot be read: {worker.problem}")
    return worker


def list_alive(store: Store) -> list[RegisteredWorker]:
    """Return the registered workers that have not ended, without those whose rows cannot be read."""
    return [worker for worker in _alive(store) if isinstance(worker, RegisteredWorker)]


def list_unreadable(store: Store) -> list[UnreadableWorker]:
    """Return the rows that have no time of an end and cannot be read."""
    return [worker for worker in _alive(store) if isinstance(worker, UnreadableWorker)]


def _alive(store: Store) -> list[RegisteredWorker | UnreadableWorker]:
    query = f"SELECT {_COLUMNS} FROM workers WHERE ended IS NULL ORDER BY id"  # noqa: S608 - no outside text
    return [_worker(row) for row in sql.connection(store).execute(query)]


def count_alive(store: Store) -> int:
    """Return the number of registered workers that have not ended."""
    return int(sql.connection(store).execute("SELECT count(*) FROM workers WHERE ended IS NULL").fetchone()[0])


def register(store: Store, device: str, threads: int, *, visible_devices: str = "-1", idle_seconds: float = 0.0) -> int:
    """Register a worker that will be started on this host, and return its id."""
    with sql.transaction(store) as connection:
        return _register(connection, device, threads, visible_devices, idle_seconds)


def register_missing(
    store: Store, wanted: int, device: str, threads: int, *, gpus: Sequence[str], idle_seconds: float
) -> list[int]:
    """Register workers until `wanted` are alive with this device and number of threads; return the new ids.

    Each sees that one of `gpus` which the fewest workers of this host see, or none if `gpus` is empty.
    """
    with sql.transaction(store) as connection:
        (alive,) = connection.execute(
            "SELECT count(*) FROM workers WHERE ended IS NULL AND device = ? AND threads = ?", (device, threads)
        ).fetchone()
        return [
            _register(connection, device, threads, _least_used(connection, gpus), idle_seconds)
            for _ in range(wanted - alive)
        ]


def register_successor(store: Store, worker: RegisteredWorker) -> int | None:
    """Register a worker like an ended one and return its id; None if no run is queued for it."""
    with sql.transaction(store) as connection:
        query = f"SELECT 1 FROM workers WHERE id = ? AND {_HAS_WORK}"  # noqa: S608 - no outside text
        if not connection.execute(query, (worker.id,)).fetchone():
            return None
        settings = (worker.device, worker.threads, worker.visible_devices, worker.idle_seconds)
        return _register(connection, *settings)


def set_monitor(store: Store, worker_id: int, pid: int, born: float | None) -> None:
    """Record the process that monitors a worker."""
    _update(store, worker_id, "monitor_pid = ?, monitor_born = ?", pid, born)


def set_process(store: Store, worker_id: int, pid: int, born: float | None) -> None:
    """Record the process of a worker."""
    _update(store, worker_id, "pid = ?, born = ?", pid, born)


def heartbeat(store: Store, worker_id: int) -> None:
    """Record that a worker is alive; on a full disk do nothing, because the next heartbeat may succeed."""
    try:
        _update(store, worker_id, "heartbeat = ?, silent_seconds = NULL", time.time())
    except sqlite3.OperationalError:
        return


def record_silence(store: Store, worker_id: int, seconds: float) -> bool:
    """Record for how long a worker has been silent, and return whether that is longer than was recorded.

    On a full disk do nothing.
    """
    query = "UPDATE workers SET silent_seconds = ? WHERE id = ? AND coalesce(silent_seconds, 0) < ?"
    try:
        return sql.connection(store).execute(query, (round(seconds), worker_id, round(seconds))).rowcount > 0
    except sqlite3.OperationalError:
        return False


def asked_to_stop(store: Store) -> dict[int, RegisteredWorker]:
    """Return the workers of the running runs that were asked to stop, by the id of the run."""
    columns = ", ".join(f"workers.{column}" for column in _RULES)
    found = sql.connection(store).execute(
        f"SELECT runs.id, {columns} FROM runs JOIN workers ON workers.id = runs.worker_id "  # noqa: S608
        "WHERE runs.status = 'running' AND runs.request = 'stop' AND workers.ended IS NULL"
    )
    asked = ((run_id, _worker(row)) for run_id, *row in found if rows.valid_id(run_id))
    return {run_id: worker for run_id, worker in asked if isinstance(worker, RegisteredWorker)}


def dismiss(store: Store, worker_ids: Sequence[int]) -> None:
    """Let workers end as soon as they have no work: idle workers now, others when the queue is empty."""
    query = f"UPDATE workers SET idle_seconds = 0 WHERE id {sql.IN_LIST}"  # noqa: S608 - no outside text
    sql.connection(store).execute(query, (sql.json_list(worker_ids),))


def request_preparation(store: Store, worker_ids: Sequence[int], spec: RunSpec, data_file: Path | None) -> None:
    """Request that workers compile the network of `spec` when they are idle; this replaces an earlier request."""
    request = json.dumps({"spec": spec.to_json(), "data_file": str(data_file) if data_file else None})
    query = f"UPDATE workers SET preparation = ? WHERE id {sql.IN_LIST}"  # noqa: S608 - no outside text
    sql.connection(store).execute(query, (request, sql.json_list(worker_ids)))


def retire_if_idle(store: Store, worker_id: int) -> bool:
    """End a worker's registration unless there is work for it; atomic, so that no queued run is overlooked.

    Returns whether it has ended, by this call or because it was marked dead before.
    """
    with sql.transaction(store) as connection:
        connection.execute(
            f"UPDATE workers SET ended = ?, exit = 'idle' WHERE id = ? AND ended IS NULL AND NOT {_HAS_WORK}",  # noqa: S608
            (time.time(), worker_id),
        )
        row = connection.execute("SELECT ended FROM workers WHERE id = ?", (worker_id,)).fetchone()
    return row is None or row[0] is not None


def has_claimed_any(store: Store, worker_id: int) -> bool:
    """Return whether a worker has ever claimed a run."""
    query = "SELECT 1 FROM workers WHERE id = ? AND claims > 0"
    return sql.connection(store).execute(query, (worker_id,)).fetchone() is not None


def _worker(row: Sequence[Any]) -> RegisteredWorker | UnreadableWorker:
    problem = rows.problem(_RULES, row)
    if problem:
        return UnreadableWorker(rows.valid_id(row[0]), shown(problem))
    values = [*row[:-1], _preparation(row[-1])]
    return RegisteredWorker(*values)


def _preparation(text: object) -> Preparation | None:
    try:
        request = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    match request:
        case {"spec": str(spec), "data_file": str() | None as file}:
            return Preparation(spec, file)
    return None


def _register(
    connection: sqlite3.Connection,
    device: str,
    threads: int,
    visible_devices: str,
    idle_seconds: float,
) -> int:
    now = time.time()
    values = {
        "host": socket.gethostname(),
        "device": device,
        "visible_devices": visible_devices,
        "threads": threads,
        "idle_seconds": idle_seconds,
        "started": now,
        "heartbeat": now,
    }
    return sql.insert(connection, "workers", values)


def _least_used(connection: sqlite3.Connection, gpus: Sequence[str]) -> str:
    if not gpus:
        return "-1"
    found = connection.execute(
        "SELECT visible_devices, count(*) FROM workers WHERE ended IS NULL AND host = ? GROUP BY visible_devices",
        (socket.gethostname(),),
    )
    busy = dict(found.fetchall())
    return min(gpus, key=lambda gpu: busy.get(gpu, 0))


def _update(store: Store, worker_id: int, settings: str, *values: object) -> None:
    query = f"UPDATE workers SET {settings} WHERE id = ?"  # noqa: S608 - no outside text
    sql.connection(store).execute(query, (*values, worker_id))
