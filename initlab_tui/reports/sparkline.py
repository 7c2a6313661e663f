"""Curves as bars of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40, *, low: float | None = None, high: float | None = None) -> str:
    """Return the values as at most `width` bars; each shows the last value of its interval, a space if not finite.

    The scale reaches from `low` to `high`, by default from the lowest to the highest value shown.
    """
    count = min(width, len(values))
    picked = [values[(index + 1) * len(values) // count - 1] for index in range(count)]
    finite = [value for value in picked if math.isfinite(value)]
    bottom = min(finite, default=0.0) if low is None else low
    top = max(finite, default=0.0) if high is None else high
    span = top - bottom if top > bottom else math.inf
    last = len(BARS) - 1
    return "".join(BARS[round((value - bottom) / span * last)] if math.isfinite(value) else " " for value in picked)
