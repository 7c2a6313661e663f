"""Many labs, following commands and workers on one store, while runs are queued without a pause.

    python -m tests.faults.crowd [--seconds 60] [--workers 4] [--followers 8]

The runs are short, so that the queue, the ends of runs and the metrics are written as often as possible. A quarter of
the followers are labs on terminals, a quarter poll the store as the lab does and measure it, and the others are
`attach` commands, which follow one comparison after another.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.follow import follow
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store import queue, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.benchmarks.figures import Timed, figure, machine, section, times
from tests.conftest import command_environment, command_line, end_workers, private_folders
from tests.database import execute
from tests.execution.test_worker import wait_until
from tests.faults.intact import assert_all_steps
from tests.tui.terminal import Terminal

SEEDS = 4
BASE = RunSpec.checked(hidden="16", epochs=2, batch_size=32, eval_every=10)
COMPARISON = Comparison.checked(base=BASE, initializers=("he_normal", "zeros"), seeds=range(SEEDS))
REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
SIZE = (120, 36)
START_SECONDS = 200.0  # at most, until all workers have started TensorFlow
COMMAND_SECONDS = 200.0
COMPLAINTS = ("locked", "waiting to write", "Traceback")


@dataclass(frozen=True)
class Crowd:
    """What the processes on one store did: durations in seconds, and counts. `outputs` is all that they printed."""

    writes: tuple[float, ...]
    polls: tuple[float, ...]
    runs: int
    metrics: int
    attached: int
    outputs: tuple[str, ...]

    @property
    def complaints(self) -> list[str]:
        """The lines about errors and locks."""
        lines = itertools.chain.from_iterable(text.splitlines() for text in self.outputs)
        return [line for line in lines if any(word in line for word in COMPLAINTS)]


class Attacher:
    """Attaches to one comparison after another, each time with a command that follows it to its end."""

    def __init__(self, store: Path, home: Path) -> None:
        self._store, self._environment = store, command_environment(home)
        self.newest = 0
        self.is_over = threading.Event()
        self.outputs: list[str] = []

    def attach(self) -> int:
        """Attach to the newest comparison until it is over, and return how many were followed to their ends."""
        followed = 0
        while not self.is_over.is_set():
            command = command_line(["attach", str(self.newest), "--json", "--store", str(self._store)])
            done = subprocess.run(
                command, capture_output=True, text=True, env=self._environment, timeout=COMMAND_SECONDS
            )
            self.outputs.append(done.stderr)
            assert done.returncode == 0, done.stderr
            runs = json.loads(done.stdout)["runs"]
            assert [run["status"] for run in runs] == ["done"] * len(list(COMPARISON.runs()))
            assert all(run["test_accuracy"] is not None for run in runs)
            followed += 1
        return followed


def crowd(home: Path, *, seconds: float, worker_count: int, followers: int) -> Crowd:
    """Run the crowd for some seconds, and check that every follower knows the end of every run that it followed."""
    path = home / "lab.db"
    labs = pollers = followers // 4
    with Store.open(path) as store, contextlib.ExitStack() as stack:
        stack.callback(end_workers, path)
        supervisor.start_workers(store, WorkerPlan(worker_count, 1, "cpu"), idle=600)
        attacher = Attacher(path, home)
        attacher.newest = _submit(store)[0]
        _wait_for_workers(store, worker_count)
        terminals = [stack.enter_context(_lab(path, home)) for _ in range(labs)]
        polling = [stack.enter_context(_poll(path)) for _ in range(pollers)]
        attached = _attach(stack, attacher, followers - labs - pollers)
        writes = _produce(store, attacher, time.monotonic() + seconds, 4 * worker_count)
        attacher.is_over.set()
        runs = list(follow(store, [run.id for run in list_runs(store)]))[-1].runs
        counts = [each.result() for each in attached]
        polls = _check_polls(store, polling)
        _leave(terminals, len(runs))
        logs = [file.read_text() for file in store.files.folder.glob("worker-*.log")]
        workers.dismiss(store, [worker.id for worker in workers.list_alive(store)])
        wait_until(lambda: workers.count_alive(store) == 0)
        assert execute(store, "SELECT DISTINCT exit FROM workers") == [("idle",)]
        screens = [terminal.text for terminal in terminals]
        metrics = _check_metrics(store)
    outputs = (*attacher.outputs, *logs, *screens)
    return Crowd(tuple(writes), tuple(polls), len(runs), metrics, sum(counts), outputs)


def _submit(store: Store) -> list[int]:
    return queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS)


def _wait_for_workers(store: Store, count: int) -> None:
    """Queue runs until every worker has claimed one."""

    def have_claimed() -> bool:
        if not execute(store, "SELECT count(*) FROM runs WHERE status = 'queued'")[0][0]:
            _submit(store)
        return bool(execute(store, "SELECT count(*) >= ? FROM workers WHERE claims > 0", (count,))[0][0])

    wait_until(have_claimed, START_SECONDS)


def _lab(path: Path, home: Path) -> Terminal:
    environment = command_environment(home, TERM="xterm-256color")
    del environment["COLUMNS"]  # the terminal has its own size
    return Terminal(command_line(["--store", str(path)]), SIZE, environment, home)


def _poll(path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.faults.poll_store", str(path)]
    folder = Path(__file__).parents[2]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder)


def _attach(stack: contextlib.ExitStack, attacher: Attacher, count: int) -> list[Future[int]]:
    threads = stack.enter_context(ThreadPoolExecutor(count))
    stack.callback(attacher.is_over.set)
    return [threads.submit(attacher.attach) for _ in range(count)]


def _produce(store: Store, attacher: Attacher, until: float, wanted: int) -> list[float]:
    """Keep so many runs queued, pause and resume the last one meanwhile, and return the duration of each change."""
    seconds: list[float] = []
    while time.monotonic() < until:
        queued = execute(store, "SELECT count(*) FROM runs WHERE status = 'queued'")[0][0]
        began = time.monotonic()
        if queued < wanted:
            first, *_, last = _submit(store)
            seconds.append(time.monotonic() - began)
            attacher.newest = first
        else:
            for change in (queue.pause, queue.resume):
                began = time.monotonic()
                change(store, [last])
                seconds.append(time.monotonic() - began)
        time.sleep(0.02)
    return seconds


def _check_polls(store: Store, polling: Sequence[subprocess.Popen[str]]) -> list[float]:
    """Check that each polling follower knows how all runs ended, and return the durations of all polls."""
    columns = "id, status, step, test_loss, test_accuracy"
    ends = {str(run_id): end for run_id, *end in execute(store, f"SELECT {columns} FROM runs")}  # noqa: S608
    seconds: list[float] = []
    for process in polling:
        known = json.loads(process.communicate(timeout=COMMAND_SECONDS)[0])
        assert known["runs"] == ends
        seconds += known["seconds"]
    return seconds


def _leave(terminals: Sequence[Terminal], runs: int) -> None:
    """Check that each lab shows that all runs are done, and close it."""
    for terminal in terminals:
        terminal.wait_for(" idle ")
        terminal.wait_for(re.compile(rf"✓ done +{runs} zeros ").search)  # the last run
        terminal.send("q")
        assert terminal.exit_code() == 0


def _check_metrics(store: Store) -> int:
    """Check that every run is done, with each metric once and as in the first run of its spec; return the number."""
    first: dict[tuple[str, int], object] = {}
    count = 0
    for run in list_runs(store):
        assert run.status == "done", (run.id, run.status, run.reason)
        train, test = read_curve(store, run.id, "train"), read_curve(store, run.id, "test")
        assert_all_steps(train, run.total_steps or 0)
        assert first.setdefault((run.spec_hash, run.seed), (train, test)) == (train, test)
        count += len(train.steps) + len(test.steps)
    assert execute(store, "PRAGMA integrity_check") == [("ok",)]
    return count


def main() -> None:
    """Run the crowd and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--followers", type=int, default=8)
    options = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="initlab-crowd-") as folder, private_folders(Path(folder)):
        home = Path(folder)
        found = crowd(home, seconds=options.seconds, worker_count=options.workers, followers=options.followers)
    section(f"{options.followers} followers and {options.workers} workers on one store for {options.seconds:g} s")
    times("a change of the queue", [Timed(each, 0.0) for each in found.writes])
    times("a poll of a follower", [Timed(each, 0.0) for each in found.polls])
    figure("runs, all done", f"{found.runs:,}")
    figure("metrics, none lost or doubled", f"{found.metrics:,}")
    figure("comparisons followed to the end by attach", f"{found.attached:,}")
    figure("lines about locks or errors", f"{len(found.complaints)}", "0", not found.complaints)
    print("\n".join(found.complaints[:20]))


if __name__ == "__main__":
    main()
