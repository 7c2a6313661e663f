"""Writes curves to the store, in blocks of up to POINTS_PER_BLOCK points: the rows of `curves`."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby, islice
from operator import itemgetter

from initlab_tui.domain.events import Evaluated, LayersMeasured, Stepped
from initlab_tui.store.point_codec import NO_POINTS, POINTS_PER_BLOCK, DamagedPointsError, Points, decode, encode
from initlab_tui.store.thinning import Thinner, is_open

_LAST = "SELECT points FROM curves WHERE run_id = ? AND split = ? ORDER BY step DESC LIMIT 1"
_REMOVE = "DELETE FROM curves WHERE run_id = ? AND split = ? AND step >= ?"
# A row with another kind of step or split cannot be part of a curve.
_ROWS = """
    SELECT run_id, split, step, loss, accuracy FROM metrics
    WHERE typeof(run_id) = 'integer' AND run_id IN (SELECT id FROM runs)
        AND split IN ('train', 'test') AND typeof(step) = 'integer' AND step >= 0
    ORDER BY run_id, split, step
"""
_INSERT = "INSERT INTO curves (run_id, split, step, points) VALUES (?, ?, ?, ?)"


def append(connection: sqlite3.Connection, run_id: int, events: Iterable[Stepped | Evaluated | LayersMeasured]) -> None:
    """Add the training steps and the evaluations among these events, in the caller's transaction."""
    curves: dict[str, CurveWriter] = {}
    for event in events:
        match event:
            case Stepped():
                split, losses, accuracies = "train", event.losses, event.accuracies
            case Evaluated():
                split, losses, accuracies = "test", (event.loss,), (event.accuracy,)
            case LayersMeasured():
                continue
        if split not in curves:
            curves[split] = CurveWriter(connection, run_id, split)
        curves[split].add(event.step, losses, accuracies)
    for curve in curves.values():
        curve.save()


class CurveWriter:
    """The end of the curve of a run on one split, which is changed in the caller's transaction."""

    def __init__(self, connection: sqlite3.Connection, run_id: int, split: str) -> None:
        self._connection = connection
        self._curve = (run_id, split)
        self._is_thinned = split == "train"
        self._read()

    def _read(self) -> None:
        """Read the last block; a damaged one is left as it is, and a new one begins after it."""
        self._block = NO_POINTS
        row = self._connection.execute(_LAST, self._curve).fetchone()
        if row:
            with contextlib.suppress(DamagedPointsError):
                self._block = decode(row[0])
        self._end = Thinner(self._block)

    @property
    def open_sums(self) -> tuple[float, float]:
        """The sums of the losses and the accuracies of the last point, if it is not complete yet."""
        block = self._block
        return (block.losses[-1], block.accuracies[-1]) if len(block) and self._is_open(block.steps[-1]) else (0.0, 0.0)

    def _is_open(self, step: int) -> bool:
        return self._is_thinned and is_open(step)

    def add(self, first: int, losses: Sequence[float], accuracies: Sequence[float]) -> None:
        """Add consecutive steps, beginning with `first`; what was recorded from there on is replaced."""
        if first <= self._end.last:
            self.save()
            self.truncate(first - 1)
        add = self._end.add if self._is_thinned else self._end.add_every
        add(first, losses, accuracies)

    def save(self) -> None:
        """Write what was added."""
        self._replace(self._end.points)

    def truncate(self, step: int, open_sums: tuple[float, float] | None = None) -> None:
        """Remove what was recorded after `step`, which has `open_sums` if it is within a point."""
        self._connection.execute(_REMOVE, (*self._curve, step + 1))
        self._read()
        kept = self._block[: bisect_right(self._block.steps, step)]
        if open_sums and self._is_open(step):
            loss, accuracy = open_sums
            kept = kept[: bisect_right(kept.steps, step - 1)] + Points([step], [loss], [accuracy])
        self._replace(kept)
        self._read()

    def _replace(self, points: Points) -> None:
        """Write these points in place of the last block."""
        if len(points):
            since = min((points.steps[0], *self._block.steps[:1]))
            self._connection.execute(_REMOVE, (*self._curve, since))
            parts = (points[first : first + POINTS_PER_BLOCK] for first in range(0, len(points), POINTS_PER_BLOCK))
            rows = [(*self._curve, part.steps[0], encode(part)) for part in parts]
            self._connection.executemany(_INSERT, rows)


def pack_rows(connection: sqlite3.Connection) -> None:
    """Copy the rows of the table `metrics` of earlier schemas, one for each step, into blocks."""
    rows = connection.execute(_ROWS)
    for (run_id, split), of_curve in groupby(rows, itemgetter(0, 1)):
        while block := list(islice(of_curve, POINTS_PER_BLOCK)):
            _, _, steps, losses, accuracies = zip(*block, strict=True)
            points = Points(steps, tuple(map(_or_nan, losses)), tuple(map(_or_nan, accuracies)))
            connection.execute(_INSERT, (run_id, split, steps[0], encode(points)))


def _or_nan(value: object) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan
