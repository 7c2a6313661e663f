"""Response times and costs of the lab: the real program on a pseudo-terminal of 120x36.

    python -m tests.benchmarks.screen [--quick] [--data-dir ../shared/data] [--only NAME ...]

The machine may be shared, so start-up is measured alternately with that of a bare Textual, training alternately with
the screen open and closed, and the results are medians, 95th percentiles and ratios. Keys are sent at fixed times, not
after the answer to the last one, so that a stall counts for every key that waits.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import math
import os
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.store.database import Store
from tests.benchmarks.figures import Timed, figure, machine, section, times
from tests.benchmarks.lab_terminal import (
    command,
    cpu_seconds,
    end_workers,
    lab,
    pane_text,
    settled_lab,
    shows_rows,
    shows_setup,
    store_folder,
    timed_start,
)
from tests.benchmarks.large_store import INITIALIZERS, SEEDS, fill
from tests.benchmarks.terminal import Box, Terminal
from tests.database import execute

BARE = [sys.executable, "-c", "import textual.app"]
MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("painted")
Minimal().run()
"""
BRAILLE = re.compile("[\u2801-\u28ff]")
ONE_COMPARISON = "cifar10 40,40 0.0007"  # a filter that leaves the groups of one comparison
TYPED = ("he_normal fashion 0.0023", "lecun 200,200 cifar10", "diverged")


@dataclass(frozen=True)
class Effort:
    """The durations and the numbers of measurements."""

    starts: int = 7
    keys: int = 70  # in each pane
    rounds: int = 14
    window: float = 8.0
    groups: int = 2000
    steps: int = 500
    sorts: int = 24
    charts: int = 5


QUICK = Effort(starts=1, keys=12, rounds=1, window=4.0, groups=100, steps=50, sorts=3, charts=1)


# 1. The first paint.


def starts(data_dir: Path, effort: Effort) -> None:
    """Measure the first paint of an empty lab, alternately with an import of Textual and with a minimal app."""
    bare, minimal, first, loaded = [], [], [], []
    for _ in range(effort.starts + 1):
        began = time.perf_counter()
        subprocess.run(BARE, check=True)
        bare.append(Timed(time.perf_counter() - began, 0.0))
        with store_folder() as folder:
            with Terminal([sys.executable, "-c", MINIMAL], folder) as terminal:
                minimal.append(timed_start(terminal, lambda shown: "painted" in shown.lines[0]))
            with lab(folder / "lab.db", data_dir) as terminal:
                first.append(timed_start(terminal, shows_setup))
                loaded.append(has_tensorflow(terminal))
            end_workers(folder, patience=20)
    section("1. Start, on an empty store")
    # The first of each did not benefit from the file cache.
    times("first paint of the lab", first[1:], "median", 0.6)
    times("first paint of a minimal Textual app", minimal[1:])
    times("import textual.app, a whole process", bare[1:])
    ratio = statistics.median(mine.seconds / other.seconds for mine, other in zip(first, minimal, strict=True))
    figure("first paint of the lab relative to the minimal app", f"{ratio:.2f} ×")
    figure("TensorFlow in the screen's process", "yes" if any(loaded) else "no", "no", not any(loaded))


def has_tensorflow(terminal: Terminal) -> bool:
    return any("tensorflow" in library.path for library in terminal.process.memory_maps())


# 2. Moving the focus.


def focus(data_dir: Path, effort: Effort) -> None:
    """Measure Tab from field to field, and the keys that go to another pane, in an idle lab."""
    with store_folder() as folder:
        fill(folder / "lab.db", groups=40, steps=50)
        section("2. Moving the focus, in an idle lab")
        with settled_lab(folder / "lab.db", data_dir) as terminal:
            setup = terminal.box("1 Setup")
            tabs = focus_times(terminal, ["tab"] * 8, lambda shown: shown.bold_row(setup, "Initializers"), effort)
            times("tab to the label of the next field", tabs, "median", 0.025)
            panes = focus_times(terminal, ["2", "3", "1"], lambda shown: shown.lines[-1], effort)
            times("key to the footer of another pane", panes)


def focus_times(
    terminal: Terminal, keys: Sequence[str], look: Callable[[Terminal], object], effort: Effort
) -> list[Timed]:
    """Return the time from each key to the frame in which `look` changes; the CPU time is the mean over all keys."""
    found, cpu = list[float](), 0.0
    for _ in range(-(-effort.keys // len(keys))):
        terminal.press("escape")  # from a field to the list of initializers
        terminal.rest(0.5)
        used = cpu_seconds(terminal)
        for key in keys:
            pressed = terminal.press(key)
            found += [at - pressed for at, _ in terminal.changes(look, 0.3)[:1]]
        cpu += cpu_seconds(terminal) - used
    return [Timed(seconds, cpu / len(found)) for seconds in found]


# 3. During training.


def training(data_dir: Path, effort: Effort) -> None:
    """Measure keys, CPU, output and training speed while a comparison on MNIST is trained."""
    if not (data_dir / "mnist.npz").is_file():
        print(f"\n3. During training: skipped, there is no {data_dir / 'mnist.npz'} (pass its folder with --data-dir)")
        return
    with store_folder() as folder:
        store = folder / "lab.db"
        fill(store, groups=40, steps=50)
        options = ["--dataset", "mnist", "--epochs", "100000", "--seeds", "2", "--detach"]
        initializers = ["--initializer", "he_normal", "--initializer", "glorot_uniform"]
        compare = command(store, data_dir, "compare", *initializers, *options)
        subprocess.run(compare, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as connection:
            wait_for_training(connection)
            section("3. During a comparison on MNIST on all cores")
            with settled_lab(store, data_dir) as terminal:
                response_times(terminal, effort)
            cost_of_screen(connection, store, data_dir, effort)


def wait_for_training(connection: sqlite3.Connection) -> None:
    """Wait until every worker has compiled its network and is training."""
    while len(steps_so_far(connection)) < min(2, os.cpu_count() or 1) or not all(steps_so_far(connection).values()):
        time.sleep(0.2)
    time.sleep(2)


def response_times(terminal: Terminal, effort: Effort) -> None:
    """Measure the time until the cursor has moved, in each pane."""
    everywhere: list[Timed] = []
    for key, title in (("1", "1 Setup"), ("2", "2 Training"), ("3", "3 Results")):
        terminal.press(key)
        terminal.rest(0.5)
        terminal.press("home")
        terminal.rest(0.5)
        found = cursor_times(terminal, terminal.box(title), effort.keys)
        everywhere += found
        times(f"key to moved cursor, {title[2:]}", found)
    times("key to moved cursor, all panes", everywhere, "p95", 0.06)


def cursor_times(terminal: Terminal, box: Box, count: int) -> list[Timed]:
    """Return the times from `count` keys, sent at irregular intervals, to the frame with the cursor in its new row."""
    top = terminal.cursor_row(box)
    assert top is not None, "no row has the cursor"
    chance = random.Random(count)
    # Down three rows and up again, so that consecutive keys never lead to the same row.
    moves = itertools.islice(itertools.cycle([*range(1, 4), *range(2, -1, -1)]), count)
    sent, before = [], 0
    for row in moves:
        sent.append((terminal.press("down" if row > before else "up"), top + row))
        before = row
        time.sleep(chance.uniform(0.06, 0.4))
    seen = terminal.changes(lambda shown: shown.cursor_row(box), 1)
    return [Timed(answered(sent[number:], seen), 0.0) for number in range(len(sent))]


def answered(sent: Sequence[tuple[float, int]], seen: Sequence[tuple[float, int | None]]) -> float:
    """Return the time from the first key until the cursor is in its row, or in that of one of the next keys."""
    reached = [at for pressed, goal in sent[:3] for at, row in seen if at >= pressed and row == goal][:3]
    return min(reached, default=float("inf")) - sent[0][0]


def cost_of_screen(connection: sqlite3.Connection, store: Path, data_dir: Path, effort: Effort) -> None:
    """Measure CPU and output of the screen, and the training speed alternately with and without it."""
    closed, opened, cpu, written = [steps_per_second(connection, effort.window)], [], [], []
    for _ in range(effort.rounds):
        with settled_lab(store, data_dir) as terminal:
            began, used, wrote = time.perf_counter(), cpu_seconds(terminal), terminal.written
            opened.append(steps_per_second(connection, effort.window))
            seconds = time.perf_counter() - began
            cpu.append((cpu_seconds(terminal) - used) / seconds)
            written.append((terminal.written - wrote) / seconds)
        time.sleep(1)
        closed.append(steps_per_second(connection, effort.window))
    share, rate, windows = statistics.mean(cpu), statistics.mean(written), f"{effort.rounds} × {effort.window:.0f} s"
    figure(f"CPU of the screen, of one core, {windows}", f"{share:.1%} (up to {max(cpu):.1%})", "<= 10 %", share <= 0.1)
    kilobytes = f"{rate / 1000:.1f} kB/s (up to {max(written) / 1000:.1f})"
    figure("written to the terminal", kilobytes, "<= 20 kB/s", rate <= 20_000)
    print_speed_ratio(opened, closed)


def print_speed_ratio(opened: Sequence[float], closed: Sequence[float]) -> None:
    """Print the ratio of steps/s, each relative to the mean of its neighbours, because the speed may drift."""
    pairs = zip(opened, itertools.pairwise(closed), strict=True)
    ratios = sorted(2 * rate / (before + after) for rate, (before, after) in pairs)
    # The ranks of the 95 % confidence interval of the median.
    low = max(0, round(len(ratios) / 2 - math.sqrt(len(ratios))))
    least, median, most = ratios[low], statistics.median(ratios), ratios[-1 - low]
    measured = f"{median:.3f} (95 %: {least:.3f} to {most:.3f})"
    decided = least >= 0.97 or most < 0.97
    target = ">= 0.97" if decided else ">= 0.97, undecided"
    figure("training speed with the screen, relative to without", measured, target, median >= 0.97 if decided else None)
    rates = f"{statistics.median(opened):,.0f} and {statistics.median(closed):,.0f}"
    figure("steps/s with the screen and without", rates)


def steps_so_far(connection: sqlite3.Connection) -> dict[int, int]:
    return dict(connection.execute("SELECT id, step FROM runs WHERE status = 'running'").fetchall())


def steps_per_second(connection: sqlite3.Connection, seconds: float) -> float:
    """Return the steps/s of all runs in training, timed between writes, because steps are written in batches."""
    began = next_records(connection)
    time.sleep(seconds)
    ended = next_records(connection)
    return sum((step - began[run][1]) / (at - began[run][0]) for run, (at, step) in ended.items())


def next_records(connection: sqlite3.Connection) -> dict[int, tuple[float, int]]:
    """Return for each run in training the time at which its next steps are written, and their number."""
    before, found = steps_so_far(connection), dict[int, tuple[float, int]]()
    while found.keys() != before.keys():
        time.sleep(0.002)
        now = time.perf_counter()
        for run, step in steps_so_far(connection).items():
            if step != before[run]:
                found.setdefault(run, (now, step))
    return found


# 4. A large store.


def large(data_dir: Path, effort: Effort) -> None:
    """Measure start-up, sorting, filtering, charts and memory with thousands of runs."""
    with store_folder() as folder:
        store = folder / "lab.db"
        began = time.perf_counter()
        fill(store, effort.groups, effort.steps)
        took = time.perf_counter() - began
        with Store.open(store) as opened:
            ((runs,),) = execute(opened, "SELECT count(*) FROM runs")
            ((rows,),) = execute(opened, "SELECT count(*) FROM curves")
        section(f"4. A store of {runs:,} runs, {rows:,} blocks of curves")
        figure("written in", f"{took:.0f} s, {store.stat().st_size / 1e6:,.0f} MB")
        large_starts(store, data_dir, effort)
        with settled_lab(store, data_dir) as terminal:
            terminal.press("3")
            terminal.rest(1)
            results = terminal.box("3 Results")
            sort_times(terminal, results, effort)
            filter_times(terminal, results)
            chart_times(terminal, effort)
            memory(terminal)


def large_starts(store: Path, data_dir: Path, effort: Effort) -> None:
    painted, ranked = [], []
    for _ in range(effort.starts + 1):
        with lab(store, data_dir) as terminal:
            painted.append(timed_start(terminal, shows_setup))
            ranked.append(timed_start(terminal, shows_rows))
        end_workers(store.parent, patience=20)
    times("first paint", painted[1:], "median", 1.5)
    times("leaderboard on the screen", ranked[1:])


def sort_times(terminal: Terminal, results: Box, effort: Effort) -> None:
    """Measure the time from `enter`, which chooses a column, to the last change of the results."""
    found = []
    for number in range(effort.sorts):
        terminal.press("s")
        terminal.shows("Sort by")
        terminal.press("home", *["down"] * (number % 12))
        terminal.rest(0.5)
        chosen = time_of_change(terminal, results, "enter")
        assert chosen, "\n".join(["nothing was sorted:", *terminal.lines])
        found.append(chosen)
    times("sort, from enter", found, "p95", 0.15)
    terminal.press("s")
    terminal.shows("Sort by")
    terminal.press("home", "enter")
    terminal.rest(1)


def filter_times(terminal: Terminal, results: Box) -> None:
    """Measure the time from each letter of a filter, typed or deleted, to the last change of the results."""
    found = []
    for words in TYPED:
        terminal.press("/")
        terminal.shows("Filter")
        keys = [*words, *["backspace"] * len(words)]
        found += [took for key in keys if (took := time_of_change(terminal, results, key)) is not None]
        terminal.press("escape")
        terminal.rest(1)
    times("filter, from each letter", found, "p95", 0.15)


def time_of_change(terminal: Terminal, box: Box, key: str) -> Timed | None:
    """Return the time from a key to the last change of the box; None if it does not change, as after a space."""
    used, pressed = cpu_seconds(terminal), terminal.press(key)
    seen = terminal.changes(lambda shown: pane_text(shown, box), 1.0)
    return Timed(seen[-1][0] - pressed, cpu_seconds(terminal) - used) if seen else None


def chart_times(terminal: Terminal, effort: Effort) -> None:
    """Measure the time from `c` to the last change of the screen, for 10 groups of 5 runs and for 50 single runs."""
    terminal.press("/")
    terminal.shows("Filter")
    terminal.press(*ONE_COMPARISON, "enter")
    terminal.rest(2)
    chart("chart of 50 runs in 10 groups", terminal, effort)
    terminal.press("home")
    for _ in range(len(INITIALIZERS)):
        # Expand the group and mark its runs, each of which moves the cursor on, finally to the next group.
        terminal.press("enter")
        terminal.rest(0.3)
        terminal.press("down", *["space"] * SEEDS)
        terminal.rest(0.3)
    chart("chart of 50 runs, each a line", terminal, effort)


def chart(what: str, terminal: Terminal, effort: Effort) -> None:
    found = []
    for _ in range(effort.charts + 1):
        used, pressed = cpu_seconds(terminal), terminal.press("c")
        seen = terminal.changes(lambda shown: tuple(shown.lines), 2)
        assert BRAILLE.search("".join(terminal.lines)), "\n".join(["no chart:", *terminal.lines])
        found.append(Timed(seen[-1][0] - pressed, cpu_seconds(terminal) - used))
        terminal.press("escape")
        terminal.rest(1)
    times(f"{what}, the first", found[:1], "max", 0.3)
    times(f"{what}, again", found[1:], "median", 0.3)


def memory(terminal: Terminal) -> None:
    taken = terminal.process.memory_full_info()
    most = max(taken.rss, taken.uss)
    figure(
        "memory after all measurements, RSS and USS",
        f"{taken.rss / 1e6:.0f} MB   {taken.uss / 1e6:.0f} MB",
        "<= 300 MB",
        most <= 300e6,
    )


SECTIONS = {"starts": starts, "focus": focus, "training": training, "large": large}


def main() -> None:
    """Run the chosen benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short smoke run, without meaningful figures")
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="*", choices=tuple(SECTIONS), default=tuple(SECTIONS))
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    print(machine())
    for name in options.only:
        SECTIONS[name](options.data_dir, effort)


if __name__ == "__main__":
    main()
