"""A figure of every layer over the steps, as pure data: values, and where each lies on the scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from initlab_tui.domain.layers.diagnosis import LayerStatistics
from initlab_tui.store.layer_statistics import StoredMeasurement


@dataclass(frozen=True)
class Figure:
    """A figure of LayerStatistics; `is_log` ones are drawn by their logarithm, the others are shares or cosines."""

    title: str
    of: Callable[[LayerStatistics], float | None]
    is_log: bool = True


FIGURES = (
    Figure("deviation of the pre-activations", lambda layer: layer.preactivation_std),
    Figure("deviation of the activations", lambda layer: layer.activation_std),
    Figure("gradient that comes back, root mean square", lambda layer: layer.backprop_std),
    Figure("norm of the kernel's gradient", lambda layer: layer.gradient_norm),
    Figure("last update's ratio ‖ΔW‖/‖W‖", lambda layer: layer.update_ratio),
    Figure("share of dead units", lambda layer: layer.dead, is_log=False),
    Figure("share of saturated outputs", lambda layer: layer.saturated, is_log=False),
    Figure("correlation of two inputs", lambda layer: layer.correlation, is_log=False),
    Figure("largest |cosine| of two units' weights", lambda layer: layer.cosine, is_log=False),
)


@dataclass(frozen=True)
class HeatMap:
    """Rows of layers, the first at the top, and columns of steps; `values` by row and column, NaN where none is."""

    figure: Figure
    layers: tuple[str, ...]
    steps: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of the scale: of a share 0 and 1, else the least and the largest value that can be drawn."""
        if not self.figure.is_log:
            return 0.0, 1.0
        drawn = [value for row in self.values for value in row if math.isfinite(value) and value > 0]
        return (min(drawn), max(drawn)) if drawn else (math.nan, math.nan)

    @property
    def is_drawn(self) -> bool:
        """Whether anything of it can be drawn."""
        return any(math.isfinite(value) for row in self.values for value in row)

    def place(self, row: int, column: int) -> float | None:
        """Where a value lies between the ends of the scale, 0 to 1; None where it cannot be drawn."""
        value, (low, high) = self.values[row][column], self.bounds
        if not math.isfinite(value) or (self.figure.is_log and value <= 0):
            return None
        if self.figure.is_log:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 1.0


def heat_map(checkups: Sequence[StoredMeasurement], figure: Figure) -> HeatMap:
    """The map of one figure over all that was measured of a run."""
    columns = [
        [math.nan if (value := figure.of(layer)) is None else value for layer in checkup.health.layers]
        for checkup in checkups
    ]
    return HeatMap(
        figure,
        tuple(layer.layer for layer in checkups[0].health.layers) if checkups else (),
        tuple(checkup.step for checkup in checkups),
        tuple(zip(*columns, strict=True)),
    )
