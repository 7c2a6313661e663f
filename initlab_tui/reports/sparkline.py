"""Curves as bars of text."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The values as bars, a bar the last of its share of them; a blank where that one is not finite."""
    picked = [
        values[(index + 1) * len(values) // min(width, len(values)) - 1] for index in range(min(width, len(values)))
    ]
    finite = [value for value in picked if value == value and abs(value) != float("inf")]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] if value in finite else " " for value in picked)
