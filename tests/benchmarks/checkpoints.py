"""The share of the training time that checkpoints take, for runs of a tenth of a second up to large networks.

    python -m tests.benchmarks.checkpoints [--seconds 40] [--large-seconds 130] [--data-dir ../shared/data]

A real worker trains in this process. The cost of a checkpoint is everything from asking for the state of the network
to the checkpoint's entry in the store: copying, writing, synchronising and renaming. The one that is written when the
run is stopped at the end does not count. The parts are those of all checkpoints, with the processor time of each,
which does not depend on what else is running.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import numpy as np

from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.checkpoint_saver import CheckpointSchedule
from initlab_tui.store import checkpoints, progress, queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.store.workers import register
from tests.database import execute

T = TypeVar("T")
SHORT = RunSpec.checked(hidden="64x10", batch_size=32, epochs=1)
MEDIUM = RunSpec.checked(dataset="mnist", epochs=1_000_000)
LARGE = MEDIUM.model_copy(update={"hidden": (2048,) * 3})
SHORT_RUNS = 20
SHARE = 0.02


def main() -> None:
    """Print the cost of checkpoints for three networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--large-seconds", type=float, default=130.0)
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    from initlab_tui.training import device

    device.configure(supervisor.cores())
    from initlab_tui.execution.worker import Worker
    from initlab_tui.training.compiled_trainer import CompiledTrainerCache

    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.platform()}")
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "lab.db") as store:
        worker = Worker(store, register(store, "cpu", supervisor.cores()), CompiledTrainerCache())
        mnist = (options.data_dir / "mnist.npz").resolve()
        short = [SHORT.model_copy(update={"seed": seed}) for seed in range(SHORT_RUNS)]
        _report("digits, 64x10, 1 epoch", *_train(store, worker.work, short, None, None))
        for name, spec, seconds in (
            ("MNIST, 256,256", MEDIUM, options.seconds),
            ("MNIST, 2048x3", LARGE, options.large_seconds),
        ):
            with _parts() as parts:
                _report(name, *_train(store, worker.work, [spec], mnist, seconds))
            _report_parts(parts)


def _train(
    store: Store, work: Callable[[], None], specs: list[RunSpec], file: Path | None, seconds: float | None
) -> tuple[list[Run], list[float]]:
    """Train runs, stopping after `seconds` if given; return them, and the cost of each checkpoint but the last one."""
    costs: list[float] = []
    record = CheckpointSchedule.record

    def recording(schedule: CheckpointSchedule, cost: float) -> None:
        costs.append(cost)
        record(schedule, cost)

    ids = queue.enqueue(store, None, specs, Requirements("cpu", supervisor.cores(), file, Path("/")))
    # The worker retires when its queue is empty, but keeps its programs for the next turn.
    execute(store, "UPDATE workers SET ended = NULL")
    with mock.patch.object(CheckpointSchedule, "record", recording):
        if seconds is not None:
            threading.Thread(target=_stop, args=(store.path, ids, seconds)).start()
        work()
    return list_runs(store, ids), costs if seconds is None else costs[:-1]


def _stop(path: Path, ids: list[int], seconds: float) -> None:
    """Stop the runs after they have trained for some time."""
    with Store.open(path) as store:
        while sum(run.busy_seconds for run in list_runs(store, ids)) < seconds:
            time.sleep(0.1)
        queue.stop(store, ids)


Durations = dict[str, list[tuple[float, float]]]


@contextlib.contextmanager
def _parts() -> Iterator[Durations]:
    """Measure the parts of saving: seconds, and seconds of the processor, of each call."""
    from initlab_tui.training.compiled_trainer import CompiledTrainer

    found: Durations = {}

    def measured(name: str, function: Callable[..., T]) -> Callable[..., T]:
        def call(*arguments: Any, **named: Any) -> T:
            began, cpu = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                found.setdefault(name, []).append((time.perf_counter() - began, time.thread_time() - cpu))

        return call

    with contextlib.ExitStack() as patches:
        for name, owner, function in (
            ("copy", CompiledTrainer, "state"),
            ("commit metrics", progress, "settle"),
            ("digest", checkpoints, "_digest"),
            ("write", np, "savez"),
            ("fsync", os, "fsync"),
        ):
            patches.enter_context(mock.patch.object(owner, function, measured(name, getattr(owner, function))))
        yield found


def _report(name: str, runs: list[Run], costs: list[float]) -> None:
    trained = sum(run.busy_seconds for run in runs)
    size = sum((run.record["weights"] * 3 * 4) for run in runs) / len(runs) / 1e6
    each = f", median {1000 * statistics.median(costs):.1f} ms" if costs else ""
    share = sum(costs) / trained
    print(
        f"  {name:<24} {len(runs):>3} runs, {trained:7.2f} s of training, {size:6.1f} MB: "
        f"{len(costs)} checkpoints{each}, "
        f"{share:.3%} of the time {'' if share < SHARE else '(TOO MUCH)'}"
    )


def _report_parts(parts: Durations) -> None:
    for name, durations in parts.items():
        seconds, cpu = (1000 * statistics.median(values) for values in zip(*durations, strict=True))
        print(f"    {name:<16} {len(durations):>3} x {seconds:8.1f} ms, {cpu:8.1f} ms of the processor")


if __name__ == "__main__":
    main()
