"""The recorded losses and accuracies of runs, complete or reduced to a few points."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import mul

from initlab_tui.domain.events import finite_or_none
from initlab_tui.store import rows, sql
from initlab_tui.store.database import Store
from initlab_tui.store.point_codec import NO_POINTS, DamagedPointsError, Points, decode
from initlab_tui.store.thinning import steps_in_points, stride_at, with_means


@dataclass(frozen=True)
class Curve:
    """The losses and accuracies of a run on one split, by step; NaN for values that were not finite.

    A value on the training data is the mean over the batches since the step before, at most `stride`.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    stride: int = 1


@dataclass(frozen=True)
class LatestStep:
    """The latest training step of a run; values that were not finite are None."""

    step: int
    loss: float | None
    accuracy: float | None


SPLITS = ("train", "test")
# SQLite orders text and BLOBs after numbers, so no such step is in this range.
VALID_STEP = f"step BETWEEN 0 AND {rows.MAX_STEP}"
_BLOCKS = "SELECT points FROM curves WHERE run_id = ? AND split = ? ORDER BY step"
_LAST_BLOCK = f"{_BLOCKS} DESC LIMIT 1"


class CurveReader:
    """Reads the curve of a run on `split`, train or test; after the first time only what was recorded since.

    Blocks that are damaged are left out.
    """

    def __init__(self, run_id: int, split: str) -> None:
        self._run_id, self._split = run_id, split
        self._forget()

    def _forget(self) -> None:
        self._last_block = -1  # the step of its row, which may still change
        self._before = 0  # the number of points before it
        self._steps: list[int] = []
        self._losses: list[float] = []
        self._accuracies: list[float] = []

    def read(self, store: Store) -> Curve:
        """Return the complete curve."""
        blocks = self._blocks(store)
        if self._last_block >= 0 and (not blocks or blocks[0][0] != self._last_block):
            self._forget()  # it was removed: the run continues from an earlier checkpoint
            blocks = self._blocks(store)
        for values in (self._steps, self._losses, self._accuracies):
            del values[self._before :]
        for step, content in blocks:
            self._add(step, _points(content))
        points = Points(self._steps, self._losses, self._accuracies)
        if self._split == "train" and len(points):
            last = _checked(with_means(points[-2:])[-1:])
            points = points[:-1] + last
        return Curve(tuple(points.steps), tuple(points.losses), tuple(points.accuracies), _stride(self._split, points))

    def _blocks(self, store: Store) -> list[tuple[object, object]]:
        query = "SELECT step, points FROM curves WHERE run_id = ? AND split = ? AND step >= ? ORDER BY step"
        return sql.connection(store).execute(query, (self._run_id, self._split, self._last_block)).fetchall()

    def _add(self, step: object, points: Points) -> None:
        if len(points) and points.steps[0] == step and points.steps[0] > (self._steps[-1] if self._steps else -1):
            # Only the last point of a curve on the training data may have sums, which are no valid accuracies.
            if self._steps:
                self._add_points(_checked(self._take_last()))
            self._last_block, self._before = points.steps[0], len(self._steps)
            self._add_points(_checked(points[:-1]))
            self._add_points(points[-1:] if self._split == "train" else _checked(points[-1:]))

    def _take_last(self) -> Points:
        return Points([self._steps.pop()], [self._losses.pop()], [self._accuracies.pop()])

    def _add_points(self, points: Points) -> None:
        self._steps += points.steps
        self._losses += points.losses
        self._accuracies += points.accuracies


def _checked(points: Points) -> Points:
    """Return points with NaN for what is no loss or accuracy."""
    losses, accuracies = map(rows.loss_or_nan, points.losses), map(rows.accuracy_or_nan, points.accuracies)
    return Points(points.steps, list(losses), list(accuracies))


def read_curve(store: Store, run_id: int, split: str) -> Curve:
    """Return the complete curve of a run on `split`, train or test; blocks of it that are damaged are left out."""
    return CurveReader(run_id, split).read(store)


def read_trend(store: Store, run_id: int, split: str, buckets: int) -> Curve:
    """Return the curve of a run on `split`, reduced to at most `buckets` points."""
    return trend(read_curve(store, run_id, split), buckets)


def trend(curve: Curve, buckets: int, stride: int = 1) -> Curve:
    """Return a curve reduced to at most `buckets` points; one of at most `buckets` points is returned unchanged.

    The steps are divided into intervals of equal length, in whole multiples of `stride` and that of the curve. A point
    has the last step of its interval, and the mean loss and accuracy, NaN if any value was not finite.

    Raises:
        ValueError: if `buckets` is less than 1.
    """
    if buckets < 1:
        raise ValueError(f"buckets must be >= 1, got {buckets}")
    if len(curve.steps) <= buckets:
        return curve
    unit = max(curve.stride, stride)
    origin = curve.steps[0] if unit == 1 else 1
    units = (curve.steps[-1] - origin) // unit + 1
    first_steps = (origin + -(-bucket * units // buckets) * unit for bucket in range(buckets))
    edges = [*(bisect_left(curve.steps, step) for step in first_steps), len(curve.steps)]
    parts = [slice(first, after) for first, after in pairwise(edges) if first < after]
    counts = None if curve.stride == 1 else list(steps_in_points(curve.steps))
    return Curve(
        tuple(curve.steps[part.stop - 1] for part in parts),
        tuple(_mean(curve.losses, counts, part) for part in parts),
        tuple(_mean(curve.accuracies, counts, part) for part in parts),
        curve.stride,
    )


def _mean(values: Sequence[float], counts: Sequence[int] | None, part: slice) -> float:
    """Return the mean of a part of the values, weighted with `counts` if given."""
    if counts is None:
        mean = sum(values[part]) / (part.stop - part.start)
    else:
        mean = sum(map(mul, values[part], counts[part])) / sum(counts[part])
    # The mean of large losses may be infinite although all of them are finite.
    return mean if math.isfinite(mean) else math.nan


def latest_step(store: Store, run_id: int) -> LatestStep | None:
    """Return the latest training step of a run, None if there is none; in a long run it has the means of the last."""
    row = sql.connection(store).execute(_LAST_BLOCK, (run_id, "train")).fetchone()
    points = with_means(_points(row[0])) if row else NO_POINTS
    if not len(points):
        return None
    loss, accuracy = rows.loss_or_nan(points.losses[-1]), rows.accuracy_or_nan(points.accuracies[-1])
    return LatestStep(points.steps[-1], finite_or_none(loss), finite_or_none(accuracy))


def list_unreadable(store: Store) -> list[str]:
    """Return, for each run with blocks of curves that cannot be read, their number."""
    counts: Counter[object] = Counter()
    for run_id, split, step, content in sql.connection(store).execute("SELECT run_id, split, step, points FROM curves"):
        points = _points(content)
        counts[run_id] += not (split in SPLITS and len(points) and points.steps[0] == step)
    return [rows.unreadable_of(run_id, count, "curves") for run_id, count in counts.items() if count]


def _stride(split: str, points: Points) -> int:
    return stride_at(points.steps[-1]) if split == "train" and len(points) else 1


def _points(content: object) -> Points:
    try:
        return decode(content)
    except DamagedPointsError:
        return NO_POINTS
