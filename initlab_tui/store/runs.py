"""Reads runs from the store.

The values of a row are checked here, where it becomes a run, so that one malformed row costs that run alone: it becomes
an UnreadableRun, and everything that a Run has is valid.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

from initlab_tui.domain.errors import InvalidInputError, Problem, shown
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.leaderboard import Outcome
from initlab_tui.store import rows, sql
from initlab_tui.store.database import Store
from initlab_tui.store.run_record import parse_record, record_problem
from initlab_tui.store.spec_cache import SpecCache
from initlab_tui.store.worker_deaths import MOST_DEATHS


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
        return parse_record(self.record_json)

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


@dataclass(frozen=True)
class UnreadableRun:
    """A row of the store that is not a valid run, and why; an id is None if it is invalid itself."""

    id: int | None
    comparison_id: int | None
    problem: str


class RunRows(NamedTuple):
    """The runs, oldest first, and the rows that cannot be read."""

    runs: list[Run]
    unreadable: list[UnreadableRun]


# In the order of the fields of Run.
_RULES = {
    "id": rows.ID,
    "comparison_id": rows.optional(rows.ID),
    "spec": rows.TEXT,
    "spec_hash": rows.LINE,
    "seed": rows.whole(0, 2**31 - 1),
    "data_file": rows.optional(rows.LINE),
    "import_folder": rows.LINE,
    "device": rows.DEVICE,
    "threads": rows.THREADS,
    "checkpoint_every": rows.optional(rows.number(0, rows.MAX_SECONDS)),
    "status": rows.one_of(*RunStatus),
    "request": rows.optional(rows.one_of("stop", "pause")),
    "reason": rows.LINE,
    "log_tail": rows.TEXT,
    "checkpoint": rows.optional(rows.LINE),
    "checkpoint_owner": rows.optional(rows.LINE),
    "worker_id": rows.optional(rows.ID),
    "created": rows.TIME,
    "timed_from": rows.optional(rows.TIME),
    "started": rows.optional(rows.TIME),
    "ended": rows.optional(rows.TIME),
    "busy_seconds": rows.DURATION,
    "train_seconds": rows.number(0, rows.MAX_SECONDS),
    "samples": rows.whole(0, rows.MAX_ID),
    "step": rows.STEP,
    "total_steps": rows.optional(rows.STEP),
    "steps_per_epoch": rows.optional(rows.STEP),
    "test_loss": rows.optional(rows.number(-rows.MAX_LOSS, rows.MAX_LOSS)),
    "test_accuracy": rows.optional(rows.number(0, 1)),
    "fingerprint": rows.optional(rows.LINE),
    "record": rows.TEXT,
    "name": rows.LINE,
    "tags": rows.LINE,
    "diagnosis": rows.DIAGNOSIS,
    "deaths": rows.COUNT,
    "silent_seconds": rows.optional(rows.number(0, rows.MAX_SECONDS)),
    "deleted": rows.NULL,  # the condition leaves out valid times
}
# An invalid time of a worker costs the worker, not its run.
_SILENCE = (
    "CASE status WHEN 'running' THEN (SELECT silent_seconds FROM workers WHERE workers.id = worker_id AND "  # noqa: S608
    f"typeof(silent_seconds) = 'real' AND silent_seconds BETWEEN 0 AND {rows.MAX_SECONDS}) END"
)
_COLUMNS = ", ".join(_SILENCE if column == "silent_seconds" else column for column in _RULES)
ROWS_AT_ONCE = 500  # few enough that the garbage collector has little to do
_NAMES = tuple(column.name for column in fields(Run) if column.name != "specs")
_STATUSES = {str(status): status for status in RunStatus}
_STATUS = list(_RULES).index("status")
_COMPARISON = list(_RULES).index("comparison_id")
# A malformed time must not hide a run.
_NOT_DELETED = f"(deleted IS NULL OR typeof(deleted) <> 'real' OR deleted NOT BETWEEN 0 AND {rows.MAX_SECONDS})"


def find_run(store: Store, run_id: int) -> Run | None:
    """Return a run by its id; None if it does not exist, is deleted or cannot be read."""
    return next(iter(list_runs(store, [run_id])), None)


def list_runs(store: Store, ids: Sequence[int] | None = None) -> list[Run]:
    """Return the runs with these ids, or all, oldest first, without deleted ones and those that cannot be read."""
    return read_runs(store, ids).runs


def list_comparison_runs(store: Store, comparison_id: int) -> list[Run]:
    """Return the runs of a comparison, oldest first, without deleted ones and those that cannot be read."""
    return read_comparison_runs(store, comparison_id).runs


def read_runs(store: Store, ids: Sequence[int] | None = None) -> RunRows:
    """Return the runs with these ids, or all, and the rows that cannot be read, without deleted ones."""
    return _select(store) if ids is None else _select(store, f"AND id {sql.IN_LIST}", sql.json_list(ids))


def read_comparison_runs(store: Store, comparison_id: int) -> RunRows:
    """Return the runs of a comparison, and the rows that cannot be read, without deleted ones."""
    return _select(store, "AND comparison_id = ?", comparison_id)


def running_ids(store: Store) -> set[int]:
    """Return the ids of the runs that are running, including deleted ones."""
    found = sql.connection(store).execute("SELECT id FROM runs WHERE status = 'running'")
    return rows.valid_ids([run_id for (run_id,) in found])


def refuse_unknown(store: Store, ids: Sequence[int], known: Collection[int]) -> None:
    """Raise InvalidInputError if some of `ids` are not `known`, saying which of them cannot be read."""
    unknown = [run_id for run_id in ids if run_id not in known]
    if not unknown:
        return
    unreadable = read_runs(store, unknown).unreadable
    problems = [Problem("id", f"run {run.id} cannot be read: {run.problem}") for run in unreadable]
    missing = sorted(set(unknown) - {run.id for run in unreadable})
    if missing:
        names = ", ".join(map(str, missing))
        problems.append(Problem("id", f"no run {names} in {store.path}: see initlab-tui runs"))
    raise InvalidInputError(problems)


def _select(store: Store, condition: str = "", *values: object) -> RunRows:
    query = f"SELECT {_COLUMNS} FROM runs WHERE {_NOT_DELETED} {condition} ORDER BY id"  # noqa: S608 - no outside text
    cursor = sql.connection(store).execute(query, values)
    read = RunRows([], [])
    while found := cursor.fetchmany(ROWS_AT_ONCE):
        problems = rows.problems(_RULES, found)
        for index, row in enumerate(found):
            run = None if index in problems else _run(store.specs, row)
            problem = _problem(run) if run else problems[index]
            if run and not problem:
                read.runs.append(run)
            else:
                read.unreadable.append(_unreadable(row, problem))
    return read


def _run(specs: SpecCache, row: Sequence[Any]) -> Run:
    """Return the run of a row whose values are valid; the constructor of a frozen class takes twice as long."""
    values = dict(zip(_NAMES, row, strict=False))
    values["specs"] = specs
    values["status"] = _STATUSES[row[_STATUS]]
    run = Run.__new__(Run)
    object.__setattr__(run, "__dict__", values)
    return run


def _unreadable(row: Sequence[object], problem: str) -> UnreadableRun:
    return UnreadableRun(rows.valid_id(row[0]), rows.valid_id(row[_COMPARISON]), shown(problem))


def _problem(run: Run) -> str:
    """Return why values that are valid one by one do not make a run; empty if they do."""
    if run.total_steps is not None and run.step > run.total_steps:
        return f"step must be at most total_steps ({run.total_steps}), got {run.step}"
    try:
        run.specs.check(run.spec_hash, run.seed, run.spec_json)
    except InvalidInputError as error:
        return f"spec cannot be read: {str(error).removeprefix(': ')}"
    return record_problem(run.record_json)
