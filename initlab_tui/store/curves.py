"""The recorded losses and accuracies of runs, complete or reduced to a few points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.store import sql
from initlab_tui.store.database import Store


@dataclass(frozen=True)
class Curve:
    """The losses and accuracies of a run on one split, by step; NaN for values that were not finite."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class LatestStep:
    """The latest training step of a run; values that were not finite are None."""

    step: int
    loss: float | None
    accuracy: float | None


# Grouped by steps and not by rows, because a window function over the rows takes three times as long.
_TREND = """
    SELECT max(step), iif(count(loss) = count(*), avg(loss), NULL), iif(count(accuracy) = count(*), avg(accuracy), NULL)
    FROM metrics WHERE run_id = :run AND split = :split AND step <= :last
    GROUP BY (step - :first) * :buckets / (:last + 1 - :first)
"""
_ROWS = "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = ? ORDER BY step"


def read_curve(store: Store, run_id: int, split: str) -> Curve:
    """Return the complete curve of a run on `split`, train or test."""
    return _curve(sql.connection(store).execute(_ROWS, (run_id, split)).fetchall())


def read_trend(store: Store, run_id: int, split: str, buckets: int) -> Curve:
    """Return the curve of a run on `split`, reduced to at most `buckets` points.

    The steps are divided into intervals of equal length. A point has the last step of its interval, and the mean loss
    and accuracy, NaN if any value was not finite. A curve of at most `buckets` rows is returned unchanged.

    Raises:
        ValueError: if `buckets` is less than 1.
    """
    if buckets < 1:
        raise ValueError(f"buckets must be >= 1, got {buckets}")
    connection = sql.connection(store)
    rows = connection.execute(f"{_ROWS} LIMIT ?", (run_id, split, buckets + 1)).fetchall()
    if len(rows) <= buckets:
        return _curve(rows)
    last = last_step(store, run_id, split)
    values = {"run": run_id, "split": split, "first": rows[0][0], "last": last, "buckets": buckets}
    return _curve(connection.execute(_TREND, values).fetchall())


def last_step(store: Store, run_id: int, split: str) -> int:
    """Return the last recorded step of a run on `split`, 0 if there is none."""
    query = "SELECT coalesce(max(step), 0) FROM metrics WHERE run_id = ? AND split = ?"
    return int(sql.connection(store).execute(query, (run_id, split)).fetchone()[0])


def latest_step(store: Store, run_id: int) -> LatestStep | None:
    """Return the latest training step of a run, None if there is none."""
    query = "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = 'train' ORDER BY step DESC LIMIT 1"
    row = sql.connection(store).execute(query, (run_id,)).fetchone()
    return LatestStep(*row) if row else None


def _curve(rows: Sequence[tuple[int, float | None, float | None]]) -> Curve:
    return Curve(
        tuple(row[0] for row in rows),
        tuple(_or_nan(row[1]) for row in rows),
        tuple(_or_nan(row[2]) for row in rows),
    )


def _or_nan(value: float | None) -> float:
    # The mean of large losses may be infinite although all of them are finite.
    return value if value is not None and math.isfinite(value) else math.nan
