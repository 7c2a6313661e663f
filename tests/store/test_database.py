from __future__ import annotations

import dataclasses
import math
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.events import Evaluated, Started, Stepped, json_ready
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import processes, supervisor
from initlab_tui.execution.heartbeats import HeartbeatWatch
from initlab_tui.store import migrations, progress, queue, sql, worker_deaths, workers
from initlab_tui.store.curves import read_curve, read_trend
from initlab_tui.store.database import Store
from initlab_tui.store.events import note, read_events
from initlab_tui.store.files import StoreFiles, checkpoint_name, previous_checkpoint_name
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_comparison_runs, list_runs
from initlab_tui.store.sql import insert
from tests.clock import Clock

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
STARTED = Started(0, 100, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {"tensorflow": "2"})


def register_worker(store: Store, device: str = "cpu", threads: int = 1) -> int:
    return workers.register(store, device, threads)


def queued(store: Store, count: int = 1, requirements: Requirements = REQUIREMENTS) -> list[int]:
    return queue.enqueue(store, None, [RunSpec(seed=seed) for seed in range(count)], requirements)


def claimed(store: Store) -> Run:
    queued(store)
    run = queue.claim(store, register_worker(store))
    assert run is not None
    progress.record_started(store, run, STARTED, {})
    return run


def status(store: Store, run_id: int) -> str:
    run = find_run(store, run_id)
    assert run is not None
    return run.status


def test_only_the_user_can_read_the_store(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "lab.db"
    with Store.open(path) as store:
        claimed(store)
        store.files.check()
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()}
    assert modes.pop("lab.db-files") == 0o700
    assert set(modes.values()) == {0o600}, modes
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {0o700}


def test_migrating_an_older_store_keeps_its_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.db"
    with monkeypatch.context() as context:
        context.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])
        with Store.open(path) as old:
            spec = RunSpec(seed=7)
            insert(
                sql.connection(old),
                "runs",
                {
                    "id": 5,
                    "spec": spec.to_json(),
                    "identity": spec.spec_hash,
                    "seed": 7,
                    "created": 1.0,
                    "status": "done",
                }
                | {"import_folder": "/", "device": "cpu", "threads": 1, "test_loss": 0.5},
            )
            sql.connection(old).execute("INSERT INTO metrics VALUES (5, 'train', 1, 2.5, 0.25)")
            note(sql.connection(old), 5, "done")
    with Store.open(path) as store:
        (run,) = list_runs(store)
        assert (run.id, run.spec, run.status, run.test_loss, run.name, run.tags) == (5, spec, "done", 0.5, "", "")
        assert read_curve(store, 5, "train").losses == (2.5,)
        assert [kind for _, kind, _ in read_events(store, 5)] == ["done"]
        assert queued(store) == [6]
        assert sql.connection(store).execute("PRAGMA foreign_key_check").fetchall() == []
        sql.connection(store).execute("DELETE FROM runs WHERE id = 5")
        assert (read_curve(store, 5, "train").steps, read_events(store, 5)) == ((), [])


OPEN = "import sys, pathlib; from initlab_tui.store.database import Store; Store.open(pathlib.Path(sys.argv[1]))"


def test_several_processes_can_create_a_store_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN, str(tmp_path / "lab.db")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    assert [process.communicate()[1] for process in processes] == [""] * 6


def test_opening_a_store_again_keeps_the_locks_of_this_process(store: Store) -> None:
    # POSIX releases all of a process's locks on a file when the process closes any descriptor of it.
    write = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0.2).execute('BEGIN IMMEDIATE')"
    command = [sys.executable, "-c", write, str(store.path)]
    with sql.transaction(store):
        Store.open(store.path).close()
        other = subprocess.run(command, capture_output=True, text=True)
    assert "database is locked" in other.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0


def _not_sqlite(path: Path) -> None:
    path.write_text("text that is long enough not to look like an empty file" * 20)


def _another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cookies (a)")


def _newer(path: Path) -> None:
    Store.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.mkdir(), "is a directory"),
        (_not_sqlite, "not a database"),
        (_another_program, "another program"),
        (_newer, "newer version of initlab-tui (schema 99"),
    ],
)
def test_a_file_that_is_not_a_store_is_refused_and_left_unchanged(tmp_path: Path, make: object, words: str) -> None:
    path = tmp_path / "lab.db"
    assert callable(make)
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(InvalidInputError) as caught:
        Store.open(path)
    assert str(path) in str(caught.value) and words in str(caught.value)
    assert before is None or path.read_bytes() == before


def test_a_store_whose_folder_cannot_be_created_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInputError, match="cannot be written"):
        Store.open(tmp_path / "file" / "lab.db")


def test_no_two_workers_claim_the_same_run(store: Store) -> None:
    ids = queued(store, 40)
    workers = [register_worker(store) for _ in range(4)]
    taken: list[int] = []

    def take(worker_id: int) -> None:
        with Store.open(store.path) as connection:
            while run := queue.claim(connection, worker_id):
                taken.append(run.id)

    threads = [threading.Thread(target=take, args=(worker_id,)) for worker_id in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == ids


def test_a_worker_claims_only_runs_for_its_device_and_threads(store: Store) -> None:
    two_threads = queued(store, 1, Requirements("cpu", 2, None, Path("/")))
    gpu = queued(store, 1, Requirements("gpu:1", 1, None, Path("/")))
    assert queue.claim(store, register_worker(store)) is None
    run = queue.claim(store, register_worker(store, threads=2))
    assert run is not None and [run.id] == two_threads
    run = queue.claim(store, register_worker(store, device="gpu:1"))
    assert run is not None and [run.id] == gpu


def test_claiming_from_an_empty_queue_takes_no_lock(store: Store) -> None:
    worker_id = register_worker(store)
    with Store.open(store.path) as other, sql.transaction(other):
        sql.connection(store).execute("PRAGMA busy_timeout = 0")
        assert queue.claim(store, worker_id) is None


def test_a_worker_retires_only_when_no_run_is_queued_for_it(store: Store) -> None:
    worker_id = register_worker(store)
    queued(store)
    assert not workers.retire_if_idle(store, worker_id)
    assert queue.claim(store, worker_id)
    assert workers.retire_if_idle(store, worker_id)
    queued(store)
    assert queue.claim(store, worker_id) is None  # it has retired: a new worker is needed


def test_non_finite_values_are_read_as_nan(store: Store) -> None:
    run = claimed(store)
    progress.record(store, run, [Stepped(1, (1.0, math.inf, math.nan), (0.1, 0.2, 0.3), 0.5, 30)])
    progress.record(store, run, [Evaluated(3, math.inf, 0.25)])
    curve = read_curve(store, run.id, "train")
    assert curve.steps == (1, 2, 3)
    assert curve.losses[0] == 1.0 and all(math.isnan(loss) for loss in curve.losses[1:])
    found = find_run(store, run.id)
    assert found is not None and (found.test_loss, found.test_accuracy) == (None, 0.25)
    assert json_ready({"losses": curve.losses}) == {"losses": [1.0, None, None]}


def test_samples_per_second_counts_training_steps_alone(store: Store) -> None:
    run = claimed(store)
    progress.record(store, run, [Stepped(1, (1.0,), (0.1,), 0.5, 100)])
    progress.record(store, run, [Stepped(2, (1.0,), (0.1,), 0.5, 200)])
    found = find_run(store, run.id)
    assert found is not None and found.samples_per_second == 300


def test_a_request_reaches_the_worker_with_its_next_record(store: Store) -> None:
    run = claimed(store)
    assert progress.record(store, run, [Stepped(1, (1.0,), (0.1,), 0.1, 10)]) is None
    assert queue.stop(store, [run.id]) == [run.id]
    assert progress.record(store, run, [Stepped(2, (1.0,), (0.1,), 0.1, 10)]) == "stop"
    progress.release(store, run, RunStatus.STOPPED, "on request")
    assert status(store, run.id) == "stopped"
    assert queue.stop(store, [run.id]) == []


def test_queued_runs_are_stopped_paused_and_resumed_immediately(store: Store) -> None:
    stopped, paused = queued(store, 2)
    assert queue.stop(store, [stopped]) == [stopped]
    assert queue.pause(store, [paused]) == [paused]
    assert (status(store, stopped), status(store, paused)) == ("stopped", "paused")
    assert queue.claim(store, register_worker(store)) is None
    assert queue.resume(store, [stopped, paused]) == [stopped, paused]
    run = queue.claim(store, register_worker(store))
    assert run is not None and run.id == stopped
    with pytest.raises(InvalidInputError, match="no run 99"):
        queue.stop(store, [99])


def test_a_run_marked_as_crashed_is_not_written_to(store: Store) -> None:
    run = claimed(store)
    assert run.worker_id is not None
    worker_deaths.mark_dead(store, run.worker_id, "exit code 3")
    with pytest.raises(progress.LostRunError):
        progress.record(store, run, [Stepped(1, (1.0,), (0.1,), 0.1, 10)])
    with pytest.raises(progress.LostRunError):
        progress.release(store, run, RunStatus.DONE)
    assert status(store, run.id) == "crashed"
    assert read_curve(store, run.id, "train").steps == ()


def test_dead_workers_are_detected_by_process_here_and_by_an_unchanged_heartbeat_on_other_hosts(store: Store) -> None:
    queued(store, 3)
    suspended, gone, elsewhere = (register_worker(store) for _ in range(3))
    for worker_id in (suspended, gone, elsewhere):
        assert queue.claim(store, worker_id)
    long_ago, clock = time.time() - 10 * supervisor.SILENT_SECONDS, Clock()
    heartbeats = HeartbeatWatch(clock)
    mine = (os.getpid(), processes.born(os.getpid()))
    update = "UPDATE workers SET monitor_pid = ?, monitor_born = ?, heartbeat = ? WHERE id = ?"
    sql.connection(store).execute(update, (*mine, long_ago, suspended))
    # The pid exists, but belongs to another process by now.
    sql.connection(store).execute(update, (mine[0], (mine[1] or 0) - 100, time.time(), gone))
    sql.connection(store).execute(
        "UPDATE workers SET host = 'elsewhere', heartbeat = ? WHERE id = ?", (long_ago, elsewhere)
    )
    crashed = supervisor.reap(store, heartbeats)
    while clock.now <= supervisor.SILENT_SECONDS:
        clock.now += 1.0
        crashed += supervisor.reap(store, heartbeats)
    by_worker = {run.worker_id: run for run in list_runs(store)}
    assert sorted(crashed) == sorted([by_worker[gone].id, by_worker[elsewhere].id])
    assert by_worker[suspended].status == "running"
    assert "its process is gone" in by_worker[gone].reason
    assert "no heartbeat from host elsewhere for 61 s" in by_worker[elsewhere].reason


@pytest.mark.parametrize("offset", [-86400.0, 0.0, 86400.0])
def test_a_host_whose_clock_is_a_day_off_loses_no_run(store: Store, offset: float) -> None:
    run, clock = claimed(store), Clock()
    heartbeats = HeartbeatWatch(clock)
    for _ in range(300):
        clock.now += 1.0
        if clock.now % 2 == 0:
            sql.connection(store).execute(
                "UPDATE workers SET host = 'elsewhere', heartbeat = ?", (1e9 + offset + clock.now,)
            )
        assert supervisor.reap(store, heartbeats) == []
    assert status(store, run.id) == "running"


def test_a_process_that_was_stopped_for_an_hour_does_not_mark_workers_dead(store: Store) -> None:
    run, clock = claimed(store), Clock()
    sql.connection(store).execute("UPDATE workers SET host = 'elsewhere'")
    heartbeats = HeartbeatWatch(clock)
    for _ in range(3):
        assert supervisor.reap(store, heartbeats) == []
        clock.now += 3600.0  # it looks again before the other host's heartbeat has arrived
    assert status(store, run.id) == "running"


def test_readers_are_not_blocked_by_a_writer_and_see_only_committed_data(store: Store) -> None:
    run = claimed(store)
    with Store.open(store.path) as reader:
        before = reader.data_version()
        with sql.transaction(store) as connection:
            connection.execute("UPDATE runs SET step = 7")
            found = find_run(reader, run.id)
            assert found is not None and found.step == 0
            assert reader.data_version() == before
        found = find_run(reader, run.id)
        assert found is not None and found.step == 7
        assert reader.data_version() != before


def test_a_pause_does_not_override_a_stop(store: Store) -> None:
    run = claimed(store)
    queue.stop(store, [run.id])
    queue.pause(store, [run.id])
    assert progress.record(store, run, [Stepped(1, (1.0,), (0.1,), 0.1, 10)]) == "stop"


def test_stopping_a_paused_run_keeps_its_checkpoint(store: Store) -> None:
    run = claimed(store)
    store.files.create(checkpoint_name(run.id), b"state")
    progress.release(store, run, RunStatus.PAUSED)
    queue.stop(store, [run.id])
    assert status(store, run.id) == "stopped" and [file.name for file in store.files.folder.iterdir()] == ["run-1.npz"]


def test_the_checkpoints_of_a_run_with_a_result_are_removed(store: Store) -> None:
    run = claimed(store)
    store.files.create(checkpoint_name(run.id), b"state")
    store.files.create(previous_checkpoint_name(run.id), b"state")
    progress.record_checkpoint(store, run)
    progress.release(store, run, RunStatus.DONE)
    found = find_run(store, run.id)
    assert found is not None and found.checkpoint is None
    assert not any(store.files.folder.iterdir())


def test_a_run_is_not_resumed_on_changed_data(store: Store) -> None:
    run = claimed(store)
    progress.release(store, run, RunStatus.PAUSED)
    queue.resume(store, [run.id])
    again = queue.claim(store, register_worker(store))
    assert again is not None
    with pytest.raises(ValueError, match="changed since the checkpoint at step 5"):
        progress.record_started(store, again, dataclasses.replace(STARTED, step=5, fingerprint="e" * 16), {})


def test_two_stores_in_a_folder_have_separate_file_folders(tmp_path: Path) -> None:
    assert StoreFiles(tmp_path / "lab.db").folder != StoreFiles(tmp_path / "lab.sqlite").folder


def test_the_duration_of_a_crashed_run_ends_at_the_last_heartbeat(store: Store) -> None:
    run = claimed(store)
    day = 86_400
    sql.connection(store).execute("UPDATE workers SET heartbeat = heartbeat - ?", (day,))
    sql.connection(store).execute("UPDATE runs SET timed_from = timed_from - ? - 5", (day,))
    assert run.worker_id is not None
    worker_deaths.mark_dead(store, run.worker_id, "gone")
    found = find_run(store, run.id)
    assert found is not None and 4 < found.seconds < 9


def test_a_clock_change_does_not_mark_workers_dead(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = claimed(store)
    mine = (os.getpid(), processes.born(os.getpid()), run.worker_id)
    sql.connection(store).execute("UPDATE workers SET monitor_pid = ?, monitor_born = ? WHERE id = ?", mine)
    # After a change of the clock, the boot time and every process's creation time move with it.
    booted, created = psutil.boot_time(), psutil.Process.create_time
    monkeypatch.setattr(psutil, "boot_time", lambda: booted + 3600)
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: created(self) + 3600)
    monkeypatch.setattr(time, "time", lambda now=time.time: now() + 3600)
    assert supervisor.reap(store) == []
    assert status(store, run.id) == "running"


def test_a_worker_marked_dead_retires(store: Store) -> None:
    run = claimed(store)
    queued(store)
    assert run.worker_id is not None
    worker_deaths.mark_dead(store, run.worker_id, "gone")
    assert workers.retire_if_idle(store, run.worker_id)


def test_a_comparison_is_stored_as_submitted(store: Store) -> None:
    comparison = Comparison.checked(initializers=["zeros", "random_normal"], seeds=[0, 1])
    ids = queue.enqueue(store, comparison, list(comparison.runs()), REQUIREMENTS)
    run = find_run(store, ids[0])
    assert run is not None and run.comparison_id is not None
    (kept,) = (
        sql.connection(store)
        .execute("SELECT comparison FROM comparisons WHERE id = ?", (run.comparison_id,))
        .fetchone()
    )
    assert Comparison.from_json(kept) == comparison
    assert [found.id for found in list_comparison_runs(store, run.comparison_id)] == ids
    assert [found.spec for found in list_runs(store, ids)] == list(comparison.runs())


def with_losses(store: Store, losses: list[float], first: int = 1) -> int:
    run = claimed(store)
    progress.record(store, run, [Stepped(first, tuple(losses), tuple(i / 1e6 for i in range(len(losses))), 1.0, 1)])
    return run.id


def test_a_trend_has_the_means_of_equal_ranges_at_their_last_steps(store: Store) -> None:
    run_id = with_losses(store, [8.0, 6.0, 5.0, 3.0, 2.0, 0.0, 1.0])
    trend = read_trend(store, run_id, "train", 3)
    assert (trend.steps, trend.losses) == ((3, 5, 7), (19 / 3, 2.5, 0.5))
    assert trend.accuracies == pytest.approx((1e-6, 3.5e-6, 5.5e-6))
    assert read_trend(store, run_id, "train", 1).losses == pytest.approx((25 / 7,))
    assert read_trend(store, run_id, "test", 3).steps == ()
    with pytest.raises(ValueError, match="buckets must be >= 1, got 0"):
        read_trend(store, run_id, "train", 0)


def test_a_trend_of_a_short_curve_is_the_curve_itself(store: Store) -> None:
    run_id = with_losses(store, [3.0, 2.0, 1.0], first=40)
    for buckets in (3, 4, 1000):
        assert read_trend(store, run_id, "train", buckets) == read_curve(store, run_id, "train")


def test_a_trend_has_a_gap_where_any_value_was_not_finite(store: Store) -> None:
    losses = [1.0, 1.0, math.nan, 1.0, 1.0, math.inf, 1e308, 1.7e308]
    trend = read_trend(store, with_losses(store, losses), "train", 4)
    assert trend.losses[0] == 1.0
    assert all(map(math.isnan, trend.losses[1:]))  # the last because the sum overflows
    assert not any(map(math.isnan, trend.accuracies))


def test_a_trend_of_a_long_run_keeps_its_mean(store: Store) -> None:
    run_id = with_losses(store, [1 / step for step in range(1, 15_001)])
    trend = read_trend(store, run_id, "train", 60)
    assert (len(trend.steps), trend.steps[0], trend.steps[-1]) == (60, 250, 15_000)
    assert sum(trend.losses) / 60 == pytest.approx(sum(1 / step for step in range(1, 15_001)) / 15_000)


def test_a_trend_over_uneven_steps_has_no_more_points_than_requested(store: Store) -> None:
    run = claimed(store)
    for step in (0, 1, 2, 3, 100):
        progress.record(store, run, [Evaluated(step, 1.0, step / 100)])
    assert read_trend(store, run.id, "test", 4).steps == (3, 100)
