"""The curve of a run that trains, in few points, at a cost that does not grow with the run."""

from __future__ import annotations

import math
from itertools import groupby

from initlab_tui.store.database import Curve, Store

_STRETCHES = """
    SELECT max(step), count(*), iif(count(loss) = count(*), sum(loss), NULL),
        iif(count(accuracy) = count(*), sum(accuracy), NULL)
    FROM metrics WHERE run_id = ? AND split = 'train' AND step > ? GROUP BY (step - 1) / ? ORDER BY 1
"""


class StreamingCurve:
    """A run's curve on the training data: each look reads what was recorded since the last, and no more.

    A point is a stretch of steps: its last step, its mean loss and accuracy, NaN where any was not finite. Once
    there are more than twice `points`, two stretches become one.
    """

    def __init__(self, run_id: int, points: int) -> None:
        self._run_id, self._most = run_id, 2 * points
        self._length = 1
        self._stretches: list[tuple[int, int, float, float]] = []  # last step, rows, sums of losses and accuracies

    def look(self, store: Store) -> Curve:
        """The curve as it is now."""
        if not self._stretches:
            # What has long trained is summed up by SQLite.
            query = "SELECT max(step) FROM metrics WHERE run_id = ? AND split = 'train'"
            (last,) = store.connection.execute(query, (self._run_id,)).fetchone()
            while self._length * self._most < (last or 0):
                self._length *= 2
        elif self._stretches[-1][0] % self._length:
            del self._stretches[-1]  # it was not full
        after = self._stretches[-1][0] if self._stretches else 0
        for step, rows, loss, accuracy in store.connection.execute(_STRETCHES, (self._run_id, after, self._length)):
            sums = (math.nan if value is None else value for value in (loss, accuracy))
            self._stretches.append((step, rows, *sums))
        while len(self._stretches) > self._most:
            self._length *= 2
            self._join()
        steps, rows, losses, accuracies = zip(*self._stretches, strict=True) if self._stretches else ((), (), (), ())
        return Curve(steps, _means(losses, rows), _means(accuracies, rows))

    def _join(self) -> None:
        joined = []
        for _, group in groupby(self._stretches, lambda stretch: (stretch[0] - 1) // self._length):
            steps, rows, losses, accuracies = zip(*group, strict=True)
            joined.append((steps[-1], sum(rows), sum(losses), sum(accuracies)))
        self._stretches = joined


def _means(sums: tuple[float, ...], rows: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(total / count if math.isfinite(total) else math.nan for total, count in zip(sums, rows, strict=True))
