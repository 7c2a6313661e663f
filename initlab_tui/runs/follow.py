"""Follows runs in the store until they are over: what every face of the program looks through."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from initlab_tui.experiments.problems import InvalidInputError
from initlab_tui.runs import supervisor
from initlab_tui.runs.store import Run, Store

POLL_SECONDS = 0.1
LIVENESS_SECONDS = 1.0
RESTARTS = 3


@dataclass(frozen=True)
class Latest:
    """The newest training step of a run."""

    step: int
    loss: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Snapshot:
    """The followed runs as they stand, oldest first, and the newest step of each that trains."""

    runs: tuple[Run, ...]
    latest: dict[int, Latest]

    @property
    def is_over(self) -> bool:
        return all(run.is_over for run in self.runs)


def snapshot(store: Store, ids: Sequence[int]) -> Snapshot:
    """Look once."""
    runs = tuple(store.runs(ids))
    latest = {}
    for run in runs:
        if run.status == "running":
            row = store.connection.execute(
                "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = 'train' "
                "ORDER BY step DESC LIMIT 1",
                (run.id,),
            ).fetchone()
            if row:
                latest[run.id] = Latest(*row)
    return Snapshot(runs, latest)


def follow(store: Store, ids: Sequence[int]) -> Iterator[Snapshot]:
    """Yield a snapshot now and at each change, the last when all the runs are over.

    Marks what dead workers left behind, and starts a worker where runs wait and none is alive for them.
    """
    seen, checked, restarts = -1, 0.0, RESTARTS
    while True:
        now = time.monotonic()
        changed = False
        if now - checked >= LIVENESS_SECONDS:
            checked = now
            if not store.is_there():
                raise InvalidInputError.of("store", f"store {store.path} was removed while its runs were followed")
            changed = bool(supervisor.reap(store))
            for plan in supervisor.needed_again(store, ids):
                if restarts:
                    restarts -= 1
                    supervisor.start_workers(store, plan)
                else:
                    how = f"{RESTARTS} were, and none lived long enough to begin"
                    supervisor.fail_queued(store, plan, how, ids=ids)
                    changed = True
        version = store.data_version()
        if changed or version != seen:
            seen = version
            current = snapshot(store, ids)
            yield current
            if current.is_over:
                return
        time.sleep(POLL_SECONDS)
