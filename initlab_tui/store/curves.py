"""The recorded losses and accuracies of runs, complete or reduced to a few points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.domain.events import finite_or_none
from initlab_tui.store import rows, sql
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


# SQLite orders text and BLOBs after numbers, so no such step is in this range.
VALID_STEP = f"step BETWEEN 0 AND {rows.MAX_STEP}"
# Grouped by steps and not by rows, because a window function over the rows takes three times as long.
_TREND = """
    SELECT max(step), iif(sum(typeof(loss) = 'real') = count(*), avg(loss), NULL),
        iif(sum(typeof(accuracy) = 'real') = count(*), avg(accuracy), NULL)
    FROM metrics WHERE run_id = :run AND split = :split AND step BETWEEN :first AND :last
    GROUP BY (step - :first) * :buckets / (:last + 1 - :first)
"""
_ROWS = f"""
    SELECT step, loss, accuracy FROM metrics WHERE run_id = ? AND split = ? AND {VALID_STEP} ORDER BY step
"""  # noqa: S608 - no outside text


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
    found = connection.execute(f"{_ROWS} LIMIT ?", (run_id, split, buckets + 1)).fetchall()
    if len(found) <= buckets:
        return _curve(found)
    last, first = last_step(store, run_id, split), next((row[0] for row in found if type(row[0]) is int), 0)
    values = {"run": run_id, "split": split, "first": first, "last": last, "buckets": buckets}
    return _curve(connection.execute(_TREND, values).fetchall())


def last_step(store: Store, run_id: int, split: str) -> int:
    """Return the last recorded step of a run on `split`, 0 if there is none."""
    query = f"SELECT max(step) FROM metrics WHERE run_id = ? AND split = ? AND {VALID_STEP}"  # noqa: S608
    return rows.valid_id(sql.connection(store).execute(query, (run_id, split)).fetchone()[0]) or 0


def latest_step(store: Store, run_id: int) -> LatestStep | None:
    """Return the latest training step of a run, None if there is none."""
    query = (
        "SELECT step, loss, accuracy FROM metrics "  # noqa: S608 - no outside text
        f"WHERE run_id = ? AND split = 'train' AND {VALID_STEP} ORDER BY step DESC LIMIT 1"
    )
    row = sql.connection(store).execute(query, (run_id,)).fetchone()
    if row is None or type(row[0]) is not int:
        return None
    return LatestStep(row[0], finite_or_none(rows.loss_or_nan(row[1])), finite_or_none(rows.accuracy_or_nan(row[2])))


def list_unreadable(store: Store) -> list[str]:
    """Return, for each run with recorded values that cannot be read, their number."""
    query = f"""
        SELECT run_id, count(*) FROM metrics
        WHERE NOT (typeof(step) = 'integer' AND {VALID_STEP} AND typeof(loss) IN ('real', 'null')
            AND typeof(accuracy) IN ('real', 'null')
            AND coalesce(loss BETWEEN -{rows.MAX_LOSS} AND {rows.MAX_LOSS}, TRUE)
            AND coalesce(accuracy BETWEEN 0 AND 1, TRUE) AND split IN ('train', 'test'))
        GROUP BY run_id
    """  # noqa: S608 - no outside text
    found = sql.connection(store).execute(query)
    return [rows.unreadable_of(run_id, count, "metrics") for run_id, count in found]


def _curve(found: Sequence[tuple[object, object, object]]) -> Curve:
    """Return the curve of rows; a row with an invalid step is left out, and an invalid value is a gap."""
    return Curve(
        tuple(row[0] for row in found if type(row[0]) is int),
        tuple(rows.loss_or_nan(row[1]) for row in found if type(row[0]) is int),
        tuple(rows.accuracy_or_nan(row[2]) for row in found if type(row[0]) is int),
    )
