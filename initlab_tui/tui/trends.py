"""The curves behind the sparklines: read off the screen's thread, kept, and drawn as bars with gaps."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.reports.sparkline import sparkline
from initlab_tui.store.database import Curve, Run
from initlab_tui.store.layer_statistics import StoredMeasurement

POINTS = 48
FRESH_SECONDS = 0.5
AT_ONCE = 60


@dataclass(frozen=True)
class Trend:
    """A run's training curve in a few points up to `step`, NaN where a loss was not finite; and its last checkup."""

    step: int
    is_over: bool
    curve: Curve
    checkup: StoredMeasurement | None


def bars(trends: Sequence[Trend], kind: str, width: int) -> str:
    """The mean of some runs' curves as bars: a loss from 0 to its highest, an accuracy from 0 to 1."""
    curves = [trend.curve.losses if kind == "loss" else trend.curve.accuracies for trend in trends]
    curves = [curve for curve in curves if curve]
    if not curves or width < 1:
        return ""
    points = min(width, *(len(curve) for curve in curves))
    mean = [_mean([_at(curve, index, points) for curve in curves]) for index in range(points)]
    return sparkline(mean, width, low=0.0, high=1.0 if kind == "accuracy" else None)


def _at(curve: Sequence[float], index: int, points: int) -> float:
    first, after = index * len(curve) // points, (index + 1) * len(curve) // points
    return _mean(curve[first : max(after, first + 1)])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else math.nan


class Trends:
    """The trends of the runs that are looked at."""

    def __init__(self) -> None:
        self._kept: dict[int, Trend] = {}
        self._read_at: dict[int, float] = {}
        self._wanted: dict[int, Run] = {}

    def get(self, run: Run) -> Trend | None:
        """A run's trend as known; one that is not, or is out of date, is read with the next `load`."""
        known = self._kept.get(run.id)
        # At the end once more: what was measured after the last step comes after it.
        if run.step and (known is None or (known.step, known.is_over) != (run.step, run.status.is_ended)):
            self._wanted[run.id] = run
        return known

    def take(self) -> list[Run]:
        """The runs to read now, and no longer wanted after."""
        now = time.monotonic()
        due = [run for run in self._wanted.values() if now - self._read_at.get(run.id, 0.0) >= FRESH_SECONDS]
        for run in due[:AT_ONCE]:
            del self._wanted[run.id]
            self._read_at[run.id] = now
        return due[:AT_ONCE]

    def keep(self, trends: dict[int, Trend]) -> None:
        self._kept |= trends
