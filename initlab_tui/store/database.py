"""One SQLite file: the queue, the record and the wire between the processes."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import Comparison, RunSpec
from initlab_tui.domain.statistics.leaderboard import Outcome
from initlab_tui.store import migrations, paths

BUSY_SECONDS = 30.0


@dataclass(frozen=True)
class Requirements:
    """Where and how a queued run is to be trained: what a worker must offer to claim it.

    `device` is cpu, gpu (any) or gpu:N; `data_file` the npz to read, None for what is bundled;
    `import_folder` the folder from which a person's own `import:` is found.
    """

    device: str
    threads: int
    data_file: Path | None
    import_folder: Path


class Specs:
    """Reads specs; of those that differ in nothing but the seed only one, since that takes its time."""

    def __init__(self) -> None:
        self._by_spec_hash: dict[str, RunSpec] = {}

    def get(self, spec_hash: str, seed: int, text: str) -> RunSpec:
        """The spec of this spec_hash and seed, whose JSON is `text`."""
        known = self._by_spec_hash.get(spec_hash)
        if known is None:
            known = self._by_spec_hash[spec_hash] = RunSpec.from_json(text)
        return known if known.seed == seed else known.model_copy(update={"seed": seed})


@dataclass(frozen=True)
class Run:
    """A run as the store has it; times are seconds since 1970, losses that are not finite are None.

    `name` and `tags` (words with a space between) are what a person called it; `verdict` is that of its layers at
    step 0, empty where they were not measured; `specs` reads its spec.
    """

    specs: Specs = field(repr=False, compare=False)
    id: int
    comparison_id: int | None
    spec_json: str = field(repr=False)
    spec_hash: str
    seed: int
    data_file: str | None
    import_folder: str
    device: str
    threads: int
    status: RunStatus
    request: str | None
    reason: str
    log_tail: str = field(repr=False)
    checkpoint: str | None
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
    verdict: str

    @cached_property
    def spec(self) -> RunSpec:
        return self.specs.get(self.spec_hash, self.seed, self.spec_json)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What it takes to repeat the run: versions, device, execution, threads."""
        loaded: dict[str, Any] = json.loads(self.record_json)
        return loaded

    @property
    def samples_per_second(self) -> float | None:
        """In training steps alone: no evaluation, compilation or waiting."""
        return self.samples / self.train_seconds if self.train_seconds else None

    @property
    def seconds(self) -> float:
        """Wall time of training and evaluation until now; building, compiling, waiting and pauses left out."""
        still = time.time() - self.timed_from if self.status is RunStatus.RUNNING and self.timed_from else 0.0
        return self.busy_seconds + still

    @property
    def outcome(self) -> Outcome:
        """What the leaderboard needs of this run."""
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
            diagnosis=self.verdict,
        )


_NAMES = tuple(column.name for column in fields(Run) if column.name != "specs")
_STATUS = _NAMES.index("status")
_COLUMNS = ", ".join({"spec_json": "spec", "record_json": "record"}.get(name, name) for name in _NAMES)


def _run(specs: Specs, row: Sequence[Any]) -> Run:
    values = list(row)
    values[_STATUS] = RunStatus(values[_STATUS])
    return Run(specs, *values)


@dataclass(frozen=True)
class Curve:
    """A run's losses and accuracies on one split, by step; NaN where a value was not finite."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


# By steps and not by rows: a window function over the rows takes three times as long.
_TREND = """
    SELECT max(step), iif(count(loss) = count(*), avg(loss), NULL), iif(count(accuracy) = count(*), avg(accuracy), NULL)
    FROM metrics WHERE run_id = :run AND split = :split AND step <= :last
    GROUP BY (step - :first) * :buckets / (:last + 1 - :first)
"""
_LAST_STEP = "SELECT max(step) FROM metrics WHERE run_id = ? AND split = ?"


class Store:
    """An open store. One per thread: SQLite connections are not shared."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self.connection = path, connection
        self._inode = path.stat().st_ino
        self._specs = Specs()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the store at `path`, making it, and its folder, where there is none.

        Raises:
            InvalidInputError: when it cannot be written, is not a store, or is from a newer program.
        """
        path = path.absolute()
        made = _make(path)
        try:
            return cls(path, _connect(path))
        except BaseException as error:
            if made:
                path.unlink()
            if isinstance(error, sqlite3.DatabaseError):
                raise _unusable(
                    path, f"cannot be used: {error} (see initlab-tui doctor, or name another file with --store)"
                ) from None
            raise

    @classmethod
    def open_existing(cls, path: Path) -> Self | None:
        """As `open`, but None where there is no store yet, and nothing is made.

        Raises:
            InvalidInputError: as `open`.
        """
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _unusable(path, f"cannot be read: {error.strerror}") from None
        return cls.open(path)

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, with the write lock taken at the start."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield self.connection
            self.connection.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite roll back by itself.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def enqueue(self, comparison: Comparison | None, specs: Sequence[RunSpec], requirements: Requirements) -> list[int]:
        """Queue runs, of a comparison or on their own, and return their ids, in the order of `specs`."""
        now = time.time()
        with self.transaction() as connection:
            comparison_id = None
            if comparison:
                comparison_id = connection.execute(
                    "INSERT INTO comparisons (created, comparison) VALUES (?, ?)", (now, comparison.to_json())
                ).lastrowid
            ids = []
            for spec in specs:
                values = {
                    "comparison_id": comparison_id,
                    "spec": spec.to_json(),
                    "spec_hash": spec.spec_hash,
                    "seed": spec.seed,
                    "data_file": str(requirements.data_file) if requirements.data_file else None,
                    "import_folder": str(requirements.import_folder),
                    "device": requirements.device,
                    "threads": requirements.threads,
                    "status": RunStatus.QUEUED,
                    "created": now,
                }
                ids.append(insert(connection, "runs", values))
                note(connection, ids[-1], "queued")
        return ids

    def run(self, run_id: int) -> Run | None:
        """One run by its id; None where there is none, or it is deleted."""
        return next(iter(self.runs([run_id])), None)

    def runs(self, ids: Sequence[int] | None = None) -> list[Run]:
        """The runs of these ids, or all, oldest first; without those that are deleted."""
        if ids is None:
            return self._runs("", ())
        return self._runs("AND id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))

    def runs_of(self, comparison_id: int) -> list[Run]:
        """The runs of one comparison, oldest first; without those that are deleted."""
        return self._runs("AND comparison_id = ?", (comparison_id,))

    def _runs(self, where: str, values: Sequence[object]) -> list[Run]:
        query = f"SELECT {_COLUMNS} FROM runs WHERE deleted IS NULL {where} ORDER BY id"  # noqa: S608 - no outside text
        return [_run(self._specs, row) for row in self.connection.execute(query, tuple(values))]

    def refuse_unknown(self, ids: Sequence[int], known: Collection[int]) -> None:
        """Raise InvalidInputError naming those of `ids` that are not `known`."""
        unknown = [str(run_id) for run_id in ids if run_id not in known]
        if unknown:
            raise InvalidInputError.of("id", f"no run {', '.join(unknown)} in {self.path}: see initlab-tui runs")

    def last_comparison(self) -> tuple[Comparison, str] | None:
        """The newest comparison, and the device that its runs were queued for."""
        row = self.connection.execute(
            "SELECT comparison, device FROM comparisons JOIN runs ON runs.comparison_id = comparisons.id "
            "ORDER BY comparisons.id DESC LIMIT 1"
        ).fetchone()
        return (Comparison.from_json(row[0]), str(row[1])) if row else None

    def is_there(self) -> bool:
        """Whether the file is still the one that was opened: it may have been removed, or another put there."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def curve(self, run_id: int, split: str) -> Curve:
        """What a run recorded on `split`, train or test."""
        rows = self.connection.execute(
            "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = ? ORDER BY step",
            (run_id, split),
        ).fetchall()
        return _curve(rows)

    def trend(self, run_id: int, split: str, buckets: int) -> Curve:
        """A run's curve on `split` in at most `buckets` points, for a place that has no room for more.

        The steps are cut into stretches of one length; a point is a stretch's last step and its mean loss and
        accuracy, NaN where any was not finite. What is no more than `buckets` rows comes as it is.

        Raises:
            ValueError: when `buckets` is less than 1.
        """
        if buckets < 1:
            raise ValueError(f"buckets must be >= 1, got {buckets}")
        rows = self.connection.execute(
            "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = ? ORDER BY step LIMIT ?",
            (run_id, split, buckets + 1),
        ).fetchall()
        if len(rows) <= buckets:
            return _curve(rows)
        (last,) = self.connection.execute(_LAST_STEP, (run_id, split)).fetchone()
        values = {"run": run_id, "split": split, "first": rows[0][0], "last": last, "buckets": buckets}
        return _curve(self.connection.execute(_TREND, values).fetchall())

    def events(self, run_id: int) -> list[tuple[float, str, str]]:
        """What happened to a run: (time, kind, detail), oldest first."""
        return self.connection.execute(
            "SELECT at, kind, detail FROM events WHERE run_id = ? ORDER BY id", (run_id,)
        ).fetchall()

    def newest_event(self) -> int:
        """The number of the newest event of any run, 0 where there is none; it only grows."""
        return int(self.connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0])

    def data_version(self) -> int:
        """A number that changes when another connection has written: what a follower asks before it reads."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])


def _curve(rows: Sequence[tuple[int, float | None, float | None]]) -> Curve:
    return Curve(
        tuple(row[0] for row in rows),
        tuple(_or_nan(row[1]) for row in rows),
        tuple(_or_nan(row[2]) for row in rows),
    )


def _or_nan(value: float | None) -> float:
    # A mean of large losses may be infinite where none of them was.
    return value if value is not None and math.isfinite(value) else math.nan


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, object]) -> int:
    """Insert a row and return its id; `table` and the names are the program's own."""
    names, marks = ", ".join(values), ", ".join("?" * len(values))
    query = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - no outside text
    return int(connection.execute(query, tuple(values.values())).lastrowid or 0)


def note(connection: sqlite3.Connection, run_id: int | None, kind: str, detail: str = "") -> None:
    """Write an event of a run, or of runs that are no more (None), in the caller's transaction.

    Whatever changes a run but the steps of one that trains is noted: followers look for new events.
    """
    insert(connection, "events", {"run_id": run_id, "at": time.time(), "kind": kind, "detail": detail})


def _unusable(path: Path, trouble: str) -> InvalidInputError:
    return InvalidInputError.of("store", f"store {path} {trouble}")


def _make(path: Path) -> bool:
    try:
        if path.is_dir():
            raise _unusable(path, "is a directory: name a file")
        paths.private_folder(path.parent)
        # Only a new file is opened here. Closing any descriptor of a file drops all of the process's POSIX
        # locks on it, those of SQLite's open connections included, and then transactions are lost.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, paths.PRIVATE_FILE))
        return True
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise _unusable(path, "cannot be written: permission denied") from None
    except OSError as error:
        raise _unusable(path, f"cannot be written: {error.strerror}") from None
    return False


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        _check(path, connection)
        # WAL lets followers read while a worker writes. Where the file system cannot do it (some network
        # ones), SQLite stays with its rollback journal, which is slower and correct.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        migrations.migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    known, found = len(migrations.MIGRATIONS), migrations.version(connection)
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    if tables and application != migrations.APPLICATION_ID:
        raise _unusable(path, "is an SQLite file of another program; name another file with --store")
    if found > known:
        raise _unusable(
            path,
            f"is from a newer version of initlab-tui (schema {found}, this one knows {known}): "
            "upgrade initlab-tui or name another file with --store",
        )
