"""An idle worker compiles the network of the expected run; the real worker runs in this process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from initlab_tui.data.arrays import load
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.worker import Worker
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import find_run
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
from tests.database import execute

SPEC = RunSpec.checked(hidden="12", batch_size=32, epochs=1)


def idle_worker(store: Store) -> Worker:
    """Return a worker that exits as soon as it is idle."""
    return Worker(store, workers.register(store, "cpu", 1, idle_seconds=0.001), CompiledTrainerCache())


def test_a_run_of_a_prepared_network_does_not_compile(store: Store) -> None:
    worker = idle_worker(store)
    workers.request_preparation(store, [worker.id], SPEC, None)
    worker.work()
    assert execute(store, "SELECT count(*) FROM runs") == [(0,)]  # nothing was trained

    execute(store, "UPDATE workers SET ended = NULL")
    (run_id,) = queue.enqueue(store, None, [SPEC], Requirements("cpu", 1, None, Path("/")))
    worker.work()
    run = find_run(store, run_id)
    assert run is not None
    assert (run.status, run.record["compile_seconds"]) == ("done", 0.0)


def test_a_failed_preparation_affects_neither_the_worker_nor_its_next_run(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = idle_worker(store)
    workers.request_preparation(store, [worker.id], SPEC.model_copy(update={"dataset": "mnist"}), tmp_path / "gone.npz")
    worker.work()
    assert "gone.npz" in capsys.readouterr().err

    execute(store, "UPDATE workers SET ended = NULL")
    (run_id,) = queue.enqueue(store, None, [SPEC], Requirements("cpu", 1, None, Path("/")))
    worker.work()
    run = find_run(store, run_id)
    assert run is not None
    assert run.status == "done"


def test_a_dismissed_worker_prepares_nothing(store: Store) -> None:
    programs = CompiledTrainerCache()
    worker = Worker(store, workers.register(store, "cpu", 1, idle_seconds=600), programs)
    workers.request_preparation(store, [worker.id], SPEC, None)
    workers.dismiss(store, [worker.id])
    worker.work()
    assert programs.get(SPEC, DeviceDataset(load("digits", None))).seconds > 0  # compiled only now


def test_a_later_request_replaces_an_earlier_one(store: Store) -> None:
    worker_id = workers.register(store, "cpu", 1)
    workers.request_preparation(store, [worker_id], SPEC, None)
    workers.request_preparation(store, [worker_id], SPEC, Path("/data/mnist.npz"))
    preparation = workers.read_worker(store, worker_id).preparation
    assert preparation is not None
    assert json.loads(preparation.spec) == json.loads(SPEC.to_json())
    assert preparation.data_file == "/data/mnist.npz"
