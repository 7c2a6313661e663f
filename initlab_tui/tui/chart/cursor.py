"""The cursor of a chart: a step at which a line has a value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from initlab_tui.tui.chart.curves import Array


@dataclass(frozen=True)
class Cursor:
    """A position in `steps`, which grow while runs train; `chosen` is None while it follows the last step."""

    steps: Array = field(default_factory=lambda: np.empty(0))
    chosen: float | None = None

    @property
    def step(self) -> float | None:
        """The step of the cursor; None if no line has a value."""
        return float(self.steps[self._index]) if len(self.steps) else None

    @property
    def _index(self) -> int:
        last = len(self.steps) - 1
        return last if self.chosen is None else min(int(np.searchsorted(self.steps, self.chosen)), last)

    def moved(self, by: int) -> Cursor:
        """Move by this many steps, up to the ends."""
        if not len(self.steps):
            return self
        last = len(self.steps) - 1
        index = min(max(self._index + by, 0), last)
        return replace(self, chosen=None if index == last else float(self.steps[index]))
