"""A disk that fills while runs train: the queue is held, everybody who looks learns why, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from initlab_tui.execution import supervisor
from initlab_tui.execution.patience import DISK_FULL
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from tests.conftest import ONE_THREAD, Command, command_environment, command_line, end_workers
from tests.disk import fill, small_disk
from tests.execution.test_worker import ENDLESS, enqueue, get_run, wait_for, wait_for_step, wait_until
from tests.faults.intact import assert_same_metrics
from tests.tui.terminal import DOWN, ENTER, Terminal

QUEUE = "compare --initializer he_normal --seeds 3 --hidden 32 --batch-size 32 --epochs 400 --workers 1 --threads 1"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, with the store `lab.db` as soon as there is one."""
    with small_disk(tmp_path / "small", megabytes=24) as folder:
        yield folder
        end_workers(folder / "lab.db")


def test_on_a_full_disk_the_queue_is_held_and_continues_when_there_is_room(disk: Path, initlab: Command) -> None:
    path = disk / "lab.db"
    at = ("--store", str(path))
    submitted = initlab(*QUEUE.split(), "--detach", *at)
    ids = [int(line) for line in submitted.out.split()]
    with Store.open(path) as store:
        wait_for_step(store, ids[0])
        filler = fill(disk, leaving=0)
        wait_until(lambda: get_run(store, ids[0]).reason == DISK_FULL)

        listed = initlab("runs", "--json", *at)
        assert [run["status"] for run in listed.document["runs"]] == ["running", "queued", "queued"]
        assert f"the disk of {path} is full: workers wait" in listed.err
        assert DISK_FULL in initlab("show", str(ids[0]), *at).out
        for command in ("pause", "resume"):  # there is still room for requests
            assert initlab(command, str(ids[2]), *at).code == 0
        last = fill(disk, leaving=0, name="last")
        for command in (f"{QUEUE} --detach", f"pause {ids[1]}", f"stop {ids[2]}"):
            refused = initlab(*command.split(), *at)
            assert (refused.code, refused.out) == (2, ""), command
            assert refused.err.startswith("initlab-tui: the store cannot be used: database or disk is full")
        for command in ("runs", "leaderboard", f"show {ids[1]}"):
            assert initlab(*command.split(), *at).code == 0
        look_with_the_lab(path, disk.parent)
        assert [get_run(store, run_id).status for run_id in ids] == ["running", "queued", "queued"]

        with following(path, ids[0], disk.parent) as attached:
            assert attached.stderr is not None
            assert attached.stderr.readline().strip() == DISK_FULL
            for file in (filler, last):
                file.unlink()
            attached.communicate(timeout=100)
            assert attached.returncode == 0
        again = [int(line) for line in initlab(*QUEUE.split(), "--detach", *at).out.split()]
        assert initlab("attach", str(again[0]), *at).code == 0
        for run_id, reference in zip(ids, again, strict=True):
            assert get_run(store, run_id).reason == ""
            assert_same_metrics(store, run_id, reference)
        assert not list(store.files.folder.glob("run-*"))


def following(path: Path, run_id: int, home: Path) -> subprocess.Popen[str]:
    """Start a command that follows the comparison of a run."""
    command = command_line(["attach", str(run_id), "--store", str(path)])
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=command_environment(home), stdout=pipe, stderr=pipe, text=True)


def look_with_the_lab(path: Path, home: Path) -> None:
    """Open the lab on a full disk, read there that training waits, and leave."""
    environment = command_environment(home, TERM="xterm-256color")
    del environment["COLUMNS"]  # the terminal has its own size
    with Terminal(command_line(["--store", str(path)]), (120, 36), environment, home) as lab:
        lab.wait_for("the disk of the store is full")
        lab.send("r")
        lab.wait_for("Queue it again")
        lab.send(DOWN + ENTER)
        lab.wait_for("Not queued")
        lab.send("q")
        lab.wait_for("Keep running")
        lab.send(ENTER)
        assert lab.exit_code() == 0


def test_without_room_for_the_checkpoint_of_a_pause_a_run_trains_on_and_says_so(disk: Path, initlab: Command) -> None:
    with Store.open(disk / "lab.db") as store:
        run_id = enqueue(store, **ENDLESS | {"hidden": "1024,1024,1024"})  # 25 MB with Adam's state
        supervisor.start_workers(store, ONE_THREAD)
        wait_for_step(store, run_id)
        assert initlab("pause", str(run_id), "--store", str(store.path)).code == 0
        wait_until(lambda: "not paused" in get_run(store, run_id).reason)
        refused = get_run(store, run_id)
        assert (refused.status, refused.request) == ("running", None)
        assert "No space left" in refused.reason
        assert "No space left" in next(detail for _, kind, detail in read_events(store, run_id) if kind == "checkpoint")
        assert "not paused: " in initlab("runs", "--store", str(store.path)).out
        assert not list(store.files.folder.glob("run-*"))  # no fragment of the checkpoint
        wait_for_step(store, run_id, refused.step + 1)
        queue.stop(store, [run_id])
        stopped = wait_for(store, run_id)
        assert stopped.status == "stopped" and "No space left" in stopped.reason
        wait_until(lambda: workers.count_alive(store) == 0)
