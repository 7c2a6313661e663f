"""Kills a worker before each of its writes to the store: nothing is lost, and the run ends like an unbroken one.

    python -m tests.faults.nth_write [--every 1] [--parallel 2]

A real worker claims a run on the digits, is asked to pause twice, so that it saves two checkpoints, is resumed, and
finishes the run. For each n this is done on a new copy of the store, and the worker is killed with SIGKILL before its
n-th write. What it had committed must be true, and another worker, in this process, must finish the run.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.worker import Worker
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from tests.conftest import private_folders
from tests.database import execute
from tests.execution.test_worker import get_run, wait_until
from tests.faults.forked_workers import ForkedWorkers, forked_workers
from tests.faults.intact import assert_intact, assert_prefix, assert_same_metrics
from tests.faults.write_trace import Tracer, Write

# Few arrays and few steps a second make few writes.
SPEC = RunSpec.checked(hidden="8", optimizer="sgd", execution="eager", epochs=4)
WHOLE = 1  # the id of the unbroken run
IDLE_SECONDS = 5.0  # that a worker waits for the run that it has paused
PAUSES = 2
FINISHING = threading.Lock()
REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))


@dataclass(frozen=True)
class Killed:
    """The writes of a worker, the last of which it was killed before if `status` is not None, and what was found.

    `status` is the status of the run when its worker was marked as dead, and `metrics` the number of metrics that were
    committed until then.
    """

    writes: list[Write]
    status: str | None
    metrics: int


def make_template(forked: ForkedWorkers, folder: Path) -> Path:
    """Train a run without a break in a new store, and return its path."""
    path = folder / "lab.db"
    with Store.open(path) as store:
        queue.enqueue(store, None, [SPEC], REQUIREMENTS)
        forked.start(store)
        wait_until(lambda: workers.count_alive(store) == 0)
        assert get_run(store, WHOLE).status == "done"
        execute(store, "PRAGMA wal_checkpoint(TRUNCATE)")  # its file is copied without the WAL
    return path


def kill_before(forked: ForkedWorkers, template: Path, folder: Path, is_fatal: Callable[[Write], bool]) -> Killed:
    """Kill a worker before the first fatal write, on a copy of the template in a new folder, and finish its run."""
    folder.mkdir()
    path = folder / template.name
    shutil.copyfile(template, path)
    with Store.open(path) as store:
        (run_id,) = queue.enqueue(store, None, [SPEC], REQUIREMENTS)
        tracer = Tracer(path)
        with pausing(path, run_id):
            forked.start(store, idle=IDLE_SECONDS)
            writes = tracer.trace(is_fatal)
        is_killed = is_fatal(writes[-1])
        wait_until(lambda: bool(supervisor.reap(store)) or workers.count_alive(store) == 0)
        status = get_run(store, run_id).status
        assert status in ("queued", "paused", "crashed", "done") and (is_killed or status == "done")
        metrics = assert_prefix(store, run_id, WHOLE)
        if status != "done":
            queue.resume(store, [run_id])
            with FINISHING:
                Worker(store, workers.register(store, "cpu", 1), CompiledTrainerCache()).work()
        assert_same_metrics(store, run_id, WHOLE)
        assert_intact(store)
    shutil.rmtree(folder)
    return Killed(writes, status if is_killed else None, metrics)


@contextlib.contextmanager
def pausing(path: Path, run_id: int) -> Iterator[None]:
    """Meanwhile pause the run in training, and resume it, PAUSES times, and then dismiss its worker."""
    over = threading.Event()
    person = threading.Thread(target=_pause_and_resume, args=(path, run_id, over))
    person.start()
    try:
        yield
    finally:
        over.set()
        person.join()


def _pause_and_resume(path: Path, run_id: int, over: threading.Event) -> None:
    with Store.open(path) as store:
        step = 0
        for _ in range(PAUSES):
            _wait(over, lambda: get_run(store, run_id).step > step)  # noqa: B023 - called at once
            if not over.is_set():
                queue.pause(store, [run_id])
            _wait(over, lambda: get_run(store, run_id).status == "paused")
            step = get_run(store, run_id).step
            if not over.is_set():
                queue.resume(store, [run_id])
        _wait(over, lambda: get_run(store, run_id).status == "done")
        workers.dismiss(store, [worker.id for worker in workers.list_alive(store)])


def _wait(over: threading.Event, condition: Callable[[], bool]) -> None:
    while not condition() and not over.wait(0.01):
        pass


def main() -> None:
    """Kill a worker before every n-th write of a short run, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, help="kill before every so many writes only")
    parser.add_argument("--parallel", type=int, default=2)
    options = parser.parse_args()
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as name,
        private_folders(Path(name)),
        forked_workers() as forked,
        ThreadPoolExecutor(options.parallel) as pool,
    ):
        folder = Path(name)
        template = make_template(forked, folder)
        whole = kill_before(forked, template, folder / "whole", lambda write: False)
        print(f"{len(whole.writes)} writes: {dict(Counter(map(str, whole.writes)))}", flush=True)

        def kill(number: int) -> Killed:
            return kill_before(forked, template, folder / f"{number}", lambda write: write.number == number)

        found = []
        for killed in pool.map(kill, range(1, len(whole.writes) + 1, options.every)):
            found.append(killed)
            print(f"{killed.writes[-1].number:4} {killed.writes[-1]!s:32} {killed.status}", flush=True)
    kills = [killed for killed in found if killed.status]
    print(
        f"{len(kills)} kills before {len({str(killed.writes[-1]) for killed in kills})} kinds of writes; "
        f"the runs were then {dict(Counter(killed.status for killed in kills))}; "
        f"{sum(killed.metrics for killed in kills)} metrics committed until then, lost 0, doubled 0; "
        f"{time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
