"""The training curves for the sparklines: a cache of those that the app has read, and their bars with gaps."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.reports.sparkline import sparkline
from initlab_tui.store.curves import Curve
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.store.runs import Run

POINTS = 48
REFRESH_SECONDS = 0.5
MOST_AT_ONCE = 60


@dataclass(frozen=True)
class Trend:
    """The training curve of a run up to `step`, and its last layer measurement.

    The curve has at most POINTS points; a loss that was not finite is NaN.
    """

    step: int
    is_ended: bool
    curve: Curve
    measurement: StoredMeasurement | None


def bars(trends: Sequence[Trend], kind: str, width: int) -> str:
    """Draw the mean of the runs' curves as bars: a loss from 0 to its maximum, an accuracy from 0 to 1."""
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
    """The trends of the runs that were on the screen, and the runs to read next."""

    def __init__(self) -> None:
        self._kept: dict[int, Trend] = {}
        self._read_at: dict[int, float] = {}
        self._wanted: dict[int, Run] = {}

    def get(self, run: Run) -> Trend | None:
        """Return the known trend of a run; if it is missing or out of date, the next `take` asks for it."""
        known = self._kept.get(run.id)
        # Read once more after the end: the last measurement follows the last step.
        if run.step and (known is None or (known.step, known.is_ended) != (run.step, run.status.is_ended)):
            self._wanted[run.id] = run
        return known

    def take(self) -> list[Run]:
        """Return the runs to read now and remove them from the wanted ones."""
        now = time.monotonic()
        due = [run for run in self._wanted.values() if now - self._read_at.get(run.id, 0.0) >= REFRESH_SECONDS]
        for run in due[:MOST_AT_ONCE]:
            del self._wanted[run.id]
            self._read_at[run.id] = now
        return due[:MOST_AT_ONCE]

    def keep(self, trends: dict[int, Trend]) -> None:
        """Store what was read."""
        self._kept |= trends
