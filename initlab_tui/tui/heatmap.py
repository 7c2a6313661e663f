"""One metric of every layer over the steps, as pure data: the values, and the place of each on the scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.domain.layers.metric import LayerMetric
from initlab_tui.store.layer_statistics import StoredMeasurement


@dataclass(frozen=True)
class HeatMap:
    """Rows of layers, the first at the top, and columns of steps; `values` by row and column; NaN if there is none."""

    metric: LayerMetric
    layers: tuple[str, ...]
    steps: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the scale: 0 and 1 for a share or a cosine, else the smallest and the largest value drawn."""
        if self.metric.unit in ("share", "cosine", "correlation"):
            return 0.0, 1.0
        finite = [value for row in self.values for value in row if math.isfinite(value)]
        drawn = [value for value in finite if value > 0] if self._is_log else finite
        return (min(drawn), max(drawn)) if drawn else (math.nan, math.nan)

    @property
    def _is_log(self) -> bool:
        return self.metric.scale == "log"

    @property
    def is_drawn(self) -> bool:
        """Whether any value can be drawn."""
        return any(math.isfinite(value) for row in self.values for value in row)

    def place(self, row: int, column: int) -> float | None:
        """Return where a value lies between the ends of the scale, 0 to 1; None if it cannot be drawn."""
        value, (low, high) = self.values[row][column], self.bounds
        if not math.isfinite(value) or (self._is_log and value <= 0):
            return None
        if self._is_log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 1.0


def heat_map(measured: Sequence[StoredMeasurement], metric: LayerMetric) -> HeatMap:
    """Return the map of one metric over all measurements of a run."""
    columns = [[layer.value(metric.name) for layer in each.measurement.layers] for each in measured]
    return HeatMap(
        metric,
        tuple(layer.layer for layer in measured[0].measurement.layers) if measured else (),
        tuple(each.step for each in measured),
        tuple(zip(*columns, strict=True)),
    )
