"""`attach` follows runs of other programs, and leaves them as they are."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import processes
from initlab_tui.store import progress, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.conftest import Command, command_environment, command_line
from tests.database import execute

COMPARISON = Comparison.checked(base=RunSpec.checked(), initializers=("zeros", "ones"), seeds=range(1))
REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))


@pytest.fixture
def path(store: Store) -> str:
    """A store with a comparison whose two runs are running, with this process as their worker."""
    queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS)
    for _ in range(2):
        worker_id = workers.register(store, "cpu", 1)
        workers.set_process(store, worker_id, os.getpid(), processes.born(os.getpid()))
        assert queue.claim(store, worker_id)
    return str(store.path)


def finish(store: Store) -> None:
    for run in list_runs(store):
        if run.status is RunStatus.RUNNING:
            progress.release(store, run, RunStatus.DONE)
    execute(store, "UPDATE runs SET test_accuracy = 0.5, test_loss = 1.0 WHERE status = 'done'")


def follow_on_a_terminal(
    path: str, home: Path, act: Callable[[subprocess.Popen[str]], None], *options: str
) -> tuple[int, str, bytes]:
    """Attach, call `act` when the runs are shown, and return the exit code, stdout and the terminal's output."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        command_line(["attach", "--store", path, *options]),
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        env=command_environment(home, TERM="xterm-256color"),
        start_new_session=True,
    ) as command:
        os.close(terminal)
        seen, acted = b"", False
        while True:
            try:
                seen += os.read(controller, 65536)
            except OSError:
                break
            if not acted and b"0/2 runs" in seen and b"building" in seen:
                acted = True
                act(command)
        out, _ = command.communicate(timeout=60)
    os.close(controller)
    assert acted
    return command.returncode, out, seen


def test_it_follows_the_runs_of_another_program_to_their_end(store: Store, path: str, tmp_path: Path) -> None:
    code, out, _ = follow_on_a_terminal(path, tmp_path, lambda _: finish(store))
    assert code == 0
    assert "zeros" in out and "ones" in out


def test_ctrl_c_leaves_the_runs_running(store: Store, path: str, tmp_path: Path) -> None:
    code, _, seen = follow_on_a_terminal(path, tmp_path, lambda command: command.send_signal(signal.SIGINT))
    assert code == 130
    assert b"2 of 2 runs keep running" in seen and b"Traceback" not in seen
    assert [(run.status, run.request) for run in list_runs(store)] == [("running", None)] * 2


def test_the_document_is_that_of_the_comparison_of_the_run(store: Store, path: str, initlab: Command) -> None:
    finish(store)
    queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS)
    found = initlab("attach", "2", "--json", "--store", path)
    assert (found.code, found.document["comparison"]["id"]) == (0, 1)
    assert [run["id"] for run in found.document["runs"]] == [1, 2]
    assert {row["initializer"] for row in found.document["leaderboard"]} == {"zeros", "ones"}


def test_the_exit_code_is_1_if_a_run_did_not_end_well(store: Store, path: str, initlab: Command) -> None:
    finish(store)
    execute(store, "UPDATE runs SET status = 'crashed', reason = 'worker 2 died' WHERE id = 2")
    found = initlab("attach", "1", "--store", path)
    assert (found.code, "run 2 crashed: worker 2 died" in found.err) == (1, True)


def test_there_may_be_nothing_to_follow(store: Store, path: str, initlab: Command) -> None:
    finish(store)
    found = initlab("attach", "--store", path)
    assert (found.code, found.out) == (0, "")
    assert "no run is queued or running" in found.err
    assert initlab("attach", "--json", "--store", path).document == {"comparisons": []}
    unknown = initlab("attach", "99", "--store", path)
    assert (unknown.code, "no run 99" in unknown.err) == (2, True)


def test_runs_say_for_how_long_a_worker_has_been_silent(store: Store, path: str, initlab: Command) -> None:
    workers.record_silence(store, 2, 40.4)
    listed = initlab("runs", "--store", path).out.splitlines()
    assert "silent for 40 s" not in listed[1] and "silent for 40 s" in listed[2]
    assert "run 2: running: silent for 40 s" in initlab("show", "2", "--store", path).out
    silent = [run["silent_seconds"] for run in initlab("runs", "--json", "--store", path).document["runs"]]
    assert silent == [None, 40.0]


def test_runs_without_a_worker_say_why_and_what_to_do(store: Store, initlab: Command) -> None:
    queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS)
    queue.hold_waiting(store, "cpu", 1, "no worker could be started: exit code 1: libtensorflow is broken")
    listed = initlab("runs", "--store", str(store.path))
    assert "2 runs stay queued: no worker could be started: exit code 1: libtensorflow is broken" in listed.err
    assert "initlab-tui resume --all" in listed.err
    assert "no worker is running" not in listed.err
    assert initlab("attach", "--store", str(store.path)).code == 0
    followed = initlab("attach", "1", "--store", str(store.path))
    assert (followed.code, "2 runs stay queued" in followed.err) == (1, True)
