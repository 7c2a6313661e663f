"""Memory, descriptors, threads and processor time of the lab, the process monitor and the worker in a long session.

    python -m tests.faults.soak [--minutes 60] [--every 15] [--data-dir ../shared/data]

The real lab runs on a pseudo-terminal of 120x36 and follows runs of MNIST, or of the bundled digits without it, that a
real worker trains one after another until the end, while a user looks at the chart, a run, its layers and the help
every now and then. The slopes are least squares over the samples after the warm-up, in which caches fill. The
worker that the lab starts for the next comparison stays idle, and ends after ten minutes.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.benchmarks.figures import figure, machine
from tests.benchmarks.lab_terminal import command, lab, mentions, store_folder
from tests.benchmarks.terminal import Terminal

MEGABYTE = 1e6
WARM_UP_SHARE = 1 / 3  # of the session
LAB, MONITOR, WORKER = "lab", "monitor", "worker"
KINDS = {"initlab_tui.execution.process_monitor": MONITOR, "initlab_tui.execution.worker": WORKER}
# After the warm-up, in megabytes a minute: 2 MB in the last 40 minutes of an hour for the lab.
MOST_GROWTH = {LAB: 0.05, MONITOR: 0.02, WORKER: 0.2}
MOST_MORE = 0  # descriptors or threads
MOST_CPU = {LAB: 6.0, MONITOR: 0.6, WORKER: 60.0}  # seconds a minute; 0.6 is 1 % of a core
EPOCHS = {"mnist": 30, "digits": 1500}  # about a minute for each run
SEEDS = 100  # of three initializers: more than an hour of runs
VISIT_EVERY = 4  # samples
VISITED = {"c": b"Close", "i": b"Close", "l": b"Close", "?": b"Everywhere"}  # key, and what its screen shows
BEHIND = b"Results"  # what the lab shows when they are closed
PAINT_SECONDS = 120.0  # at most, on a machine with other work


@dataclass(frozen=True)
class Sample:
    """One process at one moment: memory in megabytes, processor time in seconds."""

    minutes: float
    rss: float
    pss: float
    uss: float
    descriptors: int
    threads: int
    cpu: float


def main() -> int:
    """Run the session, print its table, and return 1 if a bound was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=15.0)
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    options = parser.parse_args()
    print(machine(), flush=True)
    with store_folder() as folder:
        store = folder / "lab.db"
        dataset = "mnist" if (options.data_dir / "mnist.npz").is_file() else "digits"
        queue_runs(store, options.data_dir, dataset)
        with lab(store, options.data_dir) as terminal:
            terminal.shows("running")
            samples = record(terminal, folder, options.minutes, options.every)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MEGABYTE
    figure("store and its files at the end", f"{size:.1f} MB")
    return report(samples, WARM_UP_SHARE * options.minutes)


def queue_runs(store: Path, data_dir: Path, dataset: str, seeds: int = SEEDS) -> None:
    """Queue runs for one worker, more than it can train in an hour."""
    shape = ("--dataset", dataset, "--hidden", "256,256", "--epochs", str(EPOCHS[dataset]))
    initializers = ("he_normal", "glorot_uniform", "random_normal:stddev=1")
    chosen = [argument for name in initializers for argument in ("--initializer", name)]
    subprocess.run(
        command(store, data_dir, "compare", *shape, *chosen, "--seeds", str(seeds), "--workers", "1", "--detach"),
        env={"PATH": os.environ["PATH"], "HOME": str(store.parent)},
        check=True,
        capture_output=True,
    )


def record(terminal: Terminal, folder: Path, minutes: float, every: float) -> dict[str, list[Sample]]:
    """Sample the processes every `every` seconds, and print a line for each time."""
    samples: dict[str, list[Sample]] = {}
    began = time.monotonic()
    for number in itertools.count(1):
        passed = (time.monotonic() - began) / 60
        if passed >= minutes:
            return samples
        found = {name: sample(process, passed) for name, process in processes(terminal, folder)}
        for name, each in found.items():
            samples.setdefault(name, []).append(each)
        print(row(passed, found), flush=True)
        if number % VISIT_EVERY == 0:
            visit(terminal)
        time.sleep(max(0.0, every * number - (time.monotonic() - began)))
        terminal.received()
    raise AssertionError("unreachable")


def visit(terminal: Terminal) -> None:
    """Open and close the screens over the lab."""
    terminal.press("2")  # the pane of the run whose details and layers are shown
    for key, shown in VISITED.items():
        press(terminal, key, shown)
        press(terminal, "escape", BEHIND)


def press(terminal: Terminal, key: str, shown: bytes) -> None:
    """Press a key and wait until its screen is painted, and a second more.

    Raises:
        TimeoutError: if it is not.
    """
    terminal.received()
    pressed, output = terminal.press(key), b""
    while shown not in (output := output + terminal.received()):
        if time.perf_counter() > pressed + PAINT_SECONDS:
            raise TimeoutError(f"{key} did not show {shown!r}")
        time.sleep(0.1)
    time.sleep(1.0)  # a key that follows Esc immediately is read as Alt with that key


def processes(terminal: Terminal, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the lab, the process monitors and the workers, with the ids of the workers in their names."""
    yield LAB, terminal.process
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or []
        module = next((word for word in arguments if word in KINDS), None)
        if module and mentions(process, folder):
            _store, worker_id, *_ = arguments[arguments.index(module) + 1 :]
            yield f"{KINDS[module]} {worker_id}", process


def sample(process: psutil.Process, minutes: float) -> Sample:
    """Measure a process."""
    memory, cpu = process.memory_full_info(), process.cpu_times()
    return Sample(
        minutes=minutes,
        rss=memory.rss / MEGABYTE,
        pss=memory.pss / MEGABYTE,
        uss=memory.uss / MEGABYTE,
        descriptors=process.num_fds(),
        threads=process.num_threads(),
        cpu=cpu.user + cpu.system,
    )


def row(minutes: float, samples: Mapping[str, Sample]) -> str:
    words = (
        f"{name} {each.rss:.1f}/{each.pss:.1f}/{each.uss:.1f} MB {each.descriptors} fds {each.threads} thr "
        f"{each.cpu:.1f} s"
        for name, each in sorted(samples.items())
    )
    return f"{minutes:5.2f} | {' | '.join(words)}"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line that fits (x, y) points best, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def report(samples: Mapping[str, Sequence[Sample]], warm_up: float) -> int:
    """Print what each process used after the warm-up against its bounds; return 1 if one was exceeded."""
    met = True
    for name, taken in samples.items():
        steady = [each for each in taken if each.minutes >= warm_up]
        if len(steady) > 1:
            met &= report_process(name, steady)
        else:
            figure(f"{name}: ended during the warm-up", f"{taken[-1].cpu:.1f} s CPU in {taken[-1].minutes:.1f} min")
    return int(not met)


def report_process(name: str, steady: Sequence[Sample]) -> bool:
    """Print what a process used, and return whether it kept to its bounds."""
    kind, first, last = name.split()[0], steady[0], steady[-1]
    # The resident memory, because pages become a process's own when another one that shared them ends.
    growth = slope([(each.minutes, each.rss) for each in steady])
    cpu = (last.cpu - first.cpu) / (last.minutes - first.minutes)
    earlier, later = steady[: len(steady) // 2], steady[len(steady) // 2 :]
    # The fewest in each half: some come and go, such as those of a checkpoint that is being written.
    descriptors = min(each.descriptors for each in later) - min(each.descriptors for each in earlier)
    threads = min(each.threads for each in later) - min(each.threads for each in earlier)
    met = growth <= MOST_GROWTH[kind] and max(descriptors, threads) <= MOST_MORE and cpu <= MOST_CPU[kind]
    figure(
        f"{name}: {first.rss:.1f} MB after {first.minutes:.0f} min, {last.rss:.1f} after {last.minutes:.0f}",
        f"{growth:+.3f} MB, {cpu:.2f} s CPU a minute",
        f"<= {MOST_GROWTH[kind]} MB, {MOST_CPU[kind]} s",
        met,
    )
    figure("", f"{descriptors:+} descriptors, {threads:+} threads", f"<= {MOST_MORE:+}")
    return met


if __name__ == "__main__":
    sys.exit(main())
