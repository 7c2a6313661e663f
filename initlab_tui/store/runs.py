"""Reads runs from the store."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.leaderboard import Outcome
from initlab_tui.store import sql
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.spec_cache import SpecCache
from initlab_tui.store.workers import MOST_DEATHS


@dataclass(frozen=True)
class Run:
    """A stored run; times are in seconds since 1970, and losses that are not finite are None.

    `deaths` is the number of workers that it has killed. `silent_seconds` is for how long its worker has sent no
    heartbeat while it is running; None if there was one in the last few seconds.
    `name` and `tags` (words separated by spaces) are set by the user. `diagnosis` is that of the layers at step 0,
    empty if they were not measured.
    """

    specs: SpecCache = field(repr=False, compare=False)
    id: int
    comparison_id: int | None
    spec_json: str = field(repr=False)
    spec_hash: str
    seed: int
    data_file: str | None
    import_folder: str
    device: str
    threads: int
    checkpoint_every: float | None
    status: RunStatus
    request: str | None
    reason: str
    log_tail: str = field(repr=False)
    checkpoint: str | None
    checkpoint_owner: str | None
    worker_id: int | None
    created: float
    timed_from: float | None
    started: float | None
    ended: float | None
    busy_seconds: float
    train_seconds: float
    samples: int
    step: int
    total_steps: int | None
    steps_per_epoch: int | None
    test_loss: float | None
    test_accuracy: float | None
    fingerprint: str | None
    record_json: str = field(repr=False)
    name: str
    tags: str
    diagnosis: str
    deaths: int
    silent_seconds: float | None

    @cached_property
    def spec(self) -> RunSpec:
        return self.specs.get(self.spec_hash, self.seed, self.spec_json)

    @cached_property
    def record(self) -> dict[str, Any]:
        """The conditions of the run: versions, device, execution mode, threads and so on."""
        try:
            loaded: dict[str, Any] = json.loads(self.record_json)
        except json.JSONDecodeError as error:
            raise StoreError(f"the record of run {self.id} is damaged: {error}") from None
        return loaded

    @property
    def owner(self) -> str:
        """The identification of the run in its checkpoint, so that no other run resumes from it."""
        return f"{self.spec_hash} {self.seed}"

    @property
    def is_without_worker(self) -> bool:
        """Whether the run stays queued because no worker could be started for it; `reason` says why."""
        return self.status is RunStatus.QUEUED and bool(self.reason)

    @property
    def can_be_retried(self) -> bool:
        """Whether the run may be queued again: it has ended without a result, and has not killed too many workers."""
        return self.status.can_be_retried and not self.is_deadly

    @property
    def is_deadly(self) -> bool:
        """Whether the run has killed so many workers that it is not tried again."""
        return self.deaths >= MOST_DEATHS

    @property
    def samples_per_second(self) -> float | None:
        """The speed of training steps, without evaluation, compilation and waiting."""
        return self.samples / self.train_seconds if self.train_seconds else None

    @property
    def seconds(self) -> float:
        """The wall time of training and evaluation so far, without compiling, waiting and pauses."""
        is_timed = self.status is RunStatus.RUNNING
        return self.busy_seconds + (time.time() - self.timed_from if is_timed and self.timed_from else 0.0)

    @property
    def outcome(self) -> Outcome:
        """The values of this run that the leaderboard needs."""
        return Outcome(
            run_id=self.id,
            spec=self.spec,
            spec_hash=self.spec_hash,
            status=self.status,
            test_accuracy=self.test_accuracy,
            test_loss=self.test_loss,
            seconds=self.seconds,
            samples_per_second=self.samples_per_second,
            total_steps=self.total_steps,
            fingerprint=self.fingerprint,
            diagnosis=self.diagnosis,
        )


_NAMES = tuple(column.name for column in fields(Run) if column.name != "specs")
_STATUS = _NAMES.index("status")
_SILENCE = "CASE status WHEN 'running' THEN (SELECT silent_seconds FROM workers WHERE workers.id = worker_id) END"
_SOURCES = {"spec_json": "spec", "record_json": "record", "silent_seconds": _SILENCE}
_COLUMNS = ", ".join(_SOURCES.get(name, name) for name in _NAMES)


def find_run(store: Store, run_id: int) -> Run | None:
    """Return a run by its id; None if it does not exist or is deleted."""
    return next(iter(list_runs(store, [run_id])), None)


def list_runs(store: Store, ids: Sequence[int] | None = None) -> list[Run]:
    """Return the runs with these ids, or all, oldest first, without deleted ones."""
    return _select(store) if ids is None else _select(store, f"AND id {sql.IN_LIST}", sql.json_list(ids))


def list_comparison_runs(store: Store, comparison_id: int) -> list[Run]:
    """Return the runs of a comparison, oldest first, without deleted ones."""
    return _select(store, "AND comparison_id = ?", comparison_id)


def running_ids(store: Store) -> set[int]:
    """Return the ids of the runs that are running, including deleted ones."""
    rows = sql.connection(store).execute("SELECT id FROM runs WHERE status = 'running'")
    return {run_id for (run_id,) in rows}


def refuse_unknown(store: Store, ids: Sequence[int], known: Collection[int]) -> None:
    """Raise InvalidInputError if some of `ids` are not `known`."""
    unknown = [str(run_id) for run_id in ids if run_id not in known]
    if unknown:
        raise InvalidInputError.of("id", f"no run {', '.join(unknown)} in {store.path}: see initlab-tui runs")


def _select(store: Store, condition: str = "", *values: object) -> list[Run]:
    query = f"SELECT {_COLUMNS} FROM runs WHERE deleted IS NULL {condition} ORDER BY id"  # noqa: S608 - no outside text
    return [_run(store.specs, row) for row in sql.connection(store).execute(query, values)]


def _run(specs: SpecCache, row: Sequence[Any]) -> Run:
    values = list(row)
    try:
        values[_STATUS] = RunStatus(values[_STATUS])
    except ValueError as error:
        raise StoreError(f"run {values[0]}: {error}") from None
    return Run(specs, *values)
