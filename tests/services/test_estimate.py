from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.services.estimate import RECENT, Expected, expected_seconds
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run
from tests.database import execute

SPEC = RunSpec.checked(hidden="10", batch_size=100, epochs=2)
SHAPE, CLASSES, IMAGES = (3, 3), 5, 1800
MULTIPLICATIONS = 9 * 10 + 10 * 5
# Two epochs of 18 steps; three evaluations on 300 images, each a third of the work.
SAMPLES = 2 * 1800 + 3 * 300 / 3


def done(
    store: Store,
    spec: RunSpec = SPEC,
    *,
    speed: float = 1000.0,
    compiling: float = 2.0,
    device: str = "cpu",
    threads: int = 1,
    status: RunStatus = RunStatus.DONE,
) -> Run:
    """Store a run that trained at `speed` samples per second, and return it."""
    (run_id,) = queue.enqueue(store, None, [spec], Requirements(device, threads, None, Path("/")))
    record = json.dumps({"multiplications": MULTIPLICATIONS, "compile_seconds": compiling})
    execute(
        store,
        "UPDATE runs SET status = ?, samples = ?, train_seconds = ?, record = ? WHERE id = ?",
        (status, int(speed), 1.0 if speed else 0.0, record, run_id),
    )
    run = find_run(store, run_id)
    assert run is not None
    return run


def expected(spec: RunSpec | list[RunSpec], *runs: Run, workers: int = 1, images: int = IMAGES) -> Expected:
    specs = [spec] if isinstance(spec, RunSpec) else spec
    return expected_seconds(specs, SHAPE, CLASSES, images, workers, runs)


def varied(**changes: object) -> RunSpec:
    return RunSpec.checked(**dict(SPEC) | changes)


def test_the_same_network_trains_as_fast_as_in_its_last_run(store: Store) -> None:
    older, newest = done(store, speed=10.0), done(store, speed=2000.0)
    found = expected(varied(seed=7, learning_rate=0.5, initializer="zeros"), newest, older)
    assert found.seconds == pytest.approx(2.0 + SAMPLES / 2000)
    assert found.basis == "estimated from run 2"


def test_another_network_is_scaled_by_its_work(store: Store) -> None:
    found = expected(varied(hidden=(1000,)), done(store, speed=2000.0))
    # 6 operations per weight at 20 GFLOP/s, 10 µs per sample, and 100 µs per step of 100 samples.
    scale = ((9 * 1000 + 1000 * 5) * 1.2e-10 + 11e-6) / (MULTIPLICATIONS * 1.2e-10 + 11e-6)
    assert found.seconds == pytest.approx(2.0 + scale * SAMPLES / 2000)
    assert found.basis == "scaled from run 1"


def test_without_earlier_runs_the_estimate_is_a_rough_guess() -> None:
    found = expected(SPEC)
    assert found.seconds == pytest.approx(3.0 + SAMPLES * (MULTIPLICATIONS * 1.2e-10 + 11e-6))
    assert found.basis == "a rough guess"
    tiny = expected(varied(hidden="none", epochs=1000))
    assert tiny.seconds > 1000 * IMAGES / 100_000


def test_eager_takes_thirty_times_as_long_and_compiles_nothing(store: Store) -> None:
    eager = varied(execution="eager")
    assert expected(eager).seconds == pytest.approx(30 * (expected(SPEC).seconds - 3.0))
    # An older run with the same execution mode is preferred; a newer one with another mode is better than none.
    slow, fast = done(store, eager, speed=50.0, compiling=0.5), done(store)
    assert expected(eager, fast).seconds == pytest.approx(30 * SAMPLES / 1000)
    assert expected(varied(hidden=(12,), execution="eager"), fast, slow).basis.startswith(f"scaled from run {slow.id}")


@pytest.mark.parametrize(
    "changes",
    [{"status": "failed"}, {"status": "running"}, {"speed": 0.0}, {"device": "gpu"}, {"threads": 8}],
    ids=str,
)
def test_only_finished_runs_on_the_same_device_are_used(store: Store, changes: dict[str, Any]) -> None:
    run = done(store, **changes)
    found = expected_seconds([SPEC], SHAPE, CLASSES, IMAGES, 1, [run], device="cpu", threads=1)
    assert found.basis == "a rough guess"


def test_a_run_that_did_not_compile_is_no_basis_for_the_compile_time(store: Store) -> None:
    compiled, reused = done(store, compiling=4.5), done(store, compiling=0.0)
    assert expected(SPEC, reused, compiled).seconds == pytest.approx(4.5 + SAMPLES / 1000)
    assert expected(SPEC, reused).seconds == pytest.approx(3.0 + SAMPLES / 1000)


def test_runs_are_divided_among_workers_that_each_compile(store: Store) -> None:
    specs = [varied(seed=seed) for seed in range(5)]
    one = SAMPLES / 1000
    for workers, rounds in [(1, 5), (2, 3), (3, 2), (5, 1), (64, 1)]:
        assert expected(specs, done(store), workers=workers).seconds == pytest.approx(2.0 + rounds * one)


def test_each_network_is_compiled_once_and_the_weakest_basis_is_named(store: Store) -> None:
    comparison = Comparison.checked(
        base=SPEC, initializers=["zeros", "he_normal"], seeds=[0, 1], hidden=["10", "10,10"]
    )
    found = expected(list(comparison.runs()), done(store))
    deeper = MULTIPLICATIONS + 100
    scale = (deeper * 1.2e-10 + 11e-6) / (MULTIPLICATIONS * 1.2e-10 + 11e-6)
    assert found.seconds == pytest.approx(2 * 2.0 + (4 + 4 * scale) * SAMPLES / 1000)
    assert found.basis == "scaled from run 1"


def test_the_estimate_grows_with_the_work_and_shrinks_with_the_workers(store: Store) -> None:
    for runs in ([], [done(store, varied(hidden=(7,)))]):
        changes: dict[str, list[object]] = {
            "epochs": [1, 2, 50],
            "hidden": ["none", "10", "100", "100x30"],
            "batch_size": [1000, 100, 10, 1],
            "eval_every": [0, 30, 5, 1],
        }
        for field, values in changes.items():
            seconds = [expected(varied(**{field: value}), *runs, images=2000).seconds for value in values]
            assert seconds == sorted(set(seconds)), field
        specs = [varied(seed=seed) for seed in range(12)]
        by_workers = [expected(specs, *runs, workers=workers).seconds for workers in (12, 6, 3, 2, 1)]
        assert by_workers == sorted(set(by_workers))


def test_a_custom_dataset_counts_with_its_own_size(store: Store) -> None:
    custom = varied(dataset="npz:/mine.npz")
    run = done(store, custom)
    assert expected(custom, run).basis == "estimated from run 1"
    assert expected(SPEC, run).basis == "scaled from run 1"
    few, many = (expected(custom, run, images=images).seconds - 2.0 for images in (IMAGES, 10 * IMAGES))
    assert many == pytest.approx(10 * few)


def test_no_runs_take_no_time() -> None:
    assert expected([]) == Expected(0.0, "nothing to train")


def test_only_the_newest_runs_are_read(store: Store) -> None:
    read_runs = 0
    run = done(store)

    def past() -> Iterator[Run]:
        nonlocal read_runs
        for number in range(10_000, 0, -1):
            read_runs += 1
            yield dataclasses.replace(run, id=number)

    specs = [varied(seed=seed, hidden="20") for seed in range(100)]
    assert expected_seconds(specs, SHAPE, CLASSES, IMAGES, 2, past()).basis.startswith("scaled from run 10000")
    assert read_runs == RECENT
