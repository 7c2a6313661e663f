"""The choices of a chart: metric, split, smoothing, spread and kind of axis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from initlab_tui.domain.statistics.intervals import CONFIDENCE
from initlab_tui.tui.chart.axes import UNLIMITED
from initlab_tui.tui.chart.curves import Array, logged

SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
SPREADS = {"band": f"{CONFIDENCE:.0%} band", "seeds": "seeds", "mean": "mean"}
SPLITS = ("test", "train")
ACCURACY_LIMITS = (-2.0, 103.0)  # 0 to 100 %, with a margin that shows a line at either limit


@dataclass(frozen=True)
class Options:
    """What is drawn of the series, and how; with `log` the value axis is logarithmic."""

    metric: str = "accuracy"
    split: str = "test"
    smoothing: float = 0.0
    spread: str = "band"
    log: bool = False

    @property
    def other_split(self) -> str:
        return SPLITS[1 - SPLITS.index(self.split)]

    def smoothed_by(self, steps: int) -> Options:
        """Move along the list of smoothing weights, up to its ends."""
        index = SMOOTHINGS.index(self.smoothing) + steps
        return replace(self, smoothing=SMOOTHINGS[min(max(index, 0), len(SMOOTHINGS) - 1)])

    def with_next_spread(self) -> Options:
        names = list(SPREADS)
        return replace(self, spread=names[(names.index(self.spread) + 1) % len(names)])

    def on_axis(self, values: Array) -> Array:
        """Return the values in the units of the value axis."""
        return logged(values) if self.log else values

    @property
    def value_limits(self) -> tuple[float, float]:
        """The limits of the value axis in its units: an accuracy is between 0 and 100 %."""
        if self.metric != "accuracy":
            return UNLIMITED
        lowest, highest = ACCURACY_LIMITS
        return (-np.inf, float(np.log10(highest))) if self.log else (lowest, highest)
