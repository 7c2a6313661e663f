"""Reads the record of a run: versions, device, execution mode and whatever else is needed to repeat it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from initlab_tui.store.rows import MAX_SECONDS, MAX_STEP

MAX_DEPTH = 20
MAX_CACHED = 2_000  # characters
_SECONDS = re.compile(r"(0|[1-9]\d{0,8})(\.\d{1,20})?")


_DECODER = json.JSONDecoder()


def parse_record(text: str) -> dict[str, Any]:
    """Return the record in a row of the store.

    Raises:
        ValueError: if it is not a record, saying why.
    """
    try:
        record, end = _DECODER.raw_decode(text)  # half the time of `json.loads`
    except RecursionError:
        raise ValueError("record is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"record is not JSON: {error}") from None
    if end != len(text):
        raise ValueError(f"record is not JSON: text after its end: char {end}")
    if not isinstance(record, dict):
        raise ValueError("record is not a JSON object")
    # Walking through each record takes a while, and one with few brackets cannot be deep.
    if text.count("[") + text.count("{") > MAX_DEPTH and not _is_flat(record, MAX_DEPTH):
        raise ValueError("record is nested too deeply")
    for name in _ENTRIES.keys() & record.keys():
        if not _ENTRIES[name](record[name]):
            raise ValueError(f"record has an invalid {name}")
    return record


def record_problem(text: str) -> str:
    """Return why a text is not a record, empty if it is one."""
    # The records of a comparison differ in this number only: most have been checked before.
    start, name, rest = text.partition('"compile_seconds": ')
    seconds, comma, end = rest.partition(",")
    if len(text) > MAX_CACHED or not _SECONDS.fullmatch(seconds):
        return _problem(text)
    return _cached_problem(f"{start}{name}0{comma}{end}")


def _problem(text: str) -> str:
    try:
        parse_record(text)
    except ValueError as error:
        return str(error)
    return ""


_cached_problem = functools.lru_cache(maxsize=512)(_problem)


def _is_flat(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, list) or (depth > 0 and all(_is_flat(item, depth - 1) for item in value))


def _number_or_null(most: float) -> Callable[[Any], bool]:
    return lambda value: value is None or (type(value) in _NUMBERS and 0 <= value <= most)


def _is_initialization(value: object) -> bool:
    """Return whether this describes what a data-dependent initializer did, with the same entries for each layer."""
    if not isinstance(value, dict) or "images" not in value or not isinstance(value.get("layers"), list):
        return False
    layers = value["layers"]
    are_layers = all(isinstance(layer, dict) and isinstance(layer.get("layer"), str) for layer in layers)
    return are_layers and len({frozenset(layer) for layer in layers}) <= 1


_NUMBERS = frozenset({int, float})
# The entries that the program uses; others are only shown.
_ENTRIES: Mapping[str, Callable[[object], bool]] = {
    "note": lambda value: value is None or isinstance(value, str),
    "compile_seconds": _number_or_null(MAX_SECONDS),
    "weights": _number_or_null(MAX_STEP),
    "multiplications": _number_or_null(MAX_STEP),
    "initialization": _is_initialization,
}
