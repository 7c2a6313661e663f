"""A store with thousands of ended runs, written by SQL: training them would take days."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sqlite3
from pathlib import Path

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store.curve_writer import pack_rows
from initlab_tui.store.database import Store

DATASETS = ("digits", "mnist", "fashion_mnist", "cifar10")
HIDDEN = ((24, 24), (40, 40), (72, 72), (96, 96), (200, 200))
RATES = (0.0007, 0.0013, 0.0023, 0.0031, 0.0047, 0.0053, 0.0061, 0.0079, 0.0083, 0.0091)
INITIALIZERS = (
    *("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "he_fan_avg", "lecun_normal", "lecun_uniform"),
    *("random_normal:stddev=0.05", "random_normal:stddev=1.0", "truncated_normal"),
)
SEEDS = 5
RECORD = {
    "versions": {"initlab-tui": "0.1.0", "python": "3.11.7", "tensorflow": "2.20.0", "keras": "3.12.0", "numpy": "2.3"},
    "platform": "Linux-6.1-x86_64-with-glibc2.36",
    "host": "lab",
    "device": "cpu",
    "threads": 1,
    "execution": "xla",
    "note": "",
    "weights": 269_322,
    "compile_seconds": 3.2,
    "data_file": None,
    "data_fingerprint": "1f5e8a3b0c7d2e46",
    "resumed_at_step": None,
}


def fill(path: Path, groups: int, steps: int) -> None:
    """Write a store of `groups` × 5 runs with `steps` training steps each, by SQL, because workers would take days."""
    bases = [
        RunSpec(dataset=dataset, hidden=hidden, learning_rate=rate)
        for rate, hidden, dataset in itertools.product(RATES, HIDDEN, DATASETS)
    ][: -(-groups // len(INITIALIZERS))]
    Store.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        for number, base in enumerate(bases, 1):
            comparison = Comparison.checked(base=base, initializers=INITIALIZERS, seeds=range(SEEDS))
            insert = "INSERT INTO comparisons (id, created, comparison) VALUES (?, ?, ?)"
            connection.execute(insert, (number, 1e9, comparison.to_json()))
            names = ", ".join(run_row(number, base))
            marks = ", ".join("?" * len(run_row(number, base)))
            rows = [tuple(run_row(number, spec).values()) for spec in comparison.runs()]
            connection.executemany(f"INSERT INTO runs ({names}) VALUES ({marks})", rows)  # noqa: S608 - no outside text
        fill_curves(connection, steps)


def run_row(comparison_id: int, spec: RunSpec) -> dict[str, object]:
    """Return the row of a finished run; four in a hundred diverged and two failed."""
    chance = random.Random(f"{spec.spec_hash} {spec.seed}")
    status = chance.choices(("done", "diverged", "failed"), (94, 4, 2))[0]
    done = status == "done"
    return {
        "comparison_id": comparison_id,
        "spec": spec.to_json(),
        "spec_hash": spec.spec_hash,
        "seed": spec.seed,
        "import_folder": "/",
        "device": "cpu",
        "threads": 1,
        "status": status,
        "reason": "" if done else f"{status} at step 300",
        "created": 1e9,
        "started": 1e9,
        "ended": 1e9 + 5,
        "busy_seconds": chance.uniform(2, 6),
        "train_seconds": chance.uniform(1, 2),
        "samples": 64_000,
        "step": 500,
        "total_steps": 500,
        "steps_per_epoch": 100,
        "test_loss": chance.uniform(0.1, 0.6) if done else None,
        "test_accuracy": chance.uniform(0.8, 0.98) if done else 0.1,
        "fingerprint": f"{spec.dataset}-1f5e8a3b0c7d2e46",
        "record": json.dumps(RECORD),
    }


def fill_curves(connection: sqlite3.Connection, steps: int) -> None:
    """Write a training point for each step, a test point for each 25th, and the events of each run."""
    connection.execute("CREATE TEMP TABLE grid (split TEXT, step INTEGER, loss REAL)")
    points = [("test", step, 2.3 / (1 + step / 30)) for step in range(0, steps + 1, 25)]
    points += [("train", step, 2.3 / (1 + step / 20)) for step in range(1, steps + 1)]
    connection.executemany("INSERT INTO grid VALUES (?, ?, ?)", points)
    # Each run has a different curve.
    connection.execute(
        "CREATE TEMP TABLE metrics AS SELECT id AS run_id, split, grid.step AS step, "
        "iif(status = 'diverged' AND grid.step > 300, NULL, loss * (1 + id % 17 / 10.0)) AS loss, "
        "coalesce(test_accuracy, 0.1) * (1 - loss / 3) AS accuracy FROM runs CROSS JOIN grid ORDER BY id"
    )
    pack_rows(connection)
    connection.execute("DROP TABLE metrics")
    for kind in ("queued", "claimed", "started"):
        connection.execute("INSERT INTO events (run_id, at, kind) SELECT id, created, ? FROM runs", (kind,))
    connection.execute("INSERT INTO events (run_id, at, kind, detail) SELECT id, ended, status, reason FROM runs")
    connection.execute("DROP TABLE grid")
