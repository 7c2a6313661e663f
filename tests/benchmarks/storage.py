"""The size of an hour of training at full speed, and the cost of writing and reading its curves.

    python -m tests.benchmarks.storage [--seconds 10] [--minutes 60] [--data-dir ../shared/data]

A network is trained for some seconds by the bare loop on one thread, and its events are recorded again and again with
later steps, as those of one run of an hour. Rows of earlier versions, one for each step, are written next to it from
the same events, for a minute of training; their size for an hour follows from that.
"""

from __future__ import annotations

import argparse
import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from initlab_tui.domain.events import Evaluated, LayersMeasured, Started, Stepped
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import edits, progress, queue, sql, workers
from initlab_tui.store.curves import read_trend
from initlab_tui.store.database import Store
from initlab_tui.store.progress import Recorded
from initlab_tui.store.purge import purge
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run
from initlab_tui.tui.lab_backend import CHART_POINTS
from tests.benchmarks.figures import figure, machine, section

NETWORKS = {
    "digits, 16, batch 32": RunSpec.checked(hidden="16", batch_size=32, epochs=1_000_000),
    "digits, 16, batch 512": RunSpec.checked(hidden="16", batch_size=512, epochs=1_000_000),
    "MNIST, 16, batch 128": RunSpec.checked(dataset="mnist", hidden="16", epochs=1_000_000),
}
MOST_MEGABYTES = 20
WRITE_SECONDS = 0.1  # as the recorder: what happened in this time is one transaction
ROW_SECONDS = 60
READS = 5
ROWS = """
    CREATE TABLE metrics (
        run_id INTEGER NOT NULL, split TEXT NOT NULL, step INTEGER NOT NULL, loss REAL, accuracy REAL,
        PRIMARY KEY (run_id, split, step)
    ) STRICT, WITHOUT ROWID
"""
TREND = """
    SELECT max(step), avg(loss), avg(accuracy) FROM metrics WHERE split = 'train' GROUP BY (step - 1) * 400 / ?
"""


def main() -> None:
    """Print the figures for three networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    print(machine())
    for name, events in trained(options.data_dir, options.seconds).items():
        steps, evaluations = counts(events)
        section(f"{name}: {steps / options.seconds:,.0f} steps/s, {evaluations / options.seconds:,.0f} evaluations/s")
        with tempfile.TemporaryDirectory() as folder:
            report(Path(folder), events, options.seconds, 60 * options.minutes)


def trained(data_dir: Path, seconds: float) -> dict[str, list[Recorded]]:
    """Return the events of some seconds of training of each network."""
    from initlab_tui.training import device

    device.configure(1)
    from initlab_tui.data.arrays import load
    from initlab_tui.training.compiled_trainer import CompiledTrainerCache
    from initlab_tui.training.device_dataset import DeviceDataset

    programs, found = CompiledTrainerCache(), {}
    for name, spec in NETWORKS.items():
        data = DeviceDataset(load(spec.dataset, None if spec.dataset == "digits" else data_dir / "mnist.npz"))
        found[name] = list(_events(spec, data, programs, seconds))
    return found


def _events(spec: RunSpec, data: Any, programs: Any, seconds: float) -> Iterator[Recorded]:
    from initlab_tui.training.loop import train

    with contextlib.closing(train(spec, data, programs)) as events:
        next(events)
        end = time.perf_counter() + seconds
        for event in events:
            if time.perf_counter() > end:
                return
            if isinstance(event, Stepped | Evaluated | LayersMeasured):
                yield event


def counts(events: Sequence[Recorded]) -> tuple[int, int]:
    """Return the number of steps and of evaluations."""
    steps = max(event.last for event in events if isinstance(event, Stepped))
    return steps, sum(isinstance(event, Evaluated) for event in events)


def repeated(events: Sequence[Recorded], times: int) -> Iterator[Sequence[Recorded]]:
    """Yield the events in transactions, again and again with later steps; layers are measured only the first time."""
    steps, _ = counts(events)
    for turn in range(times):
        transaction: list[Recorded] = []
        seconds = 0.0
        for event in events:
            if turn and (isinstance(event, LayersMeasured) or event.step == 0):
                continue
            transaction.append(replace(event, step=event.step + turn * steps))
            seconds += event.seconds if isinstance(event, Stepped) else 0.0
            if seconds >= WRITE_SECONDS:
                yield transaction
                transaction, seconds = [], 0.0
        if transaction:
            yield transaction


def report(folder: Path, events: Sequence[Recorded], seconds: float, simulated: float) -> None:
    """Record the events for the `simulated` time, and as rows, and print sizes and costs."""
    times, row_times = max(1, round(simulated / seconds)), max(1, round(ROW_SECONDS / seconds))
    steps, _ = counts(events)
    with Store.open(folder / "lab.db") as store, Store.open(folder / "part.db") as part:
        run = begin(store, steps * times)
        for transaction in repeated(events, times):
            progress.record(store, run, transaction)
        megabytes = file_megabytes(store) * 3600 / (times * seconds)
        figure("an hour in blocks", f"{megabytes:.1f} MB", f"<= {MOST_MEGABYTES} MB", megabytes <= MOST_MEGABYTES)
        # Both ways in turn, with the same events, so that they are disturbed alike.
        part_run = begin(part, steps * times)
        with contextlib.closing(sqlite3.connect(folder / "rows.db", isolation_level=None)) as rows:
            costs = write_both(rows, part, part_run, repeated(events, row_times))
            size = (folder / "rows.db").stat().st_size / 1e6
            figure("an hour in rows, one for each step", f"{size * 3600 / (row_times * seconds):,.0f} MB")
            per_thousand = [1e6 * cost / (steps * row_times) for cost in costs]
            figure("writing 1,000 steps: blocks, rows", f"{per_thousand[0]:.2f}, {per_thousand[1]:.2f} ms CPU")
            figure("blocks / rows", f"{costs[0] / costs[1]:.2f} ×", "<= 1 ×", costs[0] <= costs[1])
            trend = cpu(lambda: read_trend(part, part_run.id, "train", CHART_POINTS))
            former = cpu(lambda: rows.execute(TREND, (steps * row_times,)).fetchall())
        figure("reading a minute's training curve: blocks, rows", f"{1e3 * trend:.1f}, {1e3 * former:.1f} ms CPU")
        for split in ("train", "test"):
            read = cpu(partial(read_trend, store, run.id, split, CHART_POINTS))
            figure(f"reading the {split} curve of the whole run", f"{1e3 * read:.1f} ms CPU")
        report_purge(store, run)


def begin(store: Store, total: int) -> Run:
    """Return a run in training with this number of steps."""
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    run = queue.claim(store, workers.register(store, "cpu", 1))
    assert run is not None
    progress.record_started(store, run, Started(0, total, 100, 10, "CPU", "xla", "", 0.5, "f" * 16, {}), {})
    return run


def write_both(
    rows: sqlite3.Connection, store: Store, run: Run, transactions: Iterator[Sequence[Recorded]]
) -> tuple[float, float]:
    """Write transactions in blocks and in rows, and return the CPU time of each."""
    rows.execute("PRAGMA journal_mode = WAL")
    rows.execute("PRAGMA synchronous = NORMAL")
    rows.execute(ROWS)
    in_blocks = in_rows = 0.0
    for transaction in transactions:
        in_blocks += cpu(partial(progress.record, store, run, transaction), 1)
        in_rows += cpu(partial(write_rows, rows, transaction), 1)
    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return in_blocks, in_rows


def write_rows(connection: sqlite3.Connection, events: Sequence[Recorded]) -> None:
    """Write a row for each step and evaluation, as earlier versions did."""
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT OR REPLACE INTO metrics VALUES (1, ?, ?, ?, ?)", row_values(events))
    connection.execute("COMMIT")


def row_values(events: Sequence[Recorded]) -> Iterator[tuple[str, int, float, float]]:
    for event in events:
        match event:
            case Stepped():
                for step, values in enumerate(zip(event.losses, event.accuracies, strict=True), event.step):
                    yield "train", step, *values
            case Evaluated():
                yield "test", event.step, event.loss, event.accuracy


def cpu(work: Callable[[], object], times: int = READS) -> float:
    """Return the mean CPU time of some work in seconds."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def file_megabytes(store: Store) -> float:
    sql.connection(store).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return store.path.stat().st_size / 1e6


def report_purge(store: Store, run: Run) -> None:
    """Purge the run, and print the size of the file before and after."""
    before = file_megabytes(store)
    progress.release(store, run, RunStatus.DONE)
    edits.delete(store, [run.id])
    purge(store, 0)
    after = file_megabytes(store)
    figure("the file before and after the purge of the run", f"{before:.1f}, {after:.1f} MB", "<= 0.2 MB", after <= 0.2)


if __name__ == "__main__":
    main()
