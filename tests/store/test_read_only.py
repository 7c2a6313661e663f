"""A store of another user, or one that cannot be written, can be looked at and nothing else."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.liveness import LivenessMonitor
from initlab_tui.store import edits, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.purge import purge
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.conftest import ONE_THREAD, Command
from tests.database import execute
from tests.tui.conftest import WIDE, open_lab

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
COMPARISON = Comparison.checked(base=RunSpec.checked(), initializers=("zeros", "ones"), seeds=range(2))


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A store with runs, queued, running and done, that this user may not change."""
    path = tmp_path / "theirs" / "lab.db"
    with Store.open(path) as store:
        queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS)
        execute(store, "UPDATE runs SET status = 'done', test_accuracy = 0.5, test_loss = 1.0 WHERE id = 1")
        workers.register(store, "cpu", 1)  # its process never was
        execute(store, "UPDATE runs SET status = 'running', worker_id = 1 WHERE id = 2")
        execute(store, "UPDATE workers SET monitor_pid = 1, monitor_born = 0, pid = 1, born = 0")
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
    else:
        path.chmod(0o444)
    return path


def test_it_opens_with_its_runs_and_stays_as_it_is(theirs: Path) -> None:
    before = theirs.read_bytes()
    with Store.open(theirs) as store:
        assert store.read_only
        assert [run.status for run in list_runs(store)] == ["done", "running", "queued", "queued"]
        assert supervisor.reap(store) == []
        assert not LivenessMonitor(store).check()
    assert theirs.read_bytes() == before


def test_every_change_is_refused_with_the_reason(theirs: Path) -> None:
    with Store.open(theirs) as store:
        for change in (
            lambda: queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS),
            lambda: queue.stop(store, [3]),
            lambda: queue.retry(store, [2]),
            lambda: edits.delete(store, [1]),
            lambda: edits.rename(store, [1], "mine"),
            lambda: purge(store, 0.0),
            lambda: workers.register(store, "cpu", 1),
            lambda: supervisor.start_workers(store, ONE_THREAD),
        ):
            with pytest.raises(InvalidInputError, match=r"can be read but not changed: .*; name another one"):
                change()


def test_a_store_of_an_earlier_version_must_be_opened_by_its_owner(theirs: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can change a file of another user")
    os.chown(theirs, os.geteuid(), -1)
    with contextlib.closing(sqlite3.connect(theirs)) as connection:
        connection.execute("PRAGMA user_version = 5")
    os.chown(theirs, 12345, -1)
    with pytest.raises(InvalidInputError, match=r"from an earlier version .* opened by its owner first"):
        Store.open(theirs)


def test_commands_print_it_and_refuse_to_change_it(theirs: Path, initlab: Command) -> None:
    store = ("--store", str(theirs))
    for command in ("runs", "leaderboard", "show 1", "recipe check lecture-xavier"):
        assert initlab(*command.split(), *store).code == 0, command
    for command in ("stop --all", "retry 1", "run --initializer zeros --epochs 1"):
        result = initlab(*command.split(), *store)
        assert (result.code, result.out) == (2, ""), command
        assert "can be read but not changed" in result.err


@pytest.mark.asyncio
async def test_the_lab_shows_it_with_a_notice(theirs: Path) -> None:
    with Store.open(theirs) as store:
        async with open_lab(store, WIDE, warm=True) as lab:
            await lab.until(lambda: "This store can be read but not changed" in lab.notifications)
            await lab.until(lambda: "zeros" in lab.results)
            await lab.press("r")
            await lab.until(lambda: "Not queued" in lab.notifications)
            assert len(list_runs(store)) == 4
