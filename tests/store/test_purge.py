"""Purging large runs: other processes write in between, and the file becomes smaller."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import edits, queue, sql
from initlab_tui.store.curves import LatestStep, latest_step
from initlab_tui.store.database import Store
from initlab_tui.store.purge import purge
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.curve_rows import BLOCK, fill_curve
from tests.database import execute

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
STEPS = 100_000


@pytest.fixture
def deleted(store: Store) -> list[int]:
    """Three runs with many steps, of which the last two are deleted."""
    ids = queue.enqueue(store, None, [RunSpec(seed=seed) for seed in range(3)], REQUIREMENTS)
    execute(store, "UPDATE runs SET status = 'done'")
    for run_id in ids:
        fill_curve(store, run_id, STEPS)
    edits.delete(store, ids[1:])
    return ids


def test_others_write_between_the_batches(store: Store, deleted: list[int]) -> None:
    waited: list[float] = []
    done = threading.Event()

    def write() -> None:
        with Store.open(store.path) as other:
            while not done.is_set():
                began = time.perf_counter()
                with sql.transaction(other) as connection:
                    connection.execute("UPDATE runs SET step = step + 1 WHERE id = ?", deleted[:1])
                waited.append(time.perf_counter() - began)

    writer = threading.Thread(target=write)
    writer.start()
    assert purge(store, 0) == 2
    done.set()
    writer.join()
    assert len(waited) > 100
    assert max(waited) < 2
    assert latest_step(store, deleted[0]) == LatestStep(STEPS, 1 / STEPS, 0.5)


def test_the_file_becomes_smaller(store: Store, deleted: list[int]) -> None:
    sql.connection(store).execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = store.path.stat().st_size
    purge(store, 0)
    assert store.path.stat().st_size < before / 2
    assert sql.connection(store).execute("PRAGMA quick_check").fetchone() == ("ok",)
    assert [run.id for run in list_runs(store)] == deleted[:1]


def test_an_interrupted_purge_is_continued_and_its_runs_are_not_restored(store: Store, deleted: list[int]) -> None:
    answers = iter([True, True, True, False])
    assert purge(store, 0, wanted=lambda: next(answers)) == 0
    assert 0 < len(execute(store, "SELECT 1 FROM curves WHERE run_id = ?", (deleted[1],))) < STEPS / BLOCK
    assert edits.restore_newest(store) == []
    with pytest.raises(InvalidInputError, match=f"no run {deleted[1]} in"):
        edits.restore(store, deleted[1:2])
    assert purge(store, 3600) == 2
    assert execute(store, "SELECT DISTINCT run_id FROM curves") == [(deleted[0],)]
