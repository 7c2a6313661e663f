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
    """The ids of the workers that were started; each dies immediately."""
    workers: list[int] = []

    def die_immediately(store: Store, worker_id: int) -> None:
        workers.append(worker_id)
        set_monitor(store, worker_id, 999999999, 0.0)

    monkeypatch.setattr(supervisor, "_spawn_monitor", die_immediately)
    monkeypatch.setattr(liveness, "LIVENESS_SECONDS", 0.0)
    return workers


def test_following_ends_if_no_worker_can_be_started_and_the_runs_stay_queued(store: Store, started: list[int]) -> None:
    ids = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    *_, last = follow(store, ids)
    assert {run.status for run in last.runs} == {"queued"}
    assert "no worker could be started" in last.runs[0].reason
    assert len(started) == RESTARTS


def test_restarts_of_workers_that_claimed_a_run_do_not_count_as_failed(store: Store, started: list[int]) -> None:
    monitor = LivenessMonitor(store)
    (run_id,) = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    for _ in range(2 * RESTARTS):  # each worker claims the run, which is then queued again
        assert not monitor.check()
        assert queue.claim(store, started[-1])
        execute(store, "UPDATE runs SET status = 'queued'")
        assert supervisor.reap(store) == []
    assert len(started) == 2 * RESTARTS
    checks = [monitor.check() for _ in range(RESTARTS + 1)]
    assert checks == [False] * RESTARTS + [True]
    run = find_run(store, run_id)
    assert run is not None and run.is_without_worker
    assert not monitor.check() and len(started) == 3 * RESTARTS  # not tried again until it is resumed
    queue.resume(store, [run_id])
    assert not monitor.check() and len(started) == 3 * RESTARTS + 1


def test_the_monitor_marks_runs_of_dead_workers_as_crashed(store: Store, started: list[int]) -> None:
    monitor = LivenessMonitor(store)
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    monitor.check()
    assert queue.claim(store, started[0])
    assert monitor.check()
    assert [run.status for run in list_runs(store)] == ["crashed"]
    assert not monitor.check()


def test_the_monitor_checks_only_once_per_interval(
    store: Store, started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "LIVENESS_SECONDS", 3600.0)
    monitor = LivenessMonitor(store)
    monitor.check()
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    monitor.check()
    assert started == []
