"""From recorded curves to the lines of a chart: means, intervals, smoothing and gaps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initlab_tui.domain.statistics.intervals import t_quantile
from initlab_tui.store.curves import Curve

Array = NDArray[np.float64]
Points = tuple[Array, Array]


@dataclass(frozen=True)
class Line:
    """The line of a series: the mean over its runs, half the width of the interval, and the runs themselves.

    `half` is None for fewer than two runs; NaN is a gap. `runs` leaves out runs that have recorded nothing yet.
    """

    steps: Array
    mean: Array
    half: Array | None
    runs: tuple[Points, ...]

    def at(self, step: float) -> tuple[float, float | None]:
        """Return the mean and half the interval at `step`, interpolated linearly; NaN beyond the ends."""
        if not len(self.steps):
            return math.nan, None
        half = math.nan if self.half is None else float(np.interp(step, self.steps, self.half, np.nan, np.nan))
        mean = float(np.interp(step, self.steps, self.mean, np.nan, np.nan))
        return mean, half if math.isfinite(half) else None


def line(curves: Sequence[Curve], metric: str, smoothing: float = 0.0) -> Line:
    """Smooth the curve of each run, then take their mean; accuracies are in percent."""
    runs = tuple(
        (np.asarray(curve.steps, float), smooth(_values(curve, metric), smoothing)) for curve in curves if curve.steps
    )
    steps, rows = aligned(runs)
    with np.errstate(all="ignore"):
        mean = rows.mean(axis=0) if len(rows) else np.empty(0)
        return Line(steps, mean, _half_width(rows), runs)


def _values(curve: Curve, metric: str) -> Array:
    return np.asarray(curve.losses, float) if metric == "loss" else 100 * np.asarray(curve.accuracies, float)


def smooth(values: Array, weight: float) -> Array:
    """Return the exponential moving average without bias towards zero, as TensorBoard computes it.

    A value that is not finite stays a gap and does not affect the values after it.
    """
    if not weight:
        return values
    smoothed, average, count = [], 0.0, 0
    for value in values.tolist():
        if math.isfinite(value):
            average = weight * average + (1 - weight) * value
            count += 1
            smoothed.append(average / (1 - weight**count))
        else:
            smoothed.append(math.nan)
    return np.array(smoothed)


def aligned(runs: Sequence[Points]) -> Points:
    """Return the steps within the range of all runs, and one row of values for each run, interpolated between steps."""
    if not runs:
        return np.empty(0), np.empty((0, 0))
    steps = runs[0][0]
    if not all(np.array_equal(steps, other) for other, _ in runs):
        first, last = max(other[0] for other, _ in runs), min(other[-1] for other, _ in runs)
        steps = np.unique(np.concatenate([other for other, _ in runs]))
        steps = steps[(steps >= first) & (steps <= last)]
    return steps, np.array([np.interp(steps, *run) for run in runs])


def _half_width(rows: Array) -> Array | None:
    n = len(rows)
    if n < 2:
        return None
    half: Array = t_quantile(n) * rows.std(axis=0, ddof=1) / math.sqrt(n)
    return half


def logged(values: Array) -> Array:
    """Return the decimal logarithm; NaN for values that have none."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(values) & (values > 0), np.log10(values), np.nan)


def segments(x: Array, y: Array) -> Iterator[Points]:
    """Yield the parts of a line between its gaps, so that no gap is bridged."""
    finite = np.flatnonzero(np.isfinite(y))
    if len(finite):
        for part in np.split(finite, np.flatnonzero(np.diff(finite) > 1) + 1):
            yield x[part], y[part]


def cursor_steps(lines: Sequence[Line]) -> Array:
    """Return all steps at which at least one line has a value: the cursor moves over these."""
    return np.unique(np.concatenate([np.empty(0), *(each.steps[np.isfinite(each.mean)] for each in lines)]))
