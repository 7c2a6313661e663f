"""Curves as bars of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40, *, low: float | None = None, high: float | None = None) -> str:
    """The values as bars, a bar the last of its share of them; a blank where that one is not finite.

    The scale goes from `low` to `high`, which are the lowest and the highest bar where they are not given.
    """
    count = min(width, len(values))
    picked = [values[(index + 1) * len(values) // count - 1] for index in range(count)]
    finite = [value for value in picked if math.isfinite(value)]
    bottom = min(finite, default=0.0) if low is None else low
    top = max(finite, default=0.0) if high is None else high
    scale = (len(BARS) - 1) / (top - bottom) if top > bottom else 0.0
    return "".join(BARS[round((value - bottom) * scale)] if math.isfinite(value) else " " for value in picked)
