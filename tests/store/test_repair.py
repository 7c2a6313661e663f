"""Damaged stores: what can be read is saved, and the damaged file is kept."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import processes
from initlab_tui.store import queue, sql, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.repair import damage, repair
from initlab_tui.store.runs import list_runs
from tests.conftest import Command
from tests.curve_rows import BLOCK, fill_curve, is_filled
from tests.database import execute

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
PAGE = 4096
LEAF, LEAF_WITHOUT_ROWID = 0x0D, 0x0A  # the first byte of a page
RUNS, STEPS = 12, 3_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with runs of many steps, closed."""
    path = tmp_path / "lab.db"
    with Store.open(path) as store:
        ids = queue.enqueue(store, None, [RunSpec(seed=seed) for seed in range(RUNS)], REQUIREMENTS)
        execute(store, "UPDATE runs SET status = 'done'")
        for run_id in ids:
            fill_curve(store, run_id, STEPS)
    return path


def destroy(path: Path, *pages: int) -> bytes:
    """Overwrite pages, counted from 1, with garbage, and return the content of the file."""
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(random.Random(page).randbytes(PAGE))
    return path.read_bytes()


def pages_of(path: Path, table: str) -> list[int]:
    """Return the leaf pages of a table, found by their content: SQLite's own list is not part of Python's SQLite."""
    content = path.read_bytes()
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    kind, mark = {"curves": (LEAF_WITHOUT_ROWID, b"train"), "runs": (LEAF, b'{"')}[table]
    found = [number for number, page in enumerate(pages, 1) if page[0] == kind and mark in page]
    return [number for number in found if b"CREATE" not in pages[number - 1]]


def test_a_damaged_page_costs_its_own_rows(path: Path) -> None:
    pages = pages_of(path, "curves")
    destroyed = destroy(path, pages[len(pages) // 2])
    assert damage(path)
    found = repair(path)
    assert found.incomplete == ("curves",)
    assert RUNS * STEPS // BLOCK - 20 < found.saved["curves"] < RUNS * STEPS // BLOCK
    assert found.damaged_file.read_bytes() == destroyed
    with Store.open(path) as store:
        assert damage(path) == ""
        assert len(list_runs(store)) == RUNS
        curves = [read_curve(store, run.id, "train") for run in list_runs(store)]
        assert sum(len(curve.steps) == STEPS for curve in curves) >= RUNS - 2
        assert all(loss == 1 / step for curve in curves for step, loss in zip(curve.steps, curve.losses, strict=True))


def test_a_damaged_page_of_runs_costs_those_runs_and_their_ids_are_not_given_again(path: Path) -> None:
    pages = pages_of(path, "runs")
    destroy(path, pages[-1])
    found = repair(path)
    assert "runs" in found.incomplete
    with Store.open(path) as store:
        kept = [run.id for run in list_runs(store)]
        assert 0 < len(kept) < RUNS
        assert {run_id for (run_id,) in execute(store, "SELECT DISTINCT run_id FROM curves")} == set(kept)
        assert queue.enqueue(store, None, [RunSpec()], REQUIREMENTS) == [RUNS + 1]
        assert sql.connection(store).execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_store_without_a_readable_header_is_left_as_it_is(path: Path) -> None:
    destroyed = destroy(path, 1)
    assert damage(path)
    with pytest.raises(InvalidInputError, match=r"cannot be repaired: .*; it was left as it is"):
        repair(path)
    assert path.read_bytes() == destroyed
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == ["lab.db"]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_is_damaged_what_is_saved_is_true(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    size = path.stat().st_size // PAGE
    destroy(path, *(chance.randint(2, size) for _ in range(chance.randint(1, 4))))
    try:
        repair(path)
    except InvalidInputError as error:
        assert "left as it is" in str(error)
        return
    assert damage(path) == ""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT points FROM curves").fetchall()
    assert all(is_filled(points) for (points,) in rows)
    Store.open(path).close()


def test_a_lock_is_not_taken_for_damage(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InvalidInputError, match="cannot be read"):
            damage(path)


@pytest.mark.usefixtures("tensorflow_in_process")
def test_doctor_repairs_a_damaged_store_once(path: Path, initlab: Command) -> None:
    pages = pages_of(path, "curves")
    destroy(path, pages[3])
    result = initlab("doctor", "--repair", "--json", "--store", str(path))
    assert "repaired the store: saved" in result.err
    assert result.document["repair"]["incomplete"] == ["curves"]
    assert Path(result.document["repair"]["damaged_file"]).exists()
    assert result.document["store"]["health"] == "ok"
    again = initlab("doctor", "--repair", "--store", str(path))
    assert "not damaged" in again.err


def test_doctor_does_not_repair_a_store_that_a_worker_uses(path: Path, initlab: Command) -> None:
    with Store.open(path) as store:
        worker = workers.register(store, "cpu", 1)
        workers.set_process(store, worker, os.getpid(), processes.born(os.getpid()))
    pages = pages_of(path, "curves")
    destroyed = destroy(path, pages[3])
    result = initlab("doctor", "--repair", "--store", str(path))
    assert (result.code, "is used by workers: end them first" in result.err) == (2, True)
    assert path.read_bytes() == destroyed
