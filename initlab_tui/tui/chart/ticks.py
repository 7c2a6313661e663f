"""The ticks of an axis."""

from __future__ import annotations

import math


def log_ticks(low: float, high: float, most: int = 8) -> list[float]:
    """Return exponents for the ticks of a logarithmic axis from 10**low to 10**high: decades, or 1, 2 and 5 of each."""
    decades = range(math.ceil(low), math.floor(high) + 1)
    if len(decades) > 2:
        return nice_ticks(low, high, most, smallest=1)
    candidates = [decade + math.log10(part) for decade in range(math.floor(low), math.ceil(high)) for part in (1, 2, 5)]
    ticks = [tick for tick in candidates if low <= tick <= high]
    return ticks if len(ticks) > 1 else [math.log10(tick) for tick in nice_ticks(10**low, 10**high) if tick > 0]


def nice_ticks(low: float, high: float, most: int = 8, smallest: float = 0.0) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten between `low` and `high`, at most about `most`."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    distance = max(next(power * part for part in (1, 2, 5, 10) if power * part >= rough), smallest)
    return [number * distance for number in range(math.ceil(low / distance), math.floor(high / distance) + 1)]
