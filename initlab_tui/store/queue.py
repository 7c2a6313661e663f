"""What becomes of queued runs: claimed and recorded by workers, stopped, paused and resumed by people."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from initlab_tui.domain.events import Evaluated, LayersMeasured, Started, Stepped, finite_or_none
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import layer_statistics
from initlab_tui.store.database import Run, Store, note

LOG_TAIL_LINES = 20
# What TensorFlow says at every start, with or without trouble.
CHATTER = re.compile(r"[IW]\d{4} |WARNING: All log messages|To enable the following instructions|E\d{4} .*cuInit")
LOG_TAIL_BYTES = 8_192


Recorded = Stepped | Evaluated | LayersMeasured


class LostRunError(Exception):
    """The run is no longer this worker's: it was taken for dead, or the run was removed."""


_WAITING = """
    SELECT runs.id FROM runs JOIN workers ON workers.id = :worker
    WHERE status = 'queued' AND runs.device = workers.device AND runs.threads = workers.threads
        AND workers.ended IS NULL
    ORDER BY runs.id LIMIT 1
"""


def claim(store: Store, worker_id: int) -> Run | None:
    """Take the oldest queued run that this worker can do, atomically: no two workers get the same one."""
    # Looked for without the lock first: a worker that stands idle asks often, and others have to write.
    if not store.connection.execute(_WAITING, {"worker": worker_id}).fetchone():
        return None
    now = time.time()
    with store.transaction() as connection:
        row = connection.execute(
            f"""
            UPDATE runs SET status = 'running', worker_id = :worker, timed_from = :now, request = NULL,
                started = coalesce(started, :now)
            WHERE id = ({_WAITING}) RETURNING id
            """,  # noqa: S608 - no outside text
            {"worker": worker_id, "now": now},
        ).fetchone()
        if row:
            note(connection, row[0], "claimed", f"worker {worker_id}")
    return store.run(row[0]) if row else None


def retire_if_idle(store: Store, worker_id: int) -> bool:
    """End the worker's registration unless there is work for it; atomic, so that no run is left behind.

    Returns whether it is ended now, by this or because it was taken for dead before.
    """
    with store.transaction() as connection:
        connection.execute(
            """
            UPDATE workers SET ended = ?, exit = 'idle' WHERE id = ? AND ended IS NULL AND NOT EXISTS (
                SELECT 1 FROM runs WHERE status = 'queued'
                    AND runs.device = workers.device AND runs.threads = workers.threads)
            """,
            (time.time(), worker_id),
        )
        row = connection.execute("SELECT ended FROM workers WHERE id = ?", (worker_id,)).fetchone()
    return row is None or row[0] is not None


def record_started(store: Store, run: Run, event: Started, record: Mapping[str, Any]) -> str | None:
    """Record that a run began, and return what is asked of it."""
    if run.fingerprint not in (None, event.fingerprint):
        raise ValueError(f"the data of {run.spec.dataset} changed since the run was paused at step {event.step}")
    with store.transaction() as connection:
        # What a pause or a crash left behind of later steps is trained again.
        connection.execute("DELETE FROM metrics WHERE run_id = ? AND step > ?", (run.id, event.step))
        layer_statistics.forget(connection, run.id, event.step)
        note(connection, run.id, "started", event.note)
        return _update(
            store,
            run,
            total_steps=event.total_steps,
            steps_per_epoch=event.steps_per_epoch,
            step=event.step,
            fingerprint=event.fingerprint,
            record=json.dumps(record),
            timed_from=time.time(),
        )


def record(store: Store, run: Run, events: Sequence[Recorded]) -> str | None:
    """Record what a run did, at least one event, and return what is asked of it: stop, pause or None.

    Raises:
        LostRunError: with nothing recorded, when it is no longer this worker's.
    """
    steps = [event for event in events if isinstance(event, Stepped)]
    evaluations = [event for event in events if isinstance(event, Evaluated)]
    values: dict[str, object] = {}
    if steps:
        values["step"] = steps[-1].last
    if evaluations:
        values["test_loss"] = finite_or_none(evaluations[-1].loss)
        values["test_accuracy"] = evaluations[-1].accuracy
    with store.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO metrics (run_id, split, step, loss, accuracy) VALUES (?, ?, ?, ?, ?)",
            [
                (run.id, split, step, finite_or_none(loss), accuracy)
                for event in events
                for split, step, loss, accuracy in _rows(event)
            ],
        )
        connection.execute(
            "UPDATE runs SET train_seconds = train_seconds + ?, samples = samples + ? WHERE id = ?",
            (sum(event.seconds for event in steps), sum(event.samples for event in steps), run.id),
        )
        for event in events:
            if isinstance(event, LayersMeasured):
                layer_statistics.write(connection, run.id, event)
        return _update(store, run, **values)


def _rows(event: Recorded) -> Iterator[tuple[str, int, float, float]]:
    match event:
        case Evaluated():
            yield "test", event.step, event.loss, event.accuracy
        case Stepped():
            for step, (loss, accuracy) in enumerate(zip(event.losses, event.accuracies, strict=True), event.step):
                yield "train", step, loss, accuracy


def release(
    store: Store,
    run: Run,
    status: RunStatus,
    reason: str = "",
    *,
    log: Path | None = None,
    checkpoint: Path | None = None,
) -> None:
    """Give up a claimed run: ended with `status`, or paused with its checkpoint.

    Raises:
        LostRunError: when it is no longer this worker's.
    """
    now = time.time()
    with store.transaction() as connection:
        _update(
            store,
            run,
            status=status,
            reason=reason,
            request=None,
            ended=None if status is RunStatus.PAUSED else now,
            checkpoint=str(checkpoint) if checkpoint else None,
            log_tail=log_tail(log) if log else "",
        )
        connection.execute("UPDATE runs SET busy_seconds = busy_seconds + ? - timed_from WHERE id = ?", (now, run.id))
        note(connection, run.id, status, reason)


def _update(store: Store, run: Run, **values: object) -> str | None:
    # Where nothing changes it is still asked whether the run is this worker's, and what is asked of it.
    settings = ", ".join(f"{name} = ?" for name in values) or "step = step"
    query = (
        f"UPDATE runs SET {settings} "  # noqa: S608 - no outside text
        "WHERE id = ? AND worker_id IS ? AND status = 'running' RETURNING request"
    )
    row = store.connection.execute(query, (*values.values(), run.id, run.worker_id)).fetchone()
    if row is None:
        raise LostRunError(f"run {run.id} is no longer worker {run.worker_id}'s")
    return None if row[0] is None else str(row[0])


def log_tail(log: Path) -> str:
    """The end of a worker's log, for the record of a run that failed."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join([line for line in lines if not CHATTER.match(line)][-LOG_TAIL_LINES:])


def stop(store: Store, ids: Sequence[int]) -> list[int]:
    """Ask runs to end: those that wait end at once, those that train at their next chunk.

    Returns the ids of those that were not over yet.
    """
    before = store.runs(list(ids))
    asked = _ask(store, ids, "stop", (RunStatus.QUEUED, RunStatus.PAUSED), RunStatus.STOPPED)
    for run in before:
        if run.status is RunStatus.PAUSED and run.checkpoint:
            Path(run.checkpoint).unlink(missing_ok=True)
    return asked


def pause(store: Store, ids: Sequence[int]) -> list[int]:
    """Ask runs to pause: those that train keep a checkpoint at their next chunk and free their worker.

    Returns the ids of those that were queued or running.
    """
    return _ask(store, ids, "pause", (RunStatus.QUEUED,), RunStatus.PAUSED)


def resume(store: Store, ids: Sequence[int]) -> list[int]:
    """Queue paused runs again, to go on where they were; returns their ids."""
    return _ask(store, ids, None, (RunStatus.PAUSED,), RunStatus.QUEUED)


def _ask(
    store: Store, ids: Sequence[int], request: str | None, waiting: Sequence[RunStatus], becomes: RunStatus
) -> list[int]:
    store.refuse_unknown(ids, {run.id for run in store.runs(list(ids))})
    asked = []
    with store.transaction() as connection:
        for run_id in dict.fromkeys(ids):
            marks = ",".join("?" * len(waiting))
            ended = time.time() if becomes.is_ended else None
            row = connection.execute(
                f"UPDATE runs SET status = ?, ended = ? WHERE id = ? AND status IN ({marks}) RETURNING id",  # noqa: S608
                (becomes, ended, run_id, *waiting),
            ).fetchone()
            if not row and request:
                row = connection.execute(
                    # Who asked to stop meant it, whatever is asked after.
                    "UPDATE runs SET request = CASE request WHEN 'stop' THEN 'stop' ELSE ? END "
                    "WHERE id = ? AND status = 'running' RETURNING id",
                    (request, run_id),
                ).fetchone()
            if row:
                asked.append(run_id)
                note(connection, run_id, f"{request or 'resume'} requested")
    return asked
