"""Tests of the real worker, on the real digits and a real store."""

from __future__ import annotations

import contextlib
import io
import math
import os
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from rich.console import Console

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.follow import follow
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.execution.worker import BUSY_SECONDS
from initlab_tui.reports.run_page import run_page
from initlab_tui.services.stored_runs import read_details
from initlab_tui.store import layer_statistics, queue, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.files import checkpoint_name
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_runs
from tests.conftest import ONE_THREAD, WarmStore
from tests.database import execute

# Too long to finish within a test.
ENDLESS: dict[str, Any] = {"epochs": 1_000_000, "hidden": "32", "batch_size": 32}


@pytest.fixture
def lab(warm_store: WarmStore) -> Iterator[Store]:
    """A store with a worker ready to train."""
    with warm_store.open() as store:
        yield store
        queue.stop(store, [run.id for run in list_runs(store) if run.status.is_active])


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true within {seconds} s"
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def enqueue(store: Store, folder: Path = Path("/"), **fields: object) -> int:
    return queue.enqueue(store, None, [RunSpec.checked(**fields)], Requirements("cpu", 1, None, folder))[0]


def get_run(store: Store, run_id: int) -> Run:
    run = find_run(store, run_id)
    assert run is not None
    return run


def wait_for(store: Store, run_id: int) -> Run:
    *_, last = follow(store, [run_id])
    return last.runs[0]


def wait_for_step(store: Store, run_id: int, step: int = 1) -> None:
    wait_until(lambda: get_run(store, run_id).step >= step)


def test_a_runs_record_holds_everything_needed_to_repeat_it(lab: Store) -> None:
    run = wait_for(lab, enqueue(lab, epochs=3, batch_size=32, initializer="he_normal"))
    assert (run.status, run.step, run.total_steps) == ("done", 132, 132)
    assert run.test_accuracy is not None and run.test_accuracy > 0.9
    train, test = read_curve(lab, run.id, "train"), read_curve(lab, run.id, "test")
    assert train.steps == tuple(range(1, 133))
    assert test.steps == (0, 44, 88, 132)
    assert test.accuracies[-1] == run.test_accuracy
    assert set(run.record["versions"]) == {"initlab-tui", "python", "tensorflow", "keras", "numpy"}
    assert (run.record["threads"], run.record["execution"], run.record["data_fingerprint"]) == (
        *(1, "xla"),
        "6eb4295934048849",
    )
    assert run.record["device"].startswith("CPU")
    assert run.created <= (run.started or 0) <= (run.ended or 0)
    assert [kind for _, kind, _ in read_events(lab, run.id)] == ["queued", "claimed", "started", "measured", "done"]
    assert run.diagnosis == "healthy"
    first = layer_statistics.read(lab, run.id)[0]
    assert (first.step, first.diagnosis.name) == (0, "healthy")
    assert [layer.layer for layer in first.measurement.layers] == ["dense_1", "dense_2", "logits"]
    assert first.measurement.network["chance_loss"] == pytest.approx(math.log(10))


def test_data_dependent_initialization_is_in_the_record_and_on_the_run_page(lab: Store) -> None:
    run = wait_for(lab, enqueue(lab, hidden="32,32", batch_size=32, initializer="lsuv"))
    fitted = run.record["initialization"]
    assert fitted["images"] == 512
    assert [(layer["layer"], layer["iterations"]) for layer in fitted["layers"]] == [
        *(("dense_1", 1), ("dense_2", 1), ("logits", 1)),
    ]
    page = Console(width=120, record=True, file=io.StringIO())
    page.print(run_page(read_details(lab, run.id)))
    assert re.search(
        r"dense_1 to logits +iterations 1, variance drawn 0.* to .*, variance 1, ended within the margin",
        page.export_text(),
    )
    assert "initialization" not in wait_for(lab, enqueue(lab, hidden="32,32", batch_size=32)).record


def test_stopping_a_run_keeps_its_recorded_steps(lab: Store) -> None:
    run_id = enqueue(lab, **ENDLESS)
    wait_for_step(lab, run_id)
    queue.stop(lab, [run_id])
    run = wait_for(lab, run_id)
    assert (run.status, run.reason) == ("stopped", "on request")
    assert len(read_curve(lab, run_id, "train").steps) == run.step > 0


def test_pausing_and_resuming_gives_the_same_curves_as_an_uninterrupted_run(lab: Store) -> None:
    fields: dict[str, Any] = {"epochs": 400, "batch_size": 32, "hidden": "32", "initializer": "he_normal"}
    whole = wait_for(lab, enqueue(lab, **fields))
    run_id = enqueue(lab, **fields)
    wait_for_step(lab, run_id)
    queue.pause(lab, [run_id])
    wait_until(lambda: get_run(lab, run_id).status == "paused")
    paused = get_run(lab, run_id)
    checkpoint = lab.files.folder / checkpoint_name(run_id)
    assert checkpoint.is_file() and checkpoint.stat().st_mode & 0o777 == 0o600
    assert 0 < paused.step < (paused.total_steps or 0)
    # Meanwhile its worker is free for other runs.
    assert wait_for(lab, enqueue(lab, seed=9)).status == "done"
    queue.resume(lab, [run_id])
    resumed = wait_for(lab, run_id)
    assert resumed.status == "done"
    assert resumed.record["resumed_at_step"] == paused.step
    assert read_curve(lab, run_id, "train") == read_curve(lab, whole.id, "train")
    assert read_curve(lab, run_id, "test") == read_curve(lab, whole.id, "test")
    assert not checkpoint.exists()


def test_divergence_is_recorded_as_the_runs_result(lab: Store) -> None:
    run = wait_for(lab, enqueue(lab, optimizer="sgd", learning_rate=1e4, hidden="16x4", activation="linear"))
    assert run.status == "diverged"
    assert "at step" in run.reason
    assert run.test_loss is None and run.test_accuracy is not None
    assert np.isnan(read_curve(lab, run.id, "train").losses[-1])


def test_a_failed_run_has_a_reason_and_a_log_and_its_worker_continues(lab: Store, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def draw(shape):\n    raise RuntimeError('cannot draw')\n")
    run = wait_for(lab, enqueue(lab, tmp_path, initializer="import:broken.draw"))
    assert run.status == "failed"
    assert "cannot draw" in run.reason
    assert "RuntimeError: cannot draw" in run.log_tail
    assert wait_for(lab, enqueue(lab)).status == "done"


def test_a_custom_initializer_is_imported_from_the_working_folder(lab: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import numpy as np\ndef draw(shape):\n    return np.full(shape, 0.0)\n")
    custom = wait_for(lab, enqueue(lab, tmp_path, initializer="import:mine.draw"))
    zeros = wait_for(lab, enqueue(lab, initializer="zeros"))
    assert read_curve(lab, custom.id, "train") == read_curve(lab, zeros.id, "train")


def test_modules_of_the_same_name_in_two_folders_are_kept_apart(lab: Store, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for value, folder in enumerate(folders):
        folder.mkdir()
        body = f"import numpy\ndef draw(shape):\n    return numpy.full(shape, {value}.0)\n"
        (folder / "same.py").write_text(body)
    custom = [wait_for(lab, enqueue(lab, folder, initializer="import:same.draw")) for folder in folders]
    built_in = [wait_for(lab, enqueue(lab, initializer=name)) for name in ("zeros", "ones")]
    curves = [read_curve(lab, run.id, "train") for run in custom]
    assert curves == [read_curve(lab, run.id, "train") for run in built_in]
    assert curves[0] != curves[1]
    assert [run.record["initializer_file"] for run in custom] == [str(folder / "same.py") for folder in folders]


def test_a_missing_dataset_file_fails_the_run(lab: Store, tmp_path: Path) -> None:
    spec = RunSpec.checked(dataset=f"npz:{tmp_path}/gone.npz")
    (run_id,) = queue.enqueue(lab, None, [spec], Requirements("cpu", 1, tmp_path / "gone.npz", Path("/")))
    run = wait_for(lab, run_id)
    assert (run.status, "does not exist" in run.reason) == ("failed", True)


def test_workers_run_at_nice_5_in_their_own_session(lab: Store) -> None:
    wait_for(lab, enqueue(lab))
    ((pid, monitor),) = execute(lab, "SELECT pid, monitor_pid FROM workers WHERE ended IS NULL")
    assert psutil.Process(pid).nice() == os.nice(0) + 5
    assert os.getsid(pid) == os.getsid(monitor) == monitor != os.getsid(0)


def test_a_killed_worker_crashes_its_run_and_the_queue_continues(lab: Store) -> None:
    killed, later = enqueue(lab, **ENDLESS), enqueue(lab)
    wait_for_step(lab, killed)
    run = get_run(lab, killed)
    ((pid,),) = execute(lab, "SELECT pid FROM workers WHERE id = ?", (run.worker_id,))
    os.kill(pid, signal.SIGKILL)
    crashed = wait_for(lab, killed)
    assert crashed.status == "crashed"
    assert "SIGKILL" in crashed.reason
    assert len(read_curve(lab, killed, "train").steps) > 0
    assert wait_for(lab, later).status == "done"


def test_a_worker_killed_together_with_its_monitor_is_still_detected(lab: Store) -> None:
    killed = enqueue(lab, **ENDLESS)
    wait_for_step(lab, killed)
    (pids,) = execute(lab, "SELECT monitor_pid, pid FROM workers WHERE id = ?", (get_run(lab, killed).worker_id,))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    crashed = wait_for(lab, killed)
    assert crashed.status == "crashed"
    assert "its process is gone" in crashed.reason


def test_an_idle_worker_exits_after_its_idle_time(lab: Store) -> None:
    before = workers.count_alive(lab)
    (worker_id,) = supervisor.start_workers(lab, WorkerPlan(1, 2, "cpu"), idle=0)
    wait_until(lambda: workers.count_alive(lab) == before)
    ((reason,),) = execute(lab, "SELECT exit FROM workers WHERE id = ?", (worker_id,))
    assert reason == "idle"


def test_a_dismissed_worker_exits_once_the_queue_is_empty(tmp_path: Path) -> None:
    with Store.open(tmp_path / "lab.db") as store:
        run_id = enqueue(store, **ENDLESS)
        (worker_id,) = supervisor.start_workers(store, ONE_THREAD, idle=3600)
        wait_for_step(store, run_id)
        workers.dismiss(store, [worker_id])
        last = enqueue(store)
        queue.stop(store, [run_id])
        wait_until(lambda: workers.count_alive(store) == 0)
        assert get_run(store, last).status == "done"  # runs queued by then are still trained


def test_a_dismissed_idle_worker_exits_at_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "lab.db") as store:
        ids = supervisor.start_workers(store, ONE_THREAD, idle=3600)
        ended = wait_for(store, enqueue(store)).ended or 0
        heartbeat = "SELECT heartbeat FROM workers WHERE ended IS NULL"
        wait_until(lambda: execute(store, heartbeat)[0][0] > ended)  # it is idle
        workers.dismiss(store, ids)
        wait_until(lambda: workers.count_alive(store) == 0, seconds=10)


def test_a_stop_request_is_fast_while_the_worker_writes_continuously(lab: Store) -> None:
    # A tiny network evaluated after each step yields hundreds of events a second.
    run_id = enqueue(lab, epochs=1_000_000, hidden="16", eval_every=1)
    supervisor.start_workers(lab, ONE_THREAD)
    wait_for_step(lab, run_id, step=50)
    with Store.open(lab.path) as other:
        before = time.monotonic()
        queue.stop(other, [run_id])
        requested = time.monotonic()
        wait_until(lambda: get_run(other, run_id).status == "stopped", seconds=10)
        stopped = time.monotonic()
    assert requested - before < 1
    assert stopped - requested < 2
    run = get_run(lab, run_id)
    assert read_curve(lab, run_id, "train").steps == tuple(range(1, run.step + 1))
    assert set(read_curve(lab, run_id, "test").steps) >= set(range(run.step))


def test_a_worker_exits_when_its_store_is_deleted_and_does_not_recreate_it(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.db")
    run_id = enqueue(store, **ENDLESS)
    supervisor.start_workers(store, ONE_THREAD)
    wait_for_step(store, run_id)
    (pids,) = execute(store, "SELECT monitor_pid, pid FROM workers")
    (tmp_path / "lab.db").unlink()
    with pytest.raises(InvalidInputError, match="was removed"):
        wait_for(store, run_id)
    wait_until(lambda: all(map(has_ended, pids)))
    assert not (tmp_path / "lab.db").exists()


def test_runs_for_a_gpu_unseen_by_tensorflow_stay_queued_unless_the_device_is_auto(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    requirements = Requirements("gpu:0", 1, None, Path("/"))
    (on_gpu,) = queue.enqueue(store, None, [RunSpec()], requirements)
    supervisor.start_workers(store, WorkerPlan(1, 1, "gpu:0"))
    run = wait_for(store, on_gpu)
    assert run.is_without_worker and "TensorFlow sees no GPU" in run.reason
    (anywhere,) = queue.enqueue(store, None, [RunSpec()], Requirements("auto", 1, None, Path("/")))
    supervisor.start_workers(store, WorkerPlan(1, 1, "auto"))
    run = wait_for(store, anywhere)
    assert run.status == "done" and "trained on the CPU" in run.record["note"]


def test_the_users_keras_configuration_has_no_effect(
    store: Store, lab: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "float64", "image_data_format": "channels_first"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (run_id,) = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    supervisor.start_workers(store, ONE_THREAD)
    assert wait_for(store, run_id).test_loss == wait_for(lab, enqueue(lab)).test_loss


def test_a_long_lock_costs_a_run_nothing(lab: Store) -> None:
    run_id = enqueue(lab, epochs=60, hidden="16", batch_size=32)
    with contextlib.closing(sqlite3.connect(lab.path, isolation_level=None)) as other:
        wait_for_step(lab, run_id)
        other.execute("BEGIN IMMEDIATE")
        time.sleep(3 * BUSY_SECONDS)
        other.execute("COMMIT")
    run = wait_for(lab, run_id)
    assert run.status == "done"
    assert read_curve(lab, run_id, "train").steps == tuple(range(1, (run.total_steps or 0) + 1))


def test_a_worker_does_not_write_to_a_store_that_replaced_its_own(tmp_path: Path) -> None:
    path, old, new = (tmp_path / name / "lab.db" for name in ("here", "old", "new"))
    with Store.open(new) as other:
        enqueue(other)
    store = Store.open(path)
    run_id = enqueue(store, **ENDLESS)
    supervisor.start_workers(store, ONE_THREAD)
    wait_for_step(store, run_id)
    (pids,) = execute(store, "SELECT monitor_pid, pid FROM workers")
    old.parent.mkdir()
    for file in path.parent.glob("lab.db*"):
        if file.is_file():
            file.rename(old.with_name(file.name))
    content = new.read_bytes()
    new.rename(path)
    wait_until(lambda: all(map(has_ended, pids)))
    assert path.read_bytes() == content
    assert not path.with_name("lab.db-wal").exists()
    store.close()
    with Store.open(old) as kept:
        run = get_run(kept, run_id)
        assert run.status == "crashed"
        assert "was replaced by another file while it was open" in run.reason
        assert len(read_curve(kept, run_id, "train").steps) > 0
