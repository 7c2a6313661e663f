"""Records the progress and the end of a run that a worker has claimed."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from initlab_tui.domain.events import Evaluated, LayersMeasured, Started, Stepped, finite_or_none
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import layer_statistics, sql
from initlab_tui.store.curve_writer import CurveWriter, append
from initlab_tui.store.curves import SPLITS
from initlab_tui.store.database import Store
from initlab_tui.store.events import note
from initlab_tui.store.files import checkpoint_name
from initlab_tui.store.runs import Run
from initlab_tui.store.worker_log import log_tail

Recorded = Stepped | Evaluated | LayersMeasured


class LostRunError(Exception):
    """The run no longer belongs to this worker: the worker was marked dead, or the run was removed."""


@dataclass(frozen=True)
class Totals:
    """What a run has added up until a step, and its last evaluation.

    A checkpoint holds them, so that what follows it is counted once even if the run trained further before it ended.
    `open_loss` and `open_accuracy` are the sums over the training steps whose point of the curve is not complete.
    """

    busy_seconds: float = 0.0
    train_seconds: float = 0.0
    samples: int = 0
    test_loss: float | None = None
    test_accuracy: float | None = None
    open_loss: float = 0.0
    open_accuracy: float = 0.0

    def columns(self) -> dict[str, float | None]:
        """Return those that are columns of the run."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("open_")}


def record_started(
    store: Store, run: Run, event: Started, record: Mapping[str, Any], totals: Totals | None = None
) -> str | None:
    """Record that training began or continues, and return the pending request: stop, pause or None.

    `totals` are those of the checkpoint that the run continues from; checkpoints of version 0.1.0 have none, and are
    only of paused runs, which recorded nothing after them.

    Raises:
        LostRunError: if the run no longer belongs to this worker; nothing is recorded.
        ValueError: if the data has changed since the checkpoint.
    """
    if event.step and run.fingerprint not in (None, event.fingerprint):
        raise ValueError(f"the data of {run.spec.dataset} changed since the checkpoint at step {event.step}")
    if event.step == 0:
        totals = Totals()
    with sql.transaction(store) as connection:
        # Steps after the checkpoint, recorded before the run ended, are trained again with the same values.
        for split in SPLITS:
            open_sums = (totals.open_loss, totals.open_accuracy) if totals else None
            CurveWriter(connection, run.id, split).truncate(event.step, open_sums)
        layer_statistics.forget(connection, run.id, event.step)
        position = f"from step {event.step}" if event.step else ""
        note(connection, run.id, "started", "; ".join(filter(None, (position, event.note))))
        return _update(
            connection,
            run,
            total_steps=event.total_steps,
            steps_per_epoch=event.steps_per_epoch,
            step=event.step,
            fingerprint=event.fingerprint,
            record=json.dumps(record),
            timed_from=time.time(),
            # The points of a run that continues are those with which it began.
            **(totals.columns() if totals else {}),
        )


def settle(store: Store, run: Run) -> Totals:
    """Bring everything recorded so far to the disk, and return what a running run has added up.

    Other transactions are safe from a crash of the process but, in WAL mode, not from a power failure.

    Raises:
        LostRunError: if the run no longer belongs to this worker.
    """
    durable = sql.connection(store)
    (usual,) = durable.execute("PRAGMA synchronous").fetchone()
    durable.execute("PRAGMA synchronous = FULL")
    try:
        with sql.transaction(store) as connection:
            # SQLite synchronises only if something changes.
            row = connection.execute(
                "UPDATE runs SET busy_seconds = busy_seconds + max(0, :now - timed_from), timed_from = :now "
                "WHERE id = :run AND worker_id IS :worker AND status = 'running' "
                "RETURNING busy_seconds, train_seconds, samples, test_loss, test_accuracy",
                {"now": time.time(), "run": run.id, "worker": run.worker_id},
            ).fetchone()
            if row is None:
                raise _lost(run)
            open_loss, open_accuracy = CurveWriter(connection, run.id, "train").open_sums
    finally:
        durable.execute(f"PRAGMA synchronous = {usual:d}")
    busy_seconds, train_seconds, samples, test_loss, test_accuracy = row
    return Totals(busy_seconds, train_seconds, samples, test_loss, test_accuracy, open_loss, open_accuracy)


def record_checkpoint(store: Store, run: Run) -> None:
    """Record that a run has a checkpoint.

    Raises:
        LostRunError: if the run no longer belongs to this worker.
    """
    with sql.transaction(store) as connection:
        _update(connection, run, checkpoint=checkpoint_name(run.id), checkpoint_owner=run.owner)


def note_checkpoint(store: Store, run: Run, detail: str) -> None:
    """Record a problem with the checkpoints of a run as an event."""
    with sql.transaction(store) as connection:
        note(connection, run.id, "checkpoint", detail)


def record(store: Store, run: Run, events: Sequence[Recorded]) -> str | None:
    """Record one or more events of a run, and return the pending request: stop, pause or None.

    Raises:
        LostRunError: if the run no longer belongs to this worker; nothing is recorded.
    """
    steps = [event for event in events if isinstance(event, Stepped)]
    with sql.transaction(store) as connection:
        append(connection, run.id, events)
        connection.execute(
            "UPDATE runs SET train_seconds = train_seconds + ?, samples = samples + ? WHERE id = ?",
            (sum(event.seconds for event in steps), sum(event.samples for event in steps), run.id),
        )
        for event in events:
            if isinstance(event, LayersMeasured):
                layer_statistics.write(connection, run.id, event)
        return _update(connection, run, **_newest_values(events))


def _newest_values(events: Sequence[Recorded]) -> dict[str, object]:
    values: dict[str, object] = {}
    for event in events:
        match event:
            case Stepped():
                values["step"] = event.last
            case Evaluated():
                values |= {"test_loss": finite_or_none(event.loss), "test_accuracy": event.accuracy}
    return values


def release(store: Store, run: Run, status: RunStatus, reason: str = "") -> None:
    """Release a claimed run, which has ended with `status` or is paused.

    A run that failed keeps the end of its worker's log; one with a result needs its checkpoints no longer.

    Raises:
        LostRunError: if the run no longer belongs to this worker.
    """
    now = time.time()
    with sql.transaction(store) as connection:
        _update(
            connection,
            run,
            status=status,
            reason=reason,
            request=None,
            ended=None if status is RunStatus.PAUSED else now,
            log_tail=log_tail(store, run.worker_id) if status is RunStatus.FAILED and run.worker_id else "",
            **({"checkpoint": None, "checkpoint_owner": None} if status.has_result else {}),
        )
        connection.execute("UPDATE runs SET busy_seconds = busy_seconds + ? - timed_from WHERE id = ?", (now, run.id))
        note(connection, run.id, status, reason)
    if status.has_result:
        store.files.remove_checkpoints(run.id)


def explain(store: Store, run: Run, reason: str, *, refuses_pause: bool = False) -> str | None:
    """Record why a running run does not train, or why it was not paused, and return the pending request.

    An empty reason means that it trains again. `refuses_pause` takes the request to pause back.

    Raises:
        LostRunError: if the run no longer belongs to this worker.
    """
    with sql.transaction(store) as connection:
        if refuses_pause:  # but not a request to stop
            connection.execute("UPDATE runs SET request = NULL WHERE id = ? AND request = 'pause'", (run.id,))
        kind = "not paused" if refuses_pause else "waiting" if reason else "continued"
        note(connection, run.id, kind, reason)
        return _update(connection, run, reason=reason)


def read_request(store: Store, run: Run) -> str | None:
    """Return the pending request of a run, without writing: stop, pause or None."""
    row = sql.connection(store).execute("SELECT request FROM runs WHERE id = ?", (run.id,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def crash_in_replaced_store(store: Store, run: Run, reason: str) -> None:
    """Mark a run as crashed in the file that was opened, although it was removed or replaced since.

    Nothing is written if that would create a journal, which by its name belongs to the other file.
    """
    connection = sql.connection(store)
    with contextlib.suppress(sqlite3.Error):
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            connection.execute(
                "UPDATE runs SET status = 'crashed', reason = ?, ended = ?, request = NULL "
                "WHERE id = ? AND worker_id IS ? AND status = 'running'",
                (reason, time.time(), run.id, run.worker_id),
            )


def _update(connection: sqlite3.Connection, run: Run, **values: object) -> str | None:
    # Even if there is nothing to change, this checks that the run still belongs to the worker and reads the request.
    settings = ", ".join(f"{name} = ?" for name in values) or "step = step"
    query = (
        f"UPDATE runs SET {settings} "  # noqa: S608 - no outside text
        "WHERE id = ? AND worker_id IS ? AND status = 'running' RETURNING request"
    )
    row = connection.execute(query, (*values.values(), run.id, run.worker_id)).fetchone()
    if row is None:
        raise _lost(run)
    return None if row[0] is None else str(row[0])


def _lost(run: Run) -> LostRunError:
    return LostRunError(f"run {run.id} no longer belongs to worker {run.worker_id}")
