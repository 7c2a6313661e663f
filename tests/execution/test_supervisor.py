from __future__ import annotations

import os

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan, plan
from initlab_tui.store import workers
from initlab_tui.store.database import Store
from initlab_tui.store.workers import list_alive

GB = 1_000_000_000


@pytest.fixture(autouse=True)
def no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def test_a_single_run_gets_all_cores_and_many_runs_share_them() -> None:
    cores = len(os.sched_getaffinity(0))
    assert plan(1, None, None, None, GB) == WorkerPlan(1, cores, "cpu")
    assert plan(1000, None, None, None, GB) == WorkerPlan(cores, 1, "cpu")
    assert plan(1000, None, 1, None, GB) == WorkerPlan(1, cores, "cpu")
    assert plan(1000, None, 3, 2, GB) == WorkerPlan(3, 2, "cpu")
    assert plan(2, None, 5, None, GB).workers == 2


def test_the_number_of_workers_is_limited_by_memory() -> None:
    assert plan(1000, None, None, None, 10**15).workers == 1


def test_an_unknown_device_is_refused_with_the_available_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match=r"unknown device 'gpu:0': allowed on this machine: cpu$"):
        plan(1, "gpu:0", None, None, GB)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with pytest.raises(InvalidInputError, match=r"allowed on this machine: cpu, gpu, gpu:0, gpu:1$"):
        plan(1, "gpu:2", None, None, GB)


def test_each_gpu_gets_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert plan(1000, None, None, None, GB).workers == 2
    assert plan(1000, None, None, None, GB).device == "auto"
    assert plan(1000, "gpu", None, None, GB) == WorkerPlan(2, max(1, len(os.sched_getaffinity(0)) // 2), "gpu")
    assert plan(1000, "gpu:1", None, None, GB).workers == 1
    assert plan(1000, "cpu", None, None, GB).device == "cpu"


@pytest.mark.parametrize(
    ("device", "workers", "seen"),
    [
        *(("gpu", 2, ["3", "5"]), ("auto", 2, ["3", "5"]), ("gpu", 3, ["3", "5", "3"])),
        *(("gpu:1", 1, ["5"]), ("cpu", 2, ["-1", "-1"])),
    ],
)
def test_each_worker_sees_its_own_gpu(
    store: Store, monkeypatch: pytest.MonkeyPatch, device: str, workers: int, seen: list[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.setattr(supervisor, "_spawn_monitor", lambda store, worker_id: None)  # no GPU is needed
    supervisor.start_workers(store, WorkerPlan(workers, 1, device))
    assert [worker.visible_devices for worker in list_alive(store)] == seen


def test_workers_already_alive_count_towards_the_plan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_spawn_monitor", lambda store, worker_id: None)
    assert len(supervisor.start_workers(store, WorkerPlan(2, 1, "cpu"))) == 2
    assert len(supervisor.start_workers(store, WorkerPlan(3, 1, "cpu"))) == 1
    assert len(supervisor.start_workers(store, WorkerPlan(1, 2, "cpu"))) == 1
    assert workers.count_alive(store) == 4
