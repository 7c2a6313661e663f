"""The columns of the leaderboard and of the list of runs, shared by the commands and the lab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from initlab_tui.domain.statistics.leaderboard import Row
from initlab_tui.reports.format import (
    diagnoses,
    initializer_name,
    number,
    percent,
    percent_interval,
    rate,
    remark,
    seconds,
    short,
    statuses,
    versus,
    when,
)
from initlab_tui.store.runs import Run

T = TypeVar("T")
Sortable = float | str

FIELD_HEADINGS = {
    "learning_rate": "lr",
    "batch_size": "batch",
    "eval_every": "test every",
    "activation": "act",
    "optimizer": "opt",
    "epochs": "ep",
    "execution": "exec",
}
ROOMY = 100  # minimum width of the terminal for durations and speeds


def _unordered(_: object) -> None:
    return None


@dataclass(frozen=True)
class Column(Generic[T]):
    """A column: its heading, the text of an item, and the value to sort by.

    `order` sorts the best or first items to the top; None comes last. Numbers are right-aligned. If there is not enough
    space, the text may be cut to `least` cells, or not at all if `least` is None. On a terminal narrower than
    `from_width` the column is omitted.
    """

    key: str
    heading: str
    show: Callable[[T], str]
    order: Callable[[T], Sortable | None] = _unordered
    is_number: bool = True
    least: int | None = None
    from_width: int = 0


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _rank(row: Row) -> str:
    """Return the rank of a group; empty if it has no finished run."""
    return str(row.rank) if row.n else ""


RANK = Column[Row]("#", "#", _rank, lambda row: row.rank)
INITIALIZER = Column[Row](
    "initializer",
    "initializer",
    lambda row: initializer_name(row.spec.initializer),
    lambda row: initializer_name(row.spec.initializer),
    is_number=False,
    least=12,
)
N = Column[Row]("n", "n", lambda row: str(row.n), lambda row: -row.n)
ACCURACY = Column[Row](
    "acc %", "acc %", lambda row: percent_interval(row.test_accuracy), lambda row: _negative(row.test_accuracy.mean)
)
VERSUS = Column[Row](
    "vs #1",
    "vs #1",
    versus,
    lambda row: _negative(row.versus_first.accuracy.mean) if row.versus_first else -1e9,  # the first group first
)
DIAGNOSIS = Column[Row]("step 0", "signal at init", diagnoses, diagnoses, is_number=False, from_width=ROOMY)
LOSS = Column[Row]("loss", "loss", lambda row: number(row.test_loss.mean), lambda row: row.test_loss.mean)
SECONDS = Column[Row]("time", "time", lambda row: seconds(row.seconds), lambda row: row.seconds, from_width=ROOMY)
SPEED = Column[Row](
    "samples/s",
    "samples/s",
    lambda row: rate(row.samples_per_second),
    lambda row: _negative(row.samples_per_second),
    from_width=ROOMY,
)
STATUS = Column[Row]("status", "status", statuses, statuses, is_number=False)
FINGERPRINT = Column[Row](
    "data",
    "data",
    lambda row: (row.fingerprint or "")[:6],
    lambda row: row.fingerprint or "",
    is_number=False,
)


def field_text(row: Row, name: str) -> str:
    """Return a field of the group's spec in the form of the command line."""
    value = getattr(row.spec, name)
    return short(list(value)) if isinstance(value, tuple) else str(value)


def field_column(name: str) -> Column[Row]:
    """Return the column of a spec field in which the groups differ."""

    def order(row: Row) -> Sortable:
        value = getattr(row.spec, name)
        return value if isinstance(value, int | float) else str(value)

    heading = FIELD_HEADINGS.get(name, name)
    return Column(name, heading, lambda row: field_text(row, name), order, is_number=False, least=8)


RUNS = (
    Column[Run]("id", "id", lambda run: str(run.id)),
    Column[Run]("status", "status", lambda run: run.status, is_number=False),
    Column[Run]("dataset", "dataset", lambda run: run.spec.dataset, is_number=False, least=8, from_width=120),
    Column[Run](
        "network",
        "network",
        lambda run: run.spec.network_text,
        is_number=False,
        least=12,
        from_width=100,
    ),
    Column[Run](
        "initializer",
        "initializer",
        lambda run: initializer_name(run.spec.initializer),
        is_number=False,
        least=12,
    ),
    Column[Run]("seed", "seed", lambda run: str(run.spec.seed)),
    Column[Run]("step", "step", lambda run: f"{run.step}/{run.total_steps}" if run.total_steps else "–"),
    Column[Run]("acc %", "acc %", lambda run: percent(run.test_accuracy)),
    Column[Run]("loss", "loss", lambda run: number(run.test_loss)),
    Column[Run]("time", "time", lambda run: seconds(run.seconds), from_width=100),
    Column[Run]("created", "created", lambda run: when(run.created), is_number=False, from_width=140),
    Column[Run]("reason", "reason", remark, is_number=False, least=12),
)
