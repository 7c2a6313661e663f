"""Writing when the store is locked or its disk is full: nothing is lost, and training continues when it can."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from initlab_tui.domain.events import Started, Stepped
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import patience
from initlab_tui.execution.patience import DISK_FULL, Patience
from initlab_tui.execution.recorder import Recorder
from initlab_tui.execution.worker import reserve
from initlab_tui.store import progress, queue, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run
from tests.disk import fill, small_disk

STARTED = Started(0, 4000, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {"tensorflow": "2"})


def running(store: Store) -> Run:
    """Return a running run."""
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    claimed = queue.claim(store, workers.register(store, "cpu", 1))
    assert claimed is not None
    progress.record_started(store, claimed, STARTED, {})
    return claimed


def stepped(step: int) -> Stepped:
    return Stepped(step, (1 / step,), (0.5,), 0.001, 128)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the store's lock, as another process would."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_while_the_store_is_locked_training_continues_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.01)
    with Store.open(tmp_path / "lab.db", busy_seconds=0.01) as store:
        run = running(store)
        with Recorder(store, run) as recording, locked(store.path) as lock:
            for step in range(1, 101):
                recording.add(stepped(step))
            assert read_curve(store, run.id, "train").steps == ()  # reading does not wait
            threading.Timer(0.3, lambda: lock.execute("COMMIT")).start()
            recording.write()  # this does
        assert read_curve(store, run.id, "train").steps == tuple(range(1, 101))
        found = find_run(store, run.id)
        assert found is not None and found.samples == 100 * 128


def test_a_terminated_worker_does_not_wait_forever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(patience, "GRACE_SECONDS", 0.1)
    with Store.open(tmp_path / "lab.db", busy_seconds=0.01) as store:
        run = running(store)
        waiting = Patience(store, 1)
        waiting.terminate()
        with locked(store.path), pytest.raises(StoreError, match="locked"):
            waiting.until_possible(lambda: progress.record(store, run, [stepped(1)]))


def test_another_error_is_not_waited_for(store: Store) -> None:
    def write() -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.raises(StoreError, match="malformed"):
        Patience(store, 1).until_possible(write)


def test_on_a_full_disk_training_waits_and_continues_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.05)
    with small_disk(tmp_path / "small", megabytes=8) as folder, Store.open(folder / "lab.db") as store:
        run = running(store)
        with reserve(store, run.worker_id or 0), Recorder(store, run) as recording:
            filler = fill(folder, leaving=0)
            reasons: list[str] = []

            def watch() -> None:
                with Store.open(folder / "lab.db") as other:
                    for _ in range(200):
                        found = find_run(other, run.id)
                        if found and found.reason:
                            reasons.append(found.reason)
                            break
                        time.sleep(0.05)
                filler.unlink()

            threading.Thread(target=watch).start()
            for first in range(1, 4001, 20):
                losses = tuple(1 / step for step in range(first, first + 20))
                recording.add(Stepped(first, losses, losses, 0.001, 128))
                recording.write()
        assert reasons == [DISK_FULL]
        assert read_curve(store, run.id, "train").steps == tuple(range(1, 4001))
        found = find_run(store, run.id)
        assert found is not None and found.reason == ""


def test_a_run_that_waits_for_room_can_be_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "RETRY_SECONDS", 0.05)
    with small_disk(tmp_path / "small", megabytes=8) as folder, Store.open(folder / "lab.db") as store:
        run = running(store)
        with reserve(store, run.worker_id or 0):
            fill(folder, leaving=0)

            def stop() -> None:
                with Store.open(folder / "lab.db") as other:
                    while not (found := find_run(other, run.id)) or not found.reason:
                        time.sleep(0.05)
                    queue.stop(other, [run.id])

            stopper = threading.Thread(target=stop)
            stopper.start()
            Patience(store, run.worker_id or 0).wait_for_room(run)
            stopper.join()
        assert progress.read_request(store, run) == "stop"
