"""Checks the values of the store's rows, which may come from somebody else or from a damaged file.

SQLite's column types and checks do not help: a crafted file can hold any value in any column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from initlab_tui.domain.errors import quoted, shown

MAX_ID = 2**63 - 1  # the largest integer of SQLite
MAX_STEP = 2**40
MAX_SECONDS = 253_402_300_799.0  # the end of the year 9999, after which no date can be written
MAX_LOSS = 3.5e38  # the range of float32
MAX_METRIC = 1e150  # the squares of larger values are infinite
_NAME = re.compile(r"[a-z_]{0,40}")
_DEVICE = re.compile(r"cpu|auto|gpu(:\d{1,4})?")


@dataclass(frozen=True)
class Rule:
    """The values that a column may have, and the same in words."""

    allows: Callable[[object], bool]
    words: str


def optional(rule: Rule) -> Rule:
    """Allow NULL too."""
    return Rule(lambda value: value is None or rule.allows(value), f"{rule.words} or NULL")


def whole(low: int, high: int) -> Rule:
    return Rule(lambda value: type(value) is int and low <= value <= high, f"a whole number from {low} to {high}")


def number(low: float, high: float) -> Rule:
    return Rule(lambda value: is_number(value, low, high), f"a number from {low:g} to {high:g}")


def text(most: int) -> Rule:
    return Rule(
        lambda value: isinstance(value, str) and len(value) <= most, f"UTF-8 text of at most {most:,} characters"
    )


def one_of(*allowed: str) -> Rule:
    return Rule(
        lambda value: isinstance(value, str) and value in allowed,
        f"one of {', '.join(repr(str(each)) for each in allowed)}",
    )


def is_number(value: object, low: float, high: float) -> bool:
    """Return whether a value is a number within bounds."""
    return isinstance(value, int | float) and low <= value <= high


def metric_or_none(value: object) -> float | None:
    """Return a metric of a layer; None if it was not finite or is no number."""
    return float(value) if isinstance(value, int | float) and -MAX_METRIC <= value <= MAX_METRIC else None


def loss_or_nan(value: object) -> float:
    """Return a loss; NaN if it was not finite or is no loss."""
    return float(value) if isinstance(value, int | float) and -MAX_LOSS <= value <= MAX_LOSS else math.nan


def accuracy_or_nan(value: object) -> float:
    """Return an accuracy; NaN if it was not finite or is no accuracy."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else math.nan


ANY = Rule(lambda _: True, "anything")
NULL = Rule(lambda value: value is None, "NULL")
ID = whole(1, MAX_ID)
STEP = whole(0, MAX_STEP)
COUNT = whole(0, MAX_ID)
TEXT = text(1_000_000)
LINE = text(10_000)  # also of paths and reasons
TIME = Rule(number(0, MAX_SECONDS).allows, "a time in seconds, from 1970 to 9999")
# Measured with a clock that may have been set back in between.
DURATION = number(-MAX_SECONDS, MAX_SECONDS)
# A later version may know more of them.
DIAGNOSIS = Rule(lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)), "the name of a diagnosis")
PID = whole(1, 2**31 - 1)
THREADS = whole(1, 2**16)
DEVICE = Rule(lambda value: isinstance(value, str) and bool(_DEVICE.fullmatch(value)), "cpu, gpu, gpu:N or auto")


def problem(rules: Mapping[str, Rule], values: Sequence[object]) -> str:
    """Return a sentence about the first invalid value of a row, in the order of `rules`; empty if all are valid."""
    for (column, rule), value in zip(rules.items(), values, strict=True):
        if not rule.allows(value):
            return f"{column} must be {rule.words}, got {'NULL' if value is None else quoted(value)}"
    return ""


def unreadable_of(run_id: object, count: int, table: str) -> str:
    """Return in words how many rows of a run in a table cannot be read."""
    return f"run {shown(run_id)}: {count} {'row' if count == 1 else 'rows'} of {table}"


def valid_id(value: object) -> int | None:
    """Return an id of a row, None if it is not one."""
    return value if type(value) is int and ID.allows(value) else None


def valid_ids(values: Collection[object]) -> set[int]:
    """Return the ids among values, without anything else."""
    return {value for value in values if type(value) is int}
