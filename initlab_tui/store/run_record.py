"""Reads the record of a run: versions, device, execution mode and whatever else is needed to repeat it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from initlab_tui.store.rows import MAX_SECONDS, MAX_STEP, is_number

MAX_DEPTH = 20


def parse_record(text: str) -> dict[str, Any]:
    """Return the record in a row of the store.

    Raises:
        ValueError: if it is not a record, saying why.
    """
    try:
        record = json.loads(text)
    except RecursionError:
        raise ValueError("record is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"record is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError("record is not a JSON object")
    # Walking through each record takes a while, and one with few brackets cannot be deep.
    if text.count("[") + text.count("{") > MAX_DEPTH and not _is_flat(record, MAX_DEPTH):
        raise ValueError("record is nested too deeply")
    wrong = next((name for name, allows in _ENTRIES.items() if name in record and not allows(record[name])), "")
    if wrong:
        raise ValueError(f"record has an invalid {wrong}")
    return record


def _is_flat(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return not isinstance(value, list) or (depth > 0 and all(_is_flat(item, depth - 1) for item in value))


def _is_seconds(value: object) -> bool:
    return value is None or is_number(value, 0, MAX_SECONDS)


def _is_count(value: object) -> bool:
    return value is None or is_number(value, 0, MAX_STEP)


def _is_initialization(value: object) -> bool:
    """Return whether this describes what a data-dependent initializer did, with the same entries for each layer."""
    if not isinstance(value, dict) or "images" not in value or not isinstance(value.get("layers"), list):
        return False
    layers = value["layers"]
    are_layers = all(isinstance(layer, dict) and isinstance(layer.get("layer"), str) for layer in layers)
    return are_layers and len({frozenset(layer) for layer in layers}) <= 1


# The entries that the program uses; others are only shown.
_ENTRIES: Mapping[str, Callable[[object], bool]] = {
    "note": lambda value: value is None or isinstance(value, str),
    "compile_seconds": _is_seconds,
    "weights": _is_count,
    "initialization": _is_initialization,
}
