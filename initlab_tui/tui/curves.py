"""From what runs recorded to what a chart draws: means, intervals, smoothing, gaps, and dots of braille."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from initlab_tui.domain.statistics.intervals import t_quantile
from initlab_tui.store.database import Curve

Array = NDArray[np.float64]
Dots = NDArray[np.bool_]
Points = tuple[Array, Array]

# Two dots across and four down make one character of braille, each with its bit.
ACROSS, DOWN = 2, 4
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
SMALLEST_VIEW, LARGEST_VIEW = 1e-4, 4.0


@dataclass(frozen=True)
class Series:
    """One entry of the chart: a group of runs that differ in the seed alone, or one run."""

    label: str
    runs: tuple[int, ...]


@dataclass(frozen=True)
class Line:
    """A series as it is drawn: the mean over its runs, half the width of the interval, and the runs themselves.

    `half` is None for fewer than two runs; NaN is a gap. Runs that have recorded nothing yet are not among `runs`.
    """

    steps: Array
    mean: Array
    half: Array | None
    runs: tuple[Points, ...]

    def at(self, step: float) -> tuple[float, float | None]:
        """The mean and half the interval at `step`, interpolated as it is drawn; NaN beyond the ends."""
        if not len(self.steps):
            return math.nan, None
        half = math.nan if self.half is None else float(np.interp(step, self.steps, self.half, np.nan, np.nan))
        mean = float(np.interp(step, self.steps, self.mean, np.nan, np.nan))
        return mean, half if math.isfinite(half) else None


@dataclass(frozen=True)
class View:
    """The part of the plane that is shown, in the units of the axes."""

    left: float
    right: float
    bottom: float
    top: float

    def zoomed(self, factor: float, x: float, y: float, *, steps_only: bool = False) -> View:
        """`factor` times as wide and high, the point (x, y) staying where it is."""
        left, right = (x + (side - x) * factor for side in (self.left, self.right))
        if steps_only:
            return View(left, right, self.bottom, self.top)
        bottom, top = (y + (side - y) * factor for side in (self.bottom, self.top))
        return View(left, right, bottom, top)

    def panned(self, across: float, up: float) -> View:
        """Moved by these shares of its width and height."""
        x, y = across * (self.right - self.left), up * (self.top - self.bottom)
        return View(self.left + x, self.right + x, self.bottom + y, self.top + y)

    def is_sound_beside(self, home: View) -> bool:
        """Whether it shows some of `home`, neither so small nor so large that nothing can be read off it."""
        shares = (
            (self.right - self.left) / (home.right - home.left),
            (self.top - self.bottom) / (home.top - home.bottom),
        )
        beside = self.left < home.right and home.left < self.right
        level = self.bottom < home.top and home.bottom < self.top
        return beside and level and all(SMALLEST_VIEW <= share <= LARGEST_VIEW for share in shares)


def line(curves: Sequence[Curve], metric: str, smoothing: float = 0.0) -> Line:
    """The curves of a series' runs as one line; accuracies in percent. Each run is smoothed, then the mean taken."""
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
    """Exponential moving average without the pull of its start at zero, as TensorBoard's slider has it.

    A value that is not finite stays a gap, and what follows goes on as if it had not been.
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
    """The steps that all the runs reach, and a row of values for each run, interpolated where it has no such step."""
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
    """The decimal logarithm; a gap where there is none."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(values) & (values > 0), np.log10(values), np.nan)


def segments(x: Array, y: Array) -> Iterator[Points]:
    """The parts of a line between its gaps: drawn as one, a line would bridge them."""
    finite = np.flatnonzero(np.isfinite(y))
    if len(finite):
        for part in np.split(finite, np.flatnonzero(np.diff(finite) > 1) + 1):
            yield x[part], y[part]


def marks(lines: Sequence[Line]) -> Array:
    """Every step at which one of the lines has a value: where a cursor can stand."""
    return np.unique(np.concatenate([np.empty(0), *(each.steps[np.isfinite(each.mean)] for each in lines)]))


def view_of(points: Sequence[Points]) -> View | None:
    """The view that holds all the points, with room for a name at the right; None where there are none."""
    finite = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in points]
    finite = [(x, y) for x, y in finite if len(x)]
    if not finite:
        return None
    left, right = min(x[0] for x, _ in finite), max(x[-1] for x, _ in finite)
    bottom, top = min(y.min() for _, y in finite), max(y.max() for _, y in finite)
    # A single point or a constant has no extent of its own.
    width, height = max(right - left, 1.0), top - bottom or max(abs(top) / 5, 1e-6)
    return View(float(left), float(right + 0.05 * width), float(bottom - 0.05 * height), float(top + 0.05 * height))


def line_dots(x: Array, y: Array, view: View, columns: int, rows: int) -> Dots:
    """Which dots a line without gaps passes, on a plot of so many characters: the topmost row first."""
    across, down = _pixels(x, y, view, columns, rows)
    sides = np.interp(np.arange(ACROSS * columns + 1), across, down, np.nan, np.nan)
    highest, lowest = np.fmin(sides[:-1], sides[1:]), np.fmax(sides[:-1], sides[1:])
    inside = (across >= 0) & (across < ACROSS * columns)
    # Between the sides of a column of dots a line may turn, or end.
    np.fmin.at(highest, across[inside].astype(int), down[inside])
    np.fmax.at(lowest, across[inside].astype(int), down[inside])
    level = np.arange(DOWN * rows)[:, None]
    dots: Dots = (level >= np.floor(highest)) & (level <= np.floor(lowest))
    return dots


def band_dots(x: Array, low: Array, high: Array, view: View, columns: int, rows: int) -> Dots:
    """The dots that shade what lies between two lines, thinly enough that other lines show."""
    across, floor = _pixels(x, low, view, columns, rows)
    _, ceiling = _pixels(x, high, view, columns, rows)
    column = np.arange(ACROSS * columns)
    lowest = np.interp(column + 0.5, across, floor, np.nan, np.nan)
    highest = np.interp(column + 0.5, across, ceiling, np.nan, np.nan)
    level = np.arange(DOWN * rows)[:, None]
    dots: Dots = (level >= highest) & (level <= lowest) & ((level + DOWN // 2 * column) % DOWN == 0)
    return dots


def _pixels(x: Array, y: Array, view: View, columns: int, rows: int) -> Points:
    across = (x - view.left) * (ACROSS * columns / (view.right - view.left))
    with np.errstate(over="ignore"):
        down = (view.top - y) * (DOWN * rows / (view.top - view.bottom))
    # What is far outside is brought near, lest infinities meet in the interpolation.
    return across, np.clip(down, -1e6, 1e6)


def braille(dots: Dots) -> Iterator[tuple[int, int, str]]:
    """Column, row and character of every cell that has a dot."""
    cells = np.zeros((dots.shape[0] // DOWN, dots.shape[1] // ACROSS), np.uint8)
    for down, bits in enumerate(BITS):
        for across, bit in enumerate(bits):
            cells |= np.where(dots[down::DOWN, across::ACROSS], np.uint8(bit), np.uint8(0))
    rows, columns = np.nonzero(cells)
    for row, column, cell in zip(rows.tolist(), columns.tolist(), cells[rows, columns].tolist(), strict=True):
        yield column, row, chr(0x2800 + cell)


def track(x: Array, y: Array, view: View, columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cells (column, row) where a line's name may stand: past its end, along it, backwards, then further past it."""
    across, down = _pixels(x, y, view, columns, rows)
    inside = np.flatnonzero((across >= 0) & (across < ACROSS * columns) & (down >= 0) & (down < DOWN * rows))
    if not len(inside):
        return
    last = int(across[inside[-1]] // ACROSS)
    end = int(down[inside[-1]] // DOWN)
    yield min(last + 1, columns - 1), end
    along = np.arange(last, int(across[inside[0]] // ACROSS), -1)
    heights = np.interp(ACROSS * (along + 0.5), across, down) // DOWN
    yield from (
        (column, int(row)) for column, row in zip(along.tolist(), heights.tolist(), strict=True) if 0 <= row < rows
    )
    yield from ((column, end) for column in range(last + 2, columns))


def log_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Where a logarithmic axis from 10**low to 10**high has its ticks: decades, or 1, 2 and 5 of each."""
    decades = range(math.ceil(low), math.floor(high) + 1)
    if len(decades) > 2:
        return nice_ticks(low, high, most, smallest=1)
    candidates = [decade + math.log10(part) for decade in range(math.floor(low), math.ceil(high)) for part in (1, 2, 5)]
    ticks = [tick for tick in candidates if low <= tick <= high]
    return ticks if len(ticks) > 1 else [math.log10(tick) for tick in nice_ticks(10**low, 10**high) if tick > 0]


def nice_ticks(low: float, high: float, most: int = 8, smallest: float = 0.0) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between `low` and `high`, at most about `most`."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    distance = max(next(power * part for part in (1, 2, 5, 10) if power * part >= rough), smallest)
    return [number * distance for number in range(math.ceil(low / distance), math.floor(high / distance) + 1)]
