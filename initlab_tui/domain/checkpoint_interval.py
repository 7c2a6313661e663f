"""The longest time between two checkpoints of a run, as it is written on the command line."""

from __future__ import annotations

import re

from initlab_tui.domain.errors import InvalidInputError, quoted

DEFAULT_SECONDS = 60.0
DEFAULT_TEXT = "60s"
NONE = "none"
MAX_SECONDS = 86_400.0
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse(text: str) -> float | None:
    """Return the seconds that `60s`, `5m` or `1h` stand for, and None for `none`.

    Raises:
        InvalidInputError: if it is neither, or not from a second to a day.
    """
    if text.strip() == NONE:
        return None
    matched = re.fullmatch(r"(\d{1,6}(?:\.\d{1,6})?)([smh])", text.strip(), re.ASCII)
    seconds = float(matched[1]) * _UNITS[matched[2]] if matched else 0.0
    if not 1.0 <= seconds <= MAX_SECONDS:
        raise InvalidInputError.of(
            "checkpoint-every",
            f"--checkpoint-every must be a time in s, m or h, from 1s to 24h, or none, got {quoted(text)}",
        )
    return seconds
