"""Kills workers and their process monitors at random moments: nothing is lost, and every run ends like an unbroken one.

    python -m tests.faults.kills [--kills 200] [--seed 7]

Two real workers train runs on the digits with frequent checkpoints. A worker, its monitor, or both are killed with
SIGKILL, or a worker is stopped for a moment. While any process of the store lives that did not start just now, a death
must be noticed within 5 s without anybody looking, and the queue must continue. Crashed runs are resumed until all are
done, with the metrics of a run that was never interrupted.
"""

from __future__ import annotations

import argparse
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import processes, supervisor
from initlab_tui.execution.follow import follow
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.services import control_runs
from initlab_tui.store import queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from initlab_tui.store.workers import RegisteredWorker
from tests.conftest import end_workers, private_folders
from tests.database import execute
from tests.execution.test_worker import get_run, wait_until
from tests.faults.intact import assert_intact, assert_prefix, assert_same_metrics, metrics_of

WHAT = {"worker": 10, "monitor": 5, "both": 5, "stop": 2}  # what is killed, or stopped for a moment, and how often
AT_ANY_TIME = 0.25  # share of the kills that do not wait until a run trains
LATEST_SECONDS = 3.0  # after the moment at which a run trains
NOTICED_SECONDS = 5.0
STARTING_SECONDS = 10.0  # a process that is younger may notice a death later
STARTED_SECONDS = 60.0  # until there is a worker for the queue, or a process that has just started notices a death
QUEUED = 3  # runs that have not ended, at least
SEEDS = (1, 2, 3)
Process = tuple[int, float]  # its pid and its start
TWO_WORKERS = WorkerPlan(workers=2, threads=1, device="cpu")
REQUIREMENTS = Requirements("cpu", 1, None, Path("/"), checkpoint_every=0.3)


@dataclass
class Kills:
    """What was killed and found; `noticed` has the seconds until the death of a worker was recorded."""

    what: Counter[str] = field(default_factory=Counter)
    noticed: list[float] = field(default_factory=list)
    noticed_late: list[float] = field(default_factory=list)  # by processes that had just started
    committed: int = 0  # metrics that were found, and compared, after kills
    metrics: int = 0  # of these runs in the end
    runs: int = 0  # without the unbroken ones
    crashed: int = 0
    continued: int = 0  # of the crashed runs, from a checkpoint

    @property
    def count(self) -> int:
        return self.what.total() - self.what["stop"]


class Campaign:
    """Kills processes that train runs in `store`; `epochs` is the length of a run."""

    def __init__(self, store: Store, seed: int, epochs: int) -> None:
        self._store, self._random, self.kills = store, random.Random(seed), Kills()
        self._specs = [RunSpec.checked(hidden="256,256", epochs=epochs, seed=each) for each in SEEDS]
        self._whole = queue.enqueue(store, None, self._specs, REQUIREMENTS)
        supervisor.start_workers(store, TWO_WORKERS)
        wait_until(lambda: all(get_run(store, run_id).status == "done" for run_id in self._whole), 200)

    def strike(self) -> None:
        """Kill something, and check what is found in the store."""
        self._keep_training()
        if self._random.random() > AT_ANY_TIME:
            wait_until(lambda: any(run.status == "running" and run.step for run in list_runs(self._store)), 120)
        time.sleep(self._random.uniform(0, LATEST_SECONDS))
        alive = [worker for worker in self._alive() if worker.pid is not None]
        if not alive:
            return
        worker = self._random.choice(alive)
        (what,) = self._random.choices(list(WHAT), list(WHAT.values()))
        if what == "stop":
            self._stop_for_a_moment(worker)
        elif not self._kill(worker, what):
            return
        self.kills.what[what] += 1
        if what in ("worker", "both"):
            self._check_death(worker, self._observers(worker))

    def finish(self) -> None:
        """Train all runs to their end, and check everything."""
        while unfinished := self._unfinished():
            control_runs.resume(self._store, unfinished)
            for _ in follow(self._store, unfinished):
                pass
        assert_intact(self._store)
        for run in list_runs(self._store):
            assert_same_metrics(self._store, run.id, self._whole_of(run.id))
        killed = [run.id for run in list_runs(self._store) if run.id > max(self._whole)]
        self.kills.runs = len(killed)
        self.kills.metrics = sum(len(metrics_of(self._store, run_id)) for run_id in killed)
        query = "SELECT count(*) FROM events WHERE kind = ? AND detail LIKE ?"
        ((self.kills.crashed,),) = execute(self._store, query, ("crashed", "%"))
        ((self.kills.continued,),) = execute(self._store, query, ("started", "from step %"))

    def _keep_training(self) -> None:
        """Do what a person does: resume crashed runs, queue others, and start missing workers."""
        unfinished = self._unfinished()
        if unfinished:
            control_runs.resume(self._store, unfinished)
        for number in range(len(unfinished), QUEUED):
            queue.enqueue(self._store, None, [self._specs[number % len(SEEDS)]], REQUIREMENTS)
        supervisor.start_workers(self._store, TWO_WORKERS)

    def _unfinished(self) -> list[int]:
        return [run.id for run in list_runs(self._store) if run.status != "done"]

    def _whole_of(self, run_id: int) -> int:
        """Return the unbroken run with the same spec."""
        return self._whole[SEEDS.index(get_run(self._store, run_id).seed)]

    def _kill(self, worker: RegisteredWorker, what: str) -> bool:
        """Kill processes, in any order; return whether one was running."""
        chosen = {
            "worker": [(worker.pid, worker.born)],
            "monitor": [(worker.monitor_pid, worker.monitor_born)],
            "both": [(worker.pid, worker.born), (worker.monitor_pid, worker.monitor_born)],
        }[what]
        self._random.shuffle(chosen)
        killed = [processes.send_signal(pid, born, signal.SIGKILL) for pid, born in chosen]
        return any(killed)

    def _stop_for_a_moment(self, worker: RegisteredWorker) -> None:
        processes.send_signal(worker.pid, worker.born, signal.SIGSTOP)
        time.sleep(self._random.uniform(0, LATEST_SECONDS))
        processes.send_signal(worker.pid, worker.born, signal.SIGCONT)

    def _observers(self, killed: RegisteredWorker) -> list[Process]:
        """Return the running processes that will notice that a worker was killed."""
        found = [(killed.monitor_pid, killed.monitor_born)]
        for worker in self._alive():
            if worker.id != killed.id:
                found += [(worker.monitor_pid, worker.monitor_born), (worker.pid, worker.born)]
        return [(pid, born) for pid, born in found if pid and born and processes.is_running(pid, born)]

    def _check_death(self, worker: RegisteredWorker, observers: list[Process]) -> None:
        """Check that a death is noticed by another process, what the run had committed, and that the queue continues.

        The store is only read.
        """
        began, booted = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
        old = [each for each in observers if booted - each[1] > STARTING_SECONDS]
        limit = NOTICED_SECONDS if old else STARTED_SECONDS
        lost = [run.id for run in list_runs(self._store) if run.worker_id == worker.id and run.status != "done"]
        while any(each.id == worker.id for each in self._alive()):
            if not any(_is_running(observers)) or (old and not any(_is_running(old))):
                break  # nobody is left to notice it
            assert time.monotonic() - began < limit, f"nobody of {observers} noticed the death of worker {worker.id}"
            time.sleep(0.02)
        else:
            noticed = self.kills.noticed if old else self.kills.noticed_late
            noticed.append(time.monotonic() - began)
            assert all(get_run(self._store, run_id).status != "running" for run_id in lost)
            self._check_queue(observers)
        for run_id in lost:
            self.kills.committed += assert_prefix(self._store, run_id, self._whole_of(run_id))

    def _check_queue(self, observers: list[Process]) -> None:
        began = time.monotonic()
        while queue.waiting_without_worker(self._store) and any(_is_running(observers)):
            assert time.monotonic() - began < STARTED_SECONDS, "the queue has no worker"
            time.sleep(0.02)

    def _alive(self) -> list[RegisteredWorker]:
        return [worker for worker in workers.list_alive(self._store) if isinstance(worker, RegisteredWorker)]


def _is_running(observers: list[Process]) -> Iterator[bool]:
    return (processes.is_running(pid, born) for pid, born in observers)


def kill_at_random(folder: Path, kills: int, seed: int, epochs: int) -> Kills:
    """Kill processes until this number of kills, train all runs to their end, check everything; print each kill."""
    path = folder / "lab.db"
    print(f"seed {seed}", flush=True)
    try:
        with Store.open(path) as store:
            campaign = Campaign(store, seed, epochs)
            while campaign.kills.count < kills:
                campaign.strike()
                print(f"{campaign.kills.count:4} {dict(campaign.kills.what)}", flush=True)
            campaign.finish()
        return campaign.kills
    finally:
        end_workers(path)


def main() -> None:
    """Kill at random, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=300, help="of each run, 11 steps each")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, private_folders(Path(name)):
        found = kill_at_random(Path(name), options.kills, options.seed, options.epochs)
    print(
        f"{found.count} kills {dict(found.what)}: {found.runs} runs done, crashed {found.crashed} times, continued "
        f"{found.continued} times from a checkpoint; {found.metrics} metrics in the end, {found.committed} compared "
        f"after kills, lost 0, doubled 0; {len(found.noticed)} deaths noticed within "
        f"{max(found.noticed, default=0):.1f} s, "
        f"{len(found.noticed_late)} by processes that had just started, within "
        f"{max(found.noticed_late, default=0):.1f} s; "
        f"{time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
