"""Workers that die or hang while nobody looks: real monitors, with small scripts as workers.

These tests only read the store; what happens in it is done by the monitors.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import processes, supervisor
from initlab_tui.execution.stop_escalation import SHOWN_SILENCE_SECONDS
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.execution.worker import Worker
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run
from tests.conftest import ONE_THREAD, end_workers
from tests.database import execute

TESTS = Path(__file__).parents[1]
TWO_THREADS = WorkerPlan(1, 2, "cpu")
LAB = """
import signal, sys
from pathlib import Path
from initlab_tui.execution import processes, supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store.database import Store
supervisor.start_workers(Store.open(Path(sys.argv[1])), WorkerPlan(1, 1, "cpu"), idle=600)
print(flush=True)
signal.pause()
"""


@pytest.fixture(autouse=True)
def hanging_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start workers that claim a run and then neither train nor send heartbeats."""
    monkeypatch.setenv("INITLAB_TEST_WORKER", "hang")
    monkeypatch.setenv("PYTHONPATH", f"{TESTS / 'tui/fakes'}:{TESTS.parent}")
    yield
    end_workers(store.path)


def wait_until(condition: Callable[[], bool], seconds: float) -> float:
    """Wait until a condition is true, and return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not true within {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def enqueue(store: Store, threads: int, runs: int = 1) -> list[int]:
    specs = [RunSpec(seed=seed) for seed in range(runs)]
    return queue.enqueue(store, None, specs, Requirements("cpu", threads, None, Path("/")))


def get_run(store: Store, run_id: int) -> Run:
    run = find_run(store, run_id)
    assert run is not None
    return run


def is_running(store: Store, run_id: int) -> bool:
    return get_run(store, run_id).status == "running"


def pids(store: Store, run_id: int) -> tuple[int, int]:
    """Return the pids of the monitor and of the worker of a run, once both are known."""
    query = "SELECT monitor_pid, pid FROM workers WHERE id = ?"
    wait_until(lambda: all(execute(store, query, (get_run(store, run_id).worker_id,))[0]), 10)
    ((monitor, worker),) = execute(store, query, (get_run(store, run_id).worker_id,))
    return monitor, worker


def test_a_worker_killed_with_its_monitor_is_noticed_by_another_monitor_and_the_queue_continues(store: Store) -> None:
    first, second = enqueue(store, threads=1, runs=2)
    (other,) = enqueue(store, threads=2)
    supervisor.start_workers(store, ONE_THREAD)
    supervisor.start_workers(store, TWO_THREADS)
    wait_until(lambda: is_running(store, first) and is_running(store, other), 30)
    pids(store, other)
    for pid in pids(store, first):
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: get_run(store, first).status == "crashed", 30) < 5
    assert "its process is gone, and its monitor too" in get_run(store, first).reason
    wait_until(lambda: is_running(store, second), 30)
    assert is_running(store, other)


def test_a_silent_worker_is_reported_by_its_monitor_until_it_sends_a_heartbeat(store: Store) -> None:
    (run_id,) = enqueue(store, threads=1)
    supervisor.start_workers(store, ONE_THREAD)
    wait_until(lambda: get_run(store, run_id).silent_seconds is not None, 40)
    assert (get_run(store, run_id).silent_seconds or 0) >= SHOWN_SILENCE_SECONDS
    workers.heartbeat(store, get_run(store, run_id).worker_id or 0)
    assert get_run(store, run_id).silent_seconds is None


def test_an_idle_worker_ends_when_the_lab_that_started_it_is_killed(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", LAB, str(store.path)], stdout=subprocess.PIPE) as lab:
        assert lab.stdout is not None
        lab.stdout.readline()
        wait_until(lambda: execute(store, "SELECT pid FROM workers")[0][0] is not None, 30)
        lab.kill()
    assert wait_until(lambda: workers.count_alive(store) == 0, 60) < 10
    assert execute(store, "SELECT exit FROM workers") == [("idle",)]


def test_a_worker_without_its_monitor_ends_when_it_is_idle(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    worker_id = workers.register(store, "cpu", 1, idle_seconds=600)
    worker = Worker(store, worker_id, mock.Mock())  # it compiles nothing
    monkeypatch.setattr(os, "getppid", lambda: 1)
    worker.work()
    assert workers.count_alive(store) == 0


def test_a_worker_whose_monitor_died_at_once_looks_after_the_store_and_ends_when_it_is_idle(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INITLAB_TEST_WORKER", "orphan")
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        birth = processes.born(gone.pid)
    supervisor.start_workers(store, ONE_THREAD, idle=600)
    dead = workers.register(store, "cpu", 2)
    workers.set_monitor(store, dead, gone.pid, birth)
    wait_until(lambda: workers.count_alive(store) == 0, 60)
    assert execute(store, "SELECT exit FROM workers WHERE id <> ?", (dead,)) == [("idle",)]
