"""The time from a command or a key to the first curve and to the leaderboard.

    python -m tests.benchmarks.startup [--repeats 5]

Prints medians: the stages of a worker's start with the ten-layer network of the demo, once with an empty cache of
compiled programs and once with a full one; a whole `demo` from a cold command; and `r` in a lab that has been open
for ten seconds. The rivals take turns, because the machine may be shared.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.figures import machine
from tests.benchmarks.lab_terminal import BARS, end_workers, lab
from tests.benchmarks.terminal import Terminal

OPEN_SECONDS = 10.0  # the lab is open before `r` is pressed
POLL_SECONDS = 0.01
STAGES = """
import json, sys, time
from pathlib import Path

stages, last = {}, time.perf_counter()

def stage(name):
    global last
    now = time.perf_counter()
    stages[name] = stages.get(name, 0.0) + now - last
    last = now

from initlab_tui.execution import worker
from initlab_tui.training.quick_import import quick_import
from initlab_tui.training.xla_cache import XlaCache
cache = XlaCache(Path(sys.argv[1]))
cache.enable()
stage("import of the worker")
with quick_import():
    from initlab_tui.training import device
    from initlab_tui.training.compiled_trainer import CompiledTrainer, CompiledTrainerCache
    from initlab_tui.training.device_dataset import DeviceDataset
    from initlab_tui.training.layer_measurement import Probe
    from initlab_tui.training.loop import train
stage("import of TensorFlow and Keras")
from initlab_tui.data import arrays
from initlab_tui.domain.spec import RunSpec
device.configure(1)
data = DeviceDataset(arrays.load("digits", None))
stage("data")

def timed(owner, method, before, after):
    original = getattr(owner, method)
    def wrapper(*arguments):
        stage(before)
        result = original(*arguments)
        stage(after)
        return result
    setattr(owner, method, wrapper)

timed(CompiledTrainer, "_trace", "network and optimizer", "trace")
timed(CompiledTrainer, "_call_once", "cache", "compile or load")
timed(Probe, "measure", "cache", "layer measurement")
spec = RunSpec(hidden=(64,) * 10, batch_size=32, initializer="he_normal")
for event in train(spec, data, CompiledTrainerCache(cache)):
    if type(event).__name__ == "Stepped":
        break
stage("first steps")
print(json.dumps(stages))
"""


def worker_stages(folder: Path) -> dict[str, float]:
    """Return the seconds of each stage of a worker that is started with the compiled programs in `folder`."""
    command = [sys.executable, "-c", STAGES, str(folder)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
    stages: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return stages


def demo_seconds(home: Path) -> dict[str, float]:
    """Return the seconds from the start of `demo` to the first point in the store, and to the leaderboard."""
    store = home / "lab.db"
    command = [sys.executable, "-m", "initlab_tui", "--store", str(store), "demo"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    first = wait_until(lambda: has_point(store))
    if process.wait():
        raise RuntimeError(f"demo ended with exit code {process.returncode}")
    return {"first point in the store": first - started, "leaderboard printed": time.perf_counter() - started}


def key_seconds(home: Path) -> dict[str, float]:
    """Return the seconds from `r`, in a lab that is open for a while, to the first point stored and drawn."""
    store = home / "lab.db"
    with lab(store, home) as terminal:
        terminal.until(lambda shown: "Setup" in "\n".join(shown.lines))
        time.sleep(OPEN_SECONDS)
        pressed = terminal.press("r")
        stored = wait_until(lambda: has_point(store))
        drawn = terminal.until(shows_curve)
        terminal.press("q")
    end_workers(home, patience=20)
    return {"first point in the store": stored - pressed, "curve on the screen": drawn - pressed}


def shows_curve(terminal: Terminal) -> bool:
    return any("train loss" in line and BARS.search(line) for line in terminal.text(terminal.box("2 Training")))


def has_point(store: Path) -> bool:
    if not store.is_file():
        return False
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(store)) as connection:
        return connection.execute("SELECT 1 FROM curves WHERE split = 'train' LIMIT 1").fetchone() is not None
    return False


def wait_until(holds: Callable[[], bool], seconds: float = 120.0) -> float:
    """Return when `holds` was first true."""
    deadline = time.perf_counter() + seconds
    while not holds():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"nothing was stored within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    return time.perf_counter()


@contextlib.contextmanager
def home_with(cache: Path | None) -> Iterator[Path]:
    """Yield an empty home folder, with a copy of the cache folder `cache` if there is one."""
    with tempfile.TemporaryDirectory(prefix="initlab-startup-") as folder:
        if cache:
            shutil.copytree(cache, Path(folder) / ".cache")
        yield Path(folder)
        end_workers(Path(folder), patience=20)


def medians(measured: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(each[name] for each in measured) for name in measured[0]}


def print_table(title: str, columns: dict[str, list[dict[str, float]]], total: str = "") -> None:
    print(f"\n{title:<44} " + " ".join(f"{name:>14}" for name in columns), f"  (load {os.getloadavg()[0]:.1f})")
    found = [medians(measured) for measured in columns.values()]
    for stage in dict.fromkeys(stage for each in found for stage in each):
        print(f"  {stage:<42} " + " ".join(f"{each.get(stage, 0.0):12.2f} s" for each in found))
    if total:
        sums = [statistics.median(sum(each.values()) for each in measured) for measured in columns.values()]
        print(f"  {total:<42} " + " ".join(f"{each:12.2f} s" for each in sums))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(machine(), f"- medians of {repeats}")
    cold: list[dict[str, float]] = []
    warm: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="initlab-startup-") as folder:
        worker_stages(Path(folder) / "warm")
        for number in range(repeats):
            cold.append(worker_stages(Path(folder) / str(number)))
            warm.append(worker_stages(Path(folder) / "warm"))
    print_table("A worker, programs in the cache:", {"none": cold, "all": warm}, "to the first steps")
    first: list[dict[str, float]] = []
    again: list[dict[str, float]] = []
    pressed: list[dict[str, float]] = []
    with home_with(None) as used:
        demo_seconds(used)
        for _ in range(repeats):
            with home_with(None) as home:
                first.append(demo_seconds(home))
            with home_with(used / ".cache") as home:
                again.append(demo_seconds(home))
            with home_with(used / ".cache") as home:
                pressed.append(key_seconds(home))
    print_table("`demo`, programs in the cache:", {"none": first, "all": again})
    print_table(f"`r`, the lab open for {OPEN_SECONDS:.0f} s:", {"": pressed})


if __name__ == "__main__":
    main()
