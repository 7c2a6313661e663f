"""The losses and accuracies that runs recorded, whole or in few points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.store import sql
from initlab_tui.store.database import Store


@dataclass(frozen=True)
class Curve:
    """A run's losses and accuracies on one split, by step; NaN where a value was not finite."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class LatestStep:
    """The newest training step of a run; None where a value was not finite."""

    step: int
    loss: float | None
    accuracy: float | None


# Grouped by steps and not by rows: a window function over the rows takes three times as long.
_TREND = """
    SELECT max(step), iif(count(loss) = count(*), avg(loss), NULL), iif(count(accuracy) = count(*), avg(accuracy), NULL)
    FROM metrics WHERE run_id = :run AND split = :split AND step <= :last
    GROUP BY (step - :first) * :buckets / (:last + 1 - :first)
"""
_ROWS = "SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = ? ORDER BY step"


def read_curve(store: Store, run_id: int, split: str) -> Curve:
    """Return what a run recorded on `split`, train or test."""
    return _curve(sql.connection(store).execute(_ROWS, (run_id, split)).fetchall())


def read_trend(store: Store, run_id: int, split: str, buckets: int) -> Curve:
    """Return a run's curve on `split` in at most `buckets` points.

    The steps are divided into intervals of equal length; a point is an interval's last step and its mean loss and
    accuracy, NaN where any was not finite. A curve of no more than `buckets` rows is returned unchanged.

    Raises:
        ValueError: when `buckets` is less than 1.
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
    """Return the last step that a run recorded on `split`; 0 before the first."""
    query = "SELECT coalesce(max(step), 0) FROM metrics WHERE run_id = ? AND split = ?"
    return int(sql.connection(store).execute(query, (run_id, split)).fetchone()[0])


def latest_step(store: Store, run_id: int) -> LatestStep | None:
    """Return the newest training step of a run; None before the first."""
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
    # The mean of large losses may be infinite although none of them is.
    return value if value is not None and math.isfinite(value) else math.nan
