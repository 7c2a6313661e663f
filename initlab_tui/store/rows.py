"""Checks the values of the store's rows, which may come from somebody else or from a damaged file.

SQLite's column types and checks do not help: a crafted file can hold any value in any column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any

from initlab_tui.domain.errors import quoted, shown

MAX_ID = 2**63 - 1  # the largest integer of SQLite
MAX_STEP = 2**40
MAX_SECONDS = 253_402_300_799.0  # the end of the year 9999, after which no date can be written
MAX_LOSS = 3.5e38  # the range of float32
MAX_METRIC = 1e150  # the squares of larger values are infinite


@dataclass(frozen=True)
class Rule:
    """The values that a column may have: their types, a condition, and the same in words."""

    types: frozenset[type]
    condition: Callable[[Any], bool]
    words: str

    def allows(self, value: object) -> bool:
        return type(value) in self.types and self.condition(value)

    def allows_all(self, values: Sequence[object]) -> bool:
        """Return the same for many values, at a cost of less than 0.1 microseconds for each if few are distinct."""
        return self.types.issuperset(map(type, values)) and all(map(self.condition, set(values)))


def optional(rule: Rule) -> Rule:
    """Allow NULL too."""
    return Rule(rule.types | {NoneType}, lambda value: value is None or rule.condition(value), f"{rule.words} or NULL")


def whole(low: int, high: int) -> Rule:
    return Rule(frozenset({int}), lambda value: low <= value <= high, f"a whole number from {low} to {high}")


def number(low: float, high: float) -> Rule:
    return Rule(frozenset({int, float}), lambda value: low <= value <= high, f"a number from {low:g} to {high:g}")


def text(most: int) -> Rule:
    return Rule(frozenset({str}), lambda value: len(value) <= most, f"UTF-8 text of at most {most:,} characters")


def one_of(*allowed: str) -> Rule:
    words = f"one of {', '.join(repr(str(each)) for each in allowed)}"
    return Rule(frozenset({str}), frozenset(allowed).__contains__, words)


def matching(pattern: str, words: str) -> Rule:
    """Allow text that matches a regular expression."""
    compiled = re.compile(pattern)
    return Rule(frozenset({str}), lambda value: compiled.fullmatch(value) is not None, words)


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


ANY = Rule(frozenset({NoneType, int, float, str, bytes}), lambda _: True, "anything")
NULL = Rule(frozenset({NoneType}), lambda _: True, "NULL")
ID = whole(1, MAX_ID)
STEP = whole(0, MAX_STEP)
COUNT = whole(0, MAX_ID)
TEXT = text(1_000_000)
LINE = text(10_000)  # also of paths and reasons
TIME = replace(number(0, MAX_SECONDS), words="a time in seconds, from 1970 to 9999")
# Measured with a clock that may have been set back in between.
DURATION = number(-MAX_SECONDS, MAX_SECONDS)
# A later version may know more of them.
DIAGNOSIS = matching(r"[a-z_]{0,40}", "the name of a diagnosis")
PID = whole(1, 2**31 - 1)
THREADS = whole(1, 2**16)
DEVICE = matching(r"cpu|auto|gpu(:\d{1,4})?", "cpu, gpu, gpu:N or auto")


def problem(rules: Mapping[str, Rule], values: Sequence[object]) -> str:
    """Return a sentence about the first invalid value of a row, in the order of `rules`; empty if all are valid."""
    for (column, rule), value in zip(rules.items(), values, strict=True):
        if not rule.allows(value):
            return f"{column} must be {rule.words}, got {'NULL' if value is None else quoted(value)}"
    return ""


def problems(rules: Mapping[str, Rule], found: Sequence[Sequence[object]]) -> dict[int, str]:
    """Return the same sentences for many rows at once, by the index of each row with an invalid value."""
    invalid: set[int] = set()
    for rule, values in zip(rules.values(), zip(*found, strict=True), strict=bool(found)):
        if not rule.allows_all(values):
            invalid.update(index for index, value in enumerate(values) if not rule.allows(value))
    return {index: problem(rules, found[index]) for index in invalid}


def unreadable_of(run_id: object, count: int, table: str) -> str:
    """Return in words how many rows of a run in a table cannot be read."""
    return f"run {shown(run_id)}: {count} {'row' if count == 1 else 'rows'} of {table}"


def valid_id(value: object) -> int | None:
    """Return an id of a row, None if it is not one."""
    return value if type(value) is int and ID.allows(value) else None


def valid_ids(values: Collection[object]) -> set[int]:
    """Return the ids among values, without anything else."""
    return {value for value in values if type(value) is int}
