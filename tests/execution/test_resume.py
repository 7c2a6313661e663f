"""Runs that were interrupted in any way continue to the results of an unbroken run; with real workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initlab_tui.data import arrays
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.worker import Worker
from initlab_tui.store import queue, worker_deaths, workers
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.files import checkpoint_name, previous_checkpoint_name
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from tests.conftest import WarmStore
from tests.database import execute
from tests.execution.test_worker import enqueue, get_run, wait_for, wait_for_step, wait_until
from tests.faults.intact import assert_same_metrics
from tests.old_runs import open_unfinished

SECONDS_LONG: dict[str, Any] = {"epochs": 400, "batch_size": 32, "hidden": "32", "initializer": "he_normal"}

# A worker that prints the hash of the final weights of each run.
WORK = """
import hashlib, sys
from pathlib import Path
from initlab_tui.training import device
device.configure(1)
from initlab_tui.execution.worker import Worker
from initlab_tui.store.database import Store
from initlab_tui.training.compiled_trainer import CompiledTrainerCache

class Hashing(Worker):
    def _release(self, run, status, reason):
        (program,) = self._programs._kept.values()
        digest = hashlib.sha256()
        for name, array in program.state().items():
            digest.update(name.encode() + array.tobytes())
        super()._release(run, status, reason)
        print(run.id, status, digest.hexdigest(), flush=True)

with Store.open(Path(sys.argv[1])) as store:
    Hashing(store, int(sys.argv[2]), CompiledTrainerCache()).work()
"""


@pytest.fixture
def lab(warm_store: WarmStore) -> Iterator[Store]:
    """A store with a worker ready to train."""
    with warm_store.open() as store:
        yield store
        queue.stop(store, [run.id for run in list_runs(store) if run.status.is_active])


def pause(store: Store, run_id: int, after: int) -> Run:
    """Pause a run after some step, and return it."""
    wait_for_step(store, run_id, after)
    queue.pause(store, [run_id])
    wait_until(lambda: get_run(store, run_id).status == "paused")
    return get_run(store, run_id)


def damage(store: Store, name: str) -> None:
    """Change one bit in the middle of a file."""
    path = store.files.folder / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def started_from(store: Store, run_id: int) -> list[str]:
    return [detail for _, kind, detail in read_events(store, run_id) if kind == "started"]


def checkpoint_events(store: Store, run_id: int) -> list[str]:
    return [detail for _, kind, detail in read_events(store, run_id) if kind == "checkpoint"]


def work(store: Store) -> tuple[int, subprocess.Popen[str]]:
    """Start a worker that ends when the queue is empty."""
    worker_id = workers.register(store, "cpu", 1)
    command = [sys.executable, "-c", WORK, str(store.path), str(worker_id)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
    return worker_id, subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_a_killed_run_is_resumed_with_identical_metrics_and_weights(store: Store) -> None:
    spec = RunSpec.checked(**SECONDS_LONG | {"epochs": 1500})
    requirements = Requirements("cpu", 1, None, Path("/"), checkpoint_every=1.0)
    (run_id,) = queue.enqueue(store, None, [spec], requirements)
    worker_id, process = work(store)
    wait_until(lambda: get_run(store, run_id).checkpoint is not None)
    wait_for_step(store, run_id, get_run(store, run_id).step + 200)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert worker_deaths.mark_dead(store, worker_id, "killed by SIGKILL") == [run_id]
    crashed = get_run(store, run_id)
    assert (crashed.status, crashed.total_steps) == ("crashed", 1500 * 44)
    assert 0 < crashed.step < 1500 * 44

    assert queue.resume(store, [run_id]) == [run_id]
    (whole_id,) = queue.enqueue(store, None, [spec], requirements)
    hashes = dict(re.findall(r"^(\d) done (\w{64})$", work(store)[1].communicate()[0], re.MULTILINE))
    assert len(hashes) == 2 and hashes[str(run_id)] == hashes[str(whole_id)]
    assert_same_metrics(store, run_id, whole_id)
    run = get_run(store, run_id)
    at = run.record["resumed_at_step"]
    assert started_from(store, run_id) == ["", f"from step {at}"]
    assert 0 < at <= crashed.step
    assert not any(store.files.folder.glob("run-*"))


def test_a_stopped_run_is_resumed_where_it_stopped(lab: Store) -> None:
    whole_id, run_id = enqueue(lab, **SECONDS_LONG), enqueue(lab, **SECONDS_LONG)
    wait_for_step(lab, run_id)
    queue.stop(lab, [run_id])
    stopped = wait_for(lab, run_id)
    assert (stopped.status, stopped.reason) == ("stopped", "on request")
    assert stopped.checkpoint and 0 < stopped.step < (stopped.total_steps or 0)
    queue.resume(lab, [run_id])
    assert wait_for(lab, run_id).record["resumed_at_step"] == stopped.step
    assert_same_metrics(lab, run_id, whole_id)


def test_a_run_continues_from_the_checkpoint_before_a_damaged_one_and_says_so(lab: Store) -> None:
    whole_id, run_id = enqueue(lab, **SECONDS_LONG), enqueue(lab, **SECONDS_LONG)
    first = pause(lab, run_id, after=1)
    queue.resume(lab, [run_id])
    second = pause(lab, run_id, after=first.step + 1)
    assert first.step < second.step < (second.total_steps or 0)
    damage(lab, checkpoint_name(run_id))
    queue.resume(lab, [run_id])
    run = wait_for(lab, run_id)
    (event,) = checkpoint_events(lab, run_id)
    assert event.startswith(f"run-{run_id}.npz is damaged: ")
    assert event.endswith(f": continues from step {first.step}")
    assert run.record["note"] == event
    assert run.record["resumed_at_step"] == first.step
    assert_same_metrics(lab, run_id, whole_id)


def test_without_a_usable_checkpoint_the_run_starts_again_from_step_0(lab: Store) -> None:
    whole_id, run_id = enqueue(lab, **SECONDS_LONG), enqueue(lab, **SECONDS_LONG)
    first = pause(lab, run_id, after=1)
    queue.resume(lab, [run_id])
    pause(lab, run_id, after=first.step + 1)
    damage(lab, checkpoint_name(run_id))
    (lab.files.folder / previous_checkpoint_name(run_id)).unlink()
    queue.resume(lab, [run_id])
    run = wait_for(lab, run_id)
    assert checkpoint_events(lab, run_id)[0].endswith(": starts again from step 0")
    assert run.record["resumed_at_step"] is None
    assert_same_metrics(lab, run_id, whole_id)


def test_a_failed_run_is_resumed_once_its_data_exists(lab: Store, tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    spec = RunSpec.checked(dataset=f"npz:{file}", hidden="16", batch_size=32)
    (run_id,) = queue.enqueue(lab, None, [spec], Requirements("cpu", 1, file, Path("/")))
    failed = wait_for(lab, run_id)
    assert failed.status == "failed" and failed.log_tail
    digits = arrays.load("digits", None)
    np.savez(
        file,
        x_train=digits.x_train.astype(np.uint8),
        y_train=digits.y_train,
        x_test=digits.x_test.astype(np.uint8),
        y_test=digits.y_test,
    )
    queue.resume(lab, [run_id])
    run = wait_for(lab, run_id)
    assert (run.status, run.reason, run.log_tail) == ("done", "", "")


def test_a_terminated_worker_saves_a_checkpoint_of_its_run(lab: Store) -> None:
    run_id = enqueue(lab, **SECONDS_LONG | {"epochs": 1_000_000})
    wait_for_step(lab, run_id)
    ((pid,),) = execute(lab, "SELECT pid FROM workers WHERE id = ?", (get_run(lab, run_id).worker_id,))
    os.kill(pid, signal.SIGTERM)
    run = wait_for(lab, run_id)
    assert (run.status, run.reason) == ("stopped", "the worker was terminated (SIGTERM)")
    assert run.checkpoint and (lab.files.folder / checkpoint_name(run_id)).is_file()


def test_a_run_that_version_0_1_0_paused_is_finished_by_a_worker(tmp_path: Path) -> None:
    with open_unfinished(tmp_path) as store:
        before = get_run(store, 1)
        queue.resume(store, [1])
        worker_id = workers.register(store, before.device, before.threads, idle_seconds=0.001)
        Worker(store, worker_id, CompiledTrainerCache()).work()
        run = get_run(store, 1)
        assert (run.status, run.step, run.record["resumed_at_step"]) == ("done", 1760, 660)
        assert run.samples == before.samples + 1100 * 32
        assert run.train_seconds > before.train_seconds


def test_a_checkpoint_left_by_a_removed_store_is_not_used(tmp_path: Path) -> None:
    spec = RunSpec.checked(hidden="12", batch_size=32)
    with Store.open(tmp_path / "lab.db") as store:
        store.files.create(checkpoint_name(1), b"of a run of the removed store")
        (run_id,) = queue.enqueue(store, None, [spec], Requirements("cpu", 1, None, Path("/")))
        Worker(store, workers.register(store, "cpu", 1, idle_seconds=0.001), CompiledTrainerCache()).work()
        assert get_run(store, run_id).status == "done"
        assert checkpoint_events(store, run_id) == []
