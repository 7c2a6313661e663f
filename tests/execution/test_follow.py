from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import liveness, supervisor
from initlab_tui.execution.follow import follow
from initlab_tui.execution.liveness import RESTARTS, LivenessMonitor
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import find_run, list_runs
from initlab_tui.store.workers import set_monitor
from tests.database import execute


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The workers that were started, each of which dies at once."""
    workers: list[int] = []

    def dies_at_once(store: Store, worker_id: int) -> None:
        workers.append(worker_id)
        set_monitor(store, worker_id, 999999999, 0.0)

    monkeypatch.setattr(supervisor, "_spawn_monitor", dies_at_once)
    monkeypatch.setattr(liveness, "LIVENESS_SECONDS", 0.0)
    return workers


def test_runs_that_no_worker_lives_for_are_failed_and_not_waited_for(store: Store, started: list[int]) -> None:
    ids = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    *_, last = follow(store, ids)
    assert {run.status for run in last.runs} == {"failed"}
    assert "no worker could be started" in last.runs[0].reason
    assert len(started) == RESTARTS


def test_a_keeper_of_all_runs_does_not_count_workers_that_began_as_in_vain(store: Store, started: list[int]) -> None:
    keeper = LivenessMonitor(store)
    (run_id,) = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    for _ in range(2 * RESTARTS):  # each takes the run up, and it is queued anew
        assert not keeper.check()
        assert queue.claim(store, started[-1])
        execute(store, "UPDATE runs SET status = 'queued'")
        assert supervisor.reap(store) == []
    assert len(started) == 2 * RESTARTS
    checks = [keeper.check() for _ in range(RESTARTS + 1)]
    assert checks == [False] * RESTARTS + [True]
    run = find_run(store, run_id)
    assert run is not None and run.status == "failed"


def test_a_keeper_marks_what_dead_workers_left_behind(store: Store, started: list[int]) -> None:
    keeper = LivenessMonitor(store)
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    keeper.check()
    assert queue.claim(store, started[0])
    assert keeper.check()
    assert [run.status for run in list_runs(store)] == ["crashed"]
    assert not keeper.check()


def test_a_keeper_looks_once_a_while(store: Store, started: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "LIVENESS_SECONDS", 3600.0)
    keeper = LivenessMonitor(store)
    keeper.check()
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    keeper.check()
    assert started == []
