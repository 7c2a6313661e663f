"""The real worker on the real digits, through the real store."""

from __future__ import annotations

import io
import math
import os
import re
import signal
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
from initlab_tui.reports.run_page import run_page
from initlab_tui.services.stored_runs import read_details
from initlab_tui.store import layer_statistics, queue, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_runs
from tests.conftest import ONE_THREAD, WarmStore
from tests.database import execute

# Long enough that nothing on earth finishes it within a test.
ENDLESS: dict[str, Any] = {"epochs": 1_000_000, "hidden": "32", "batch_size": 32}


@pytest.fixture
def lab(warm_store: WarmStore) -> Iterator[Store]:
    """A store with a worker that stands ready."""
    with warm_store.open() as store:
        yield store
        queue.stop(store, [run.id for run in list_runs(store) if run.status.is_active])


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "not true in time"
        time.sleep(0.02)


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def enqueue(store: Store, folder: Path = Path("/"), **fields: object) -> int:
    return queue.enqueue(store, None, [RunSpec.checked(**fields)], Requirements("cpu", 1, None, folder))[0]


def found(store: Store, run_id: int) -> Run:
    run = find_run(store, run_id)
    assert run is not None
    return run


def finished(store: Store, run_id: int) -> Run:
    *_, last = follow(store, [run_id])
    return last.runs[0]


def until_training(store: Store, run_id: int, step: int = 1) -> None:
    wait_until(lambda: found(store, run_id).step >= step)


def test_a_run_is_recorded_with_what_it_takes_to_repeat_it(lab: Store) -> None:
    run = finished(lab, enqueue(lab, epochs=3, batch_size=32, initializer="he_normal"))
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


def test_how_a_start_was_fitted_to_the_data_is_in_its_record_and_on_its_page(lab: Store) -> None:
    run = finished(lab, enqueue(lab, hidden="32,32", batch_size=32, initializer="lsuv"))
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
    assert "initialization" not in finished(lab, enqueue(lab, hidden="32,32", batch_size=32)).record


def test_stopping_keeps_what_was_recorded(lab: Store) -> None:
    run_id = enqueue(lab, **ENDLESS)
    until_training(lab, run_id)
    queue.stop(lab, [run_id])
    run = finished(lab, run_id)
    assert (run.status, run.reason) == ("stopped", "on request")
    assert len(read_curve(lab, run_id, "train").steps) == run.step > 0


def test_paused_and_resumed_ends_as_if_never_interrupted(lab: Store) -> None:
    fields: dict[str, Any] = {"epochs": 400, "batch_size": 32, "hidden": "32", "initializer": "he_normal"}
    whole = finished(lab, enqueue(lab, **fields))
    run_id = enqueue(lab, **fields)
    until_training(lab, run_id)
    queue.pause(lab, [run_id])
    wait_until(lambda: found(lab, run_id).status == "paused")
    paused = found(lab, run_id)
    assert paused.checkpoint is not None and Path(paused.checkpoint).is_file()
    assert 0 < paused.step < (paused.total_steps or 0)
    # Its worker is free for others meanwhile.
    assert finished(lab, enqueue(lab, seed=9)).status == "done"
    queue.resume(lab, [run_id])
    resumed = finished(lab, run_id)
    assert resumed.status == "done"
    assert resumed.record["resumed_at_step"] == paused.step
    assert read_curve(lab, run_id, "train") == read_curve(lab, whole.id, "train")
    assert read_curve(lab, run_id, "test") == read_curve(lab, whole.id, "test")
    assert not Path(paused.checkpoint).exists()


def test_diverging_is_a_result(lab: Store) -> None:
    run = finished(lab, enqueue(lab, optimizer="sgd", learning_rate=1e4, hidden="16x4", activation="linear"))
    assert run.status == "diverged"
    assert "at step" in run.reason
    assert run.test_loss is None and run.test_accuracy is not None
    assert np.isnan(read_curve(lab, run.id, "train").losses[-1])


def test_a_failure_tells_its_reason_and_the_log_and_the_worker_goes_on(lab: Store, tmp_path: Path) -> None:
    (tmp_path / "fickle.py").write_text("def start(shape):\n    raise RuntimeError('not today')\n")
    run = finished(lab, enqueue(lab, tmp_path, initializer="import:fickle.start"))
    assert run.status == "failed"
    assert "not today" in run.reason
    assert "RuntimeError: not today" in run.log_tail
    assert finished(lab, enqueue(lab)).status == "done"


def test_a_persons_own_initializer_is_found_from_their_folder(lab: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import numpy as np\ndef start(shape):\n    return np.full(shape, 0.0)\n")
    own = finished(lab, enqueue(lab, tmp_path, initializer="import:mine.start"))
    zeros = finished(lab, enqueue(lab, initializer="zeros"))
    assert read_curve(lab, own.id, "train") == read_curve(lab, zeros.id, "train")


def test_folders_with_modules_of_the_same_name_do_not_mix(lab: Store, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for value, folder in enumerate(folders):
        folder.mkdir()
        body = f"import numpy\ndef start(shape):\n    return numpy.full(shape, {value}.0)\n"
        (folder / "same.py").write_text(body)
    own = [finished(lab, enqueue(lab, folder, initializer="import:same.start")) for folder in folders]
    catalogue = [finished(lab, enqueue(lab, initializer=name)) for name in ("zeros", "ones")]
    curves = [read_curve(lab, run.id, "train") for run in own]
    assert curves == [read_curve(lab, run.id, "train") for run in catalogue]
    assert curves[0] != curves[1]
    assert [run.record["initializer_file"] for run in own] == [str(folder / "same.py") for folder in folders]


def test_a_missing_file_fails_the_run(lab: Store, tmp_path: Path) -> None:
    spec = RunSpec.checked(dataset=f"npz:{tmp_path}/gone.npz")
    (run_id,) = queue.enqueue(lab, None, [spec], Requirements("cpu", 1, tmp_path / "gone.npz", Path("/")))
    run = finished(lab, run_id)
    assert (run.status, "does not exist" in run.reason) == ("failed", True)


def test_workers_are_nice_and_in_a_session_of_their_own(lab: Store) -> None:
    finished(lab, enqueue(lab))
    ((pid, watcher),) = execute(lab, "SELECT pid, monitor_pid FROM workers WHERE ended IS NULL")
    assert psutil.Process(pid).nice() == 5
    assert os.getsid(pid) == os.getsid(watcher) == watcher != os.getsid(0)


def test_killed_while_training_is_crashed_with_the_signal_and_the_rest_goes_on(lab: Store) -> None:
    doomed, later = enqueue(lab, **ENDLESS), enqueue(lab)
    until_training(lab, doomed)
    run = found(lab, doomed)
    ((pid,),) = execute(lab, "SELECT pid FROM workers WHERE id = ?", (run.worker_id,))
    os.kill(pid, signal.SIGKILL)
    crashed = finished(lab, doomed)
    assert crashed.status == "crashed"
    assert "SIGKILL" in crashed.reason
    assert len(read_curve(lab, doomed, "train").steps) > 0
    assert finished(lab, later).status == "done"


def test_killed_with_its_watcher_it_is_still_found_out(lab: Store) -> None:
    doomed = enqueue(lab, **ENDLESS)
    until_training(lab, doomed)
    (pids,) = execute(lab, "SELECT monitor_pid, pid FROM workers WHERE id = ?", (found(lab, doomed).worker_id,))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    crashed = finished(lab, doomed)
    assert crashed.status == "crashed"
    assert "its process is gone" in crashed.reason


def test_without_work_a_worker_ends_by_itself(lab: Store) -> None:
    before = workers.count_alive(lab)
    (worker_id,) = supervisor.start_workers(lab, WorkerPlan(1, 2, "cpu"), idle=0)
    wait_until(lambda: workers.count_alive(lab) == before)
    ((how,),) = execute(lab, "SELECT exit FROM workers WHERE id = ?", (worker_id,))
    assert how == "idle"


def test_dismissed_a_worker_ends_as_soon_as_it_has_no_work(tmp_path: Path) -> None:
    with Store.open(tmp_path / "lab.db") as store:
        run_id = enqueue(store, **ENDLESS)
        (worker_id,) = supervisor.start_workers(store, ONE_THREAD, idle=3600)
        until_training(store, run_id)
        workers.dismiss(store, [worker_id])
        last = enqueue(store)
        queue.stop(store, [run_id])
        wait_until(lambda: workers.count_alive(store) == 0)
        assert found(store, last).status == "done"  # what was queued by then is still trained


def test_dismissed_a_worker_that_stands_idle_ends(tmp_path: Path) -> None:
    with Store.open(tmp_path / "lab.db") as store:
        ids = supervisor.start_workers(store, ONE_THREAD, idle=3600)
        ended = finished(store, enqueue(store)).ended or 0
        beat = "SELECT heartbeat FROM workers WHERE ended IS NULL"
        wait_until(lambda: execute(store, beat)[0][0] > ended)  # it has stood idle for a while
        workers.dismiss(store, ids)
        wait_until(lambda: workers.count_alive(store) == 0, seconds=10)


def test_a_stop_does_not_wait_for_the_lock_of_one_who_writes_all_the_time(lab: Store) -> None:
    # A tiny network measured after each step yields hundreds of events a second.
    run_id = enqueue(lab, epochs=1_000_000, hidden="16", eval_every=1)
    supervisor.start_workers(lab, ONE_THREAD)
    until_training(lab, run_id, step=50)
    with Store.open(lab.path) as person:
        asked = time.monotonic()
        queue.stop(person, [run_id])
        told = time.monotonic()
        wait_until(lambda: found(person, run_id).status == "stopped", seconds=10)
        ended = time.monotonic()
    assert told - asked < 1
    assert ended - told < 2
    run = found(lab, run_id)
    assert read_curve(lab, run_id, "train").steps == tuple(range(1, run.step + 1))
    assert set(read_curve(lab, run_id, "test").steps) >= set(range(run.step))


def test_a_worker_whose_store_is_removed_ends_and_makes_no_other(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "lab.db")
    run_id = enqueue(store, **ENDLESS)
    supervisor.start_workers(store, ONE_THREAD)
    until_training(store, run_id)
    (pids,) = execute(store, "SELECT monitor_pid, pid FROM workers")
    (tmp_path / "lab.db").unlink()
    with pytest.raises(InvalidInputError, match="was removed"):
        finished(store, run_id)
    wait_until(lambda: all(map(has_ended, pids)))
    assert not (tmp_path / "lab.db").exists()


def test_a_gpu_that_tensorflow_does_not_see_is_not_the_cpu(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    place = Requirements("gpu:0", 1, None, Path("/"))
    (asked,) = queue.enqueue(store, None, [RunSpec()], place)
    supervisor.start_workers(store, WorkerPlan(1, 1, "gpu:0"))
    run = finished(store, asked)
    assert run.status == "failed" and "TensorFlow sees no GPU" in run.reason
    (hoped,) = queue.enqueue(store, None, [RunSpec()], Requirements("auto", 1, None, Path("/")))
    supervisor.start_workers(store, WorkerPlan(1, 1, "auto"))
    run = finished(store, hoped)
    assert run.status == "done" and "trained on the CPU" in run.record["note"]


def test_a_keras_configuration_of_the_persons_own_changes_nothing(
    store: Store, lab: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "float64", "image_data_format": "channels_first"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (run_id,) = queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    supervisor.start_workers(store, ONE_THREAD)
    assert finished(store, run_id).test_loss == finished(lab, enqueue(lab)).test_loss


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small file system to fill")
def test_on_a_full_disk_the_run_fails_and_what_was_committed_stays(tmp_path: Path) -> None:
    import subprocess

    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4M", "none", str(small)], capture_output=True)  # noqa: S607
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system here: {mounted.stderr.decode().strip()}")
    try:
        with Store.open(small / "lab.db") as store:
            run_id = enqueue(store, **ENDLESS, eval_every=1)
            supervisor.start_workers(store, ONE_THREAD)
            run = finished(store, run_id)
            assert (run.status, "disk is full" in run.reason) == ("failed", True)
            assert len(read_curve(store, run_id, "train").steps) >= run.step > 0
            wait_until(lambda: workers.count_alive(store) == 0)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)  # noqa: S607
