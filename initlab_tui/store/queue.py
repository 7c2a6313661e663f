"""The queue of runs: workers claim them; users stop, pause, resume and retry them."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.checkpoint_interval import DEFAULT_SECONDS
from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import failed_starts, origin, rows, sql
from initlab_tui.store.comparisons import insert_comparison
from initlab_tui.store.database import Store
from initlab_tui.store.events import note
from initlab_tui.store.runs import Run, find_run, list_runs, read_runs, refuse_unknown
from initlab_tui.store.workers import HAS_WORKER, IS_OWN

RESUMABLE = tuple(status for status in RunStatus if status.is_resumable)


@dataclass(frozen=True)
class Requirements:
    """The device and threads that a worker needs to claim a run, and the files that it reads.

    `device` is cpu, gpu (any) or gpu:N; `data_file` is an npz file, None for bundled data; custom initializers are
    imported from `import_folder`. `checkpoint_every` is the longest time in seconds between two checkpoints; None for
    checkpoints only when the run is paused or stopped.
    """

    device: str
    threads: int
    data_file: Path | None
    import_folder: Path
    checkpoint_every: float | None = DEFAULT_SECONDS


@dataclass(frozen=True)
class Waiting:
    """The number of queued runs that need a worker with this device and number of threads."""

    device: str
    threads: int
    runs: int


_CLAIMABLE = f"""
    SELECT runs.id FROM runs JOIN workers ON workers.id = :worker
    WHERE status = 'queued' AND runs.device = workers.device AND runs.threads = workers.threads
        AND workers.ended IS NULL AND {IS_OWN}
    ORDER BY runs.id LIMIT 1
"""  # noqa: S608 - no outside text


def enqueue(
    store: Store,
    comparison: Comparison | None,
    specs: Sequence[RunSpec],
    requirements: Requirements,
    recipe: RecipeOrigin | None = None,
) -> list[int]:
    """Queue runs, with or without a comparison, and return their ids in the order of `specs`.

    `recipe` is the origin of the comparison and is stored with it.

    Raises:
        InvalidInputError: if the store, or the folder of its files, cannot be written, or the store has no ids left;
            nothing is queued.
    """
    store.require_writable()
    store.files.check()
    now = time.time()
    with sql.transaction(store) as connection:
        _require_ids(connection, store, len(specs))
        shared = {
            "comparison_id": insert_comparison(connection, comparison, recipe) if comparison else None,
            "data_file": str(requirements.data_file) if requirements.data_file else None,
            "import_folder": str(requirements.import_folder),
            "device": requirements.device,
            "threads": requirements.threads,
            "checkpoint_every": requirements.checkpoint_every,
            "status": RunStatus.QUEUED,
            "created": now,
        }
        ids = []
        for spec in specs:
            values = {"spec": spec.to_json(), "spec_hash": spec.spec_hash, "seed": spec.seed}
            ids.append(sql.insert(connection, "runs", shared | values))
            _sign(connection, ids[-1])
            note(connection, ids[-1], RunStatus.QUEUED)
    return ids


def _require_ids(connection: sqlite3.Connection, store: Store, count: int) -> None:
    """Check that there are ids for more runs; SQLite gives none after the largest integer, and says that it is full."""
    given = connection.execute("SELECT max(id) FROM runs UNION SELECT seq FROM sqlite_sequence WHERE name = 'runs'")
    last = max((each for (each,) in given if isinstance(each, int)), default=0)
    if last > rows.MAX_ID - count:
        message = f"{store.path}: a run has the id {last}, and no larger ones are possible: name another store"
        raise InvalidInputError.of("store", message)


def _sign(connection: sqlite3.Connection, run_id: int) -> None:
    """Mark a run as queued by this user."""
    columns = "spec, data_file, import_folder, device, threads"
    row = connection.execute(f"SELECT {columns} FROM runs WHERE id = ?", (run_id,)).fetchone()  # noqa: S608
    connection.execute("UPDATE runs SET origin = ? WHERE id = ?", (origin.sign(*row), run_id))


def list_held(store: Store) -> list[int]:
    """Return the ids of the queued runs that are not trained, because this user did not queue them."""
    query = f"SELECT id FROM runs WHERE status = 'queued' AND deleted IS NULL AND NOT {IS_OWN}"  # noqa: S608
    return sorted(rows.valid_ids([run_id for (run_id,) in sql.connection(store).execute(query)]))


def list_foreign(store: Store, ids: Sequence[int]) -> list[int]:
    """Return those of `ids` that this user has not queued."""
    query = f"SELECT id FROM runs WHERE id {sql.IN_LIST} AND NOT {IS_OWN} ORDER BY id"  # noqa: S608 - no outside text
    return [run_id for (run_id,) in sql.connection(store).execute(query, (sql.json_list(ids),))]


def claim(store: Store, worker_id: int) -> Run | None:
    """Claim the oldest queued run that this worker can train; atomic, so that no two workers get the same run."""
    # Check first without the write lock, because idle workers ask often and would block other writers.
    if not sql.connection(store).execute(_CLAIMABLE, {"worker": worker_id}).fetchone():
        return None
    with sql.transaction(store) as connection:
        row = connection.execute(
            f"""
            UPDATE runs SET status = 'running', worker_id = :worker, timed_from = :now, request = NULL, reason = '',
                log_tail = '', started = coalesce(started, :now)
            WHERE id = ({_CLAIMABLE}) RETURNING id, device, threads
            """,  # noqa: S608 - no outside text
            {"worker": worker_id, "now": time.time()},
        ).fetchone()
        if row:
            connection.execute("UPDATE workers SET claims = claims + 1 WHERE id = ?", (worker_id,))
            failed_starts.forget(connection, row[1], row[2])
            note(connection, row[0], "claimed", f"worker {worker_id}")
    return _claimed(store, row[0]) if row else None


def _claimed(store: Store, run_id: int) -> Run | None:
    """Return a run that was just claimed; one that cannot be read fails, because no worker could release it."""
    run = find_run(store, run_id)
    if run is None:
        problem = next((f": {each.problem}" for each in read_runs(store, [run_id]).unreadable), "")
        reason = f"the run cannot be read{problem}"
        with sql.transaction(store) as connection:
            query = "UPDATE runs SET status = 'failed', reason = ?, ended = ? WHERE id = ? AND status = 'running'"
            connection.execute(query, (reason, time.time(), run_id))
            note(connection, run_id, RunStatus.FAILED, reason)
    return run


def waiting_without_worker(store: Store, ids: Sequence[int] | None = None) -> list[Waiting]:
    """Return the queued runs, of `ids` or of all, that no living worker could claim.

    Runs that `hold_waiting` left with a reason are omitted, because starting a worker for them has failed repeatedly.
    """
    condition, values = _among(ids)
    rows = sql.connection(store).execute(
        "SELECT device, threads, count(*) FROM runs "  # noqa: S608 - no outside text
        f"WHERE status = 'queued' AND reason = '' {condition} AND {IS_OWN} AND NOT {HAS_WORKER} "
        "GROUP BY device, threads",
        values,
    )
    return [Waiting(*row) for row in rows.fetchall()]


def hold_waiting(store: Store, device: str, threads: int, reason: str, log_tail: str = "") -> None:
    """Leave the queued runs for this device and number of threads, with the reason, unless a worker is alive.

    They are trained as soon as a worker claims them, but none is started for them until they are resumed.
    """
    with sql.transaction(store) as connection:
        rows = connection.execute(
            "UPDATE runs SET reason = ?, log_tail = ? "  # noqa: S608 - no outside text
            f"WHERE status = 'queued' AND device = ? AND threads = ? AND {IS_OWN} AND NOT {HAS_WORKER} RETURNING id",
            (reason, log_tail, device, threads),
        ).fetchall()
        failed_starts.forget(connection, device, threads)
        for (run_id,) in rows:
            note(connection, run_id, "waiting", reason)


def _among(ids: Sequence[int] | None) -> tuple[str, tuple[str, ...]]:
    return ("", ()) if ids is None else (f"AND runs.id {sql.IN_LIST}", (sql.json_list(ids),))


def stop(store: Store, ids: Sequence[int]) -> list[int]:
    """Request that runs stop: queued and paused runs stop at once, running ones after their current chunk.

    Returns the ids of the runs that had not ended.
    """
    return _request(store, ids, "stop", (RunStatus.QUEUED, RunStatus.PAUSED), RunStatus.STOPPED)


def pause(store: Store, ids: Sequence[int]) -> list[int]:
    """Request that runs pause: running ones save a checkpoint after their current chunk and release their worker.

    Returns the ids of the runs that were queued or running.
    """
    return _request(store, ids, "pause", (RunStatus.QUEUED,), RunStatus.PAUSED)


def resume(store: Store, ids: Sequence[int]) -> list[int]:
    """Queue runs again, to continue from their checkpoints, and queued ones that are held; return their ids.

    Paused, stopped, crashed and failed runs can continue; without a checkpoint they start again from step 0. Runs are
    held if this user has not queued them, or if no worker could be started for them.

    Raises:
        InvalidInputError: if the store, or the folder of its files, cannot be written, or the store has no ids left;
            nothing is queued.
    """
    store.require_writable()
    store.files.check()
    held = {*list_held(store), *(run.id for run in list_runs(store, ids) if run.is_without_worker)}.intersection(ids)
    resumed = _request(store, ids, None, RESUMABLE, RunStatus.QUEUED)
    chosen = [run_id for run_id in dict.fromkeys(ids) if run_id in held or run_id in resumed]
    with sql.transaction(store) as connection:
        for run_id in chosen:
            _sign(connection, run_id)
            # If it was claimed meanwhile, nothing is lost: a running run has no reason yet.
            connection.execute("UPDATE runs SET reason = '', log_tail = '' WHERE id = ?", (run_id,))
    return chosen


def _request(
    store: Store, ids: Sequence[int], request: str | None, waiting: Sequence[RunStatus], becomes: RunStatus
) -> list[int]:
    refuse_unknown(store, ids, {run.id for run in list_runs(store, ids)})
    asked = []
    with sql.transaction(store) as connection:
        for run_id in dict.fromkeys(ids):
            if _change(connection, run_id, waiting, becomes) or (request and _ask(connection, run_id, request)):
                asked.append(run_id)
                note(connection, run_id, f"{request or 'resume'} requested")
    return asked


def _change(connection: sqlite3.Connection, run_id: int, waiting: Sequence[RunStatus], becomes: RunStatus) -> bool:
    ended = time.time() if becomes.is_ended else None
    query = (
        "UPDATE runs SET status = ?, ended = ?, reason = '', log_tail = '' "
        "WHERE id = ? AND status IN (SELECT value FROM json_each(?)) RETURNING id"
    )
    return connection.execute(query, (becomes, ended, run_id, json.dumps(list(waiting)))).fetchone() is not None


def _ask(connection: sqlite3.Connection, run_id: int, request: str) -> bool:
    query = (
        # A request to stop is final, even if a pause is requested later.
        "UPDATE runs SET request = CASE request WHEN 'stop' THEN 'stop' ELSE ? END "
        "WHERE id = ? AND status = 'running' RETURNING id"
    )
    return connection.execute(query, (request, run_id)).fetchone() is not None


def retry(store: Store, ids: Sequence[int]) -> list[int]:
    """Queue failed, crashed and stopped runs again, with the same spec, requirements, comparison, name and tags.

    The old runs are not changed. A run is skipped if its status does not allow it, if its retry is still active, or if
    it has killed too many workers. Returns the ids of the new runs, in the order of `ids`.

    Raises:
        InvalidInputError: if a run does not exist, or the store or the folder of its files cannot be written; nothing
            is queued.
    """
    store.require_writable()
    store.files.check()
    by_id = {run.id: run for run in list_runs(store, ids)}
    refuse_unknown(store, ids, by_id)
    with sql.transaction(store) as connection:
        retried = [_retry(connection, by_id[run_id]) for run_id in dict.fromkeys(ids)]
    return [run_id for run_id in retried if run_id is not None]


_RETRY = """
    INSERT INTO runs (comparison_id, spec, spec_hash, seed, data_file, import_folder, device, threads,
        checkpoint_every, name, tags, deaths, status, created)
    SELECT comparison_id, spec, spec_hash, seed, data_file, import_folder, device, threads, checkpoint_every, name,
        tags, deaths, 'queued', :now
    FROM runs AS old
    WHERE id = :run AND NOT EXISTS (
        SELECT 1 FROM runs AS newer
        WHERE newer.id > old.id AND newer.status IN ('queued', 'running', 'paused')
            AND newer.comparison_id IS old.comparison_id AND newer.spec_hash = old.spec_hash
            AND newer.seed = old.seed)
    RETURNING id
"""


def _retry(connection: sqlite3.Connection, run: Run) -> int | None:
    if not run.can_be_retried:
        return None
    row = connection.execute(_RETRY, {"run": run.id, "now": time.time()}).fetchone()
    if row is None:
        return None
    _sign(connection, row[0])
    note(connection, run.id, "retried", f"as run {row[0]}")
    note(connection, row[0], RunStatus.QUEUED, f"retry of run {run.id}")
    return int(row[0])
