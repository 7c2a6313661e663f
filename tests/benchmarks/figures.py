"""The output of the benchmarks: one line for each figure, with its target and whether it is met."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Timed:
    """The duration of something, and the processor time that the program spent in it."""

    seconds: float
    cpu: float


def section(title: str) -> None:
    load = f"(load {os.getloadavg()[0]:.1f})"
    print(f"\n{title:<54} {load:>8} {'median':>9} {'p95':>9} {'max':>9} {'CPU':>8}   target", flush=True)


def figure(what: str, measured: str, target: str = "", met: bool | None = None) -> None:
    """Print one line of the table."""
    verdict = "" if met is None else "met" if met else "NOT MET"
    print(f"  {what:<61} {measured:>38}   {target:<17} {verdict}".rstrip(), flush=True)


def times(what: str, timed: Sequence[Timed], limited: str = "", most: float = 0.0) -> None:
    """Print one line of the table; `limited` is median, p95 or max, which should be at most `most` seconds."""
    seconds = [each.seconds for each in timed]
    found = {"median": statistics.median(seconds), "p95": p95(seconds), "max": max(seconds)}
    words = [f"{1000 * value:6,.0f} ms" for value in found.values()]
    cpu = statistics.median(each.cpu for each in timed)
    words.append(f"{1000 * cpu:5,.0f} ms" if cpu else " " * 8)
    target = f"{limited} <= {1000 * most:.0f} ms" if limited else ""
    figure(f"{what}, {len(timed)} ×", " ".join(words), target, found[limited] <= most if limited else None)


def p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]


def machine() -> str:
    """Return a line that describes the machine."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores of {next(iter(models), platform.machine())}, "
        f"load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, Textual {version('textual')}"
    )
