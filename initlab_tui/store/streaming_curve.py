"""The curve of a run in training, reduced to a few points at a cost that does not grow with the run."""

from __future__ import annotations

import math
from itertools import groupby
from operator import truediv

from initlab_tui.store import sql
from initlab_tui.store.curves import Curve, last_step
from initlab_tui.store.database import Store
from initlab_tui.store.rows import MAX_STEP, accuracy_or_nan, loss_or_nan

_INTERVALS = f"""
    SELECT max(step), count(*), iif(sum(typeof(loss) = 'real') = count(*), sum(loss), NULL),
        iif(sum(typeof(accuracy) = 'real') = count(*), sum(accuracy), NULL)
    FROM metrics WHERE run_id = ? AND split = 'train' AND step > ? AND step <= {MAX_STEP}
    GROUP BY (step - 1) / ? ORDER BY 1
"""  # noqa: S608 - no outside text


class StreamingCurve:
    """The curve of a run on the training data; each `read` reads only the steps recorded since the last one.

    A point has the last step of an interval, and the mean loss and accuracy, NaN if any value was not finite. When
    there are more than twice `points` intervals, pairs of them are joined.
    """

    def __init__(self, run_id: int, points: int) -> None:
        self._run_id, self._most = run_id, 2 * points
        self._length = 1
        self._intervals: list[tuple[int, int, float, float]] = []  # last step, rows, sums of losses and accuracies

    def read(self, store: Store) -> Curve:
        """Read new steps and return the curve."""
        if not self._intervals:
            # Let SQLite sum the steps of a run that has been training for a long time.
            last = last_step(store, self._run_id, "train")
            while self._length * self._most < last:
                self._length *= 2
        elif self._intervals[-1][0] % self._length:
            del self._intervals[-1]  # it was incomplete
        after = self._intervals[-1][0] if self._intervals else 0
        rows_read = sql.connection(store).execute(_INTERVALS, (self._run_id, after, self._length))
        for step, count, loss, accuracy in rows_read:
            if type(step) is int:  # a crafted store may hold anything
                sums = (math.nan if value is None else value for value in (loss, accuracy))
                self._intervals.append((step, count, *sums))
        while len(self._intervals) > self._most:
            self._length *= 2
            self._join()
        steps, counts, losses, accuracies = zip(*self._intervals, strict=True) if self._intervals else ((), (), (), ())
        return Curve(
            steps,
            tuple(map(loss_or_nan, map(truediv, losses, counts))),
            tuple(map(accuracy_or_nan, map(truediv, accuracies, counts))),
        )

    def _join(self) -> None:
        joined = []
        for _, group in groupby(self._intervals, lambda interval: (interval[0] - 1) // self._length):
            steps, counts, losses, accuracies = zip(*group, strict=True)
            joined.append((steps[-1], sum(counts), sum(losses), sum(accuracies)))
        self._intervals = joined
