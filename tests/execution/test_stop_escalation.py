"""Signals to real processes that do not react to a request to stop, with a clock that the test sets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import liveness, processes, stop_escalation
from initlab_tui.execution.stop_escalation import (
    KILL_SECONDS,
    PATIENCE_WITH_HEARTBEAT,
    SHOWN_SILENCE_SECONDS,
    TERMINATE_SECONDS,
    StopEscalation,
)
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.clock import Clock
from tests.conftest import Command
from tests.database import execute

WAITING = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); signal.pause()"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ignores SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


@pytest.fixture
def worker_id(store: Store, process: subprocess.Popen[bytes]) -> int:
    """The worker that `process` is, with a run that was asked to stop."""
    (run_id,) = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    worker_id = workers.register(store, "cpu", 1)
    assert queue.claim(store, worker_id)
    workers.set_process(store, worker_id, process.pid, processes.born(process.pid))
    queue.stop(store, [run_id])
    return worker_id


def escalate(store: Store, silent: dict[int, float], *seconds: float) -> StopEscalation:
    """Check at these times after the request."""
    clock = Clock()
    escalation = StopEscalation(clock)
    for clock.now in (0.0, *seconds):
        escalation.check(store, silent)
    return escalation


def test_a_silent_worker_is_killed_after_its_grace_time(
    store: Store, process: subprocess.Popen[bytes], worker_id: int
) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
    silent = {worker_id: SHOWN_SILENCE_SECONDS}
    assert escalate(store, silent, TERMINATE_SECONDS - 1).signalled == set()
    assert escalate(store, silent, TERMINATE_SECONDS, KILL_SECONDS - 1).signalled == {worker_id}
    assert psutil.Process(process.pid).status() == psutil.STATUS_STOPPED  # SIGTERM waits until it continues
    escalate(store, silent, KILL_SECONDS)
    assert process.wait(10) == -signal.SIGKILL


def test_a_worker_with_a_heartbeat_gets_more_time(
    store: Store, process: subprocess.Popen[bytes], worker_id: int
) -> None:
    assert escalate(store, {worker_id: 0.0}, KILL_SECONDS).signalled == set()
    escalate(store, {worker_id: 0.0}, KILL_SECONDS * PATIENCE_WITH_HEARTBEAT)
    assert process.wait(10) == -signal.SIGKILL


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE workers SET born = born - 100",  # the pid belongs to another process now
        "UPDATE workers SET born = NULL",
        "UPDATE workers SET host = 'elsewhere'",
        "UPDATE workers SET ended = 0",
        "UPDATE runs SET request = 'pause'",
        "UPDATE runs SET request = NULL",
    ],
)
def test_no_other_process_gets_a_signal(
    store: Store, process: subprocess.Popen[bytes], worker_id: int, change: str
) -> None:
    execute(store, change)
    assert escalate(store, {worker_id: 100.0}, KILL_SECONDS, 10 * KILL_SECONDS).signalled == set()
    assert process.poll() is None


def test_the_grace_time_of_the_next_run_begins_with_its_own_request(
    store: Store, process: subprocess.Popen[bytes], worker_id: int
) -> None:
    clock = Clock()
    escalation = StopEscalation(clock)
    escalation.check(store, {worker_id: 100.0})
    execute(store, "UPDATE runs SET status = 'stopped'")
    clock.now = 2 * KILL_SECONDS
    escalation.check(store, {worker_id: 100.0})
    execute(store, "UPDATE runs SET status = 'running', request = 'stop'")
    escalation.check(store, {worker_id: 100.0})
    assert escalation.signalled == set() and process.poll() is None


def test_the_stop_command_ends_a_hung_worker_whose_monitor_is_dead(
    store: Store,
    process: subprocess.Popen[bytes],
    worker_id: int,
    initlab: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers.set_monitor(store, worker_id, process.pid, 0.0)  # another process has its pid
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    monkeypatch.setattr(liveness, "LIVENESS_SECONDS", 0.1)
    for name, seconds in (("SHOWN_SILENCE_SECONDS", 0.2), ("TERMINATE_SECONDS", 0.3), ("KILL_SECONDS", 0.6)):
        monkeypatch.setattr(stop_escalation, name, seconds)
    found = initlab("stop", "1", "--store", str(store.path))
    assert (found.code, found.out) == (0, "run 1: stopping\n")
    assert "Nothing monitors the worker of run 1" in found.err
    assert process.wait(10) == -signal.SIGKILL
    assert [run.status for run in list_runs(store)] == ["stopped"]
