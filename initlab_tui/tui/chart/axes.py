"""The part of the plane that a chart shows, and how zooming and panning change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from initlab_tui.tui.chart.curves import Array, Points

SMALLEST_SHARE, LARGEST_SHARE = 1e-4, 4.0
UNLIMITED = (-np.inf, np.inf)


@dataclass(frozen=True)
class Viewport:
    """The rectangle that is shown, in the units of the axes."""

    left: float
    right: float
    bottom: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom

    def zoomed(self, factor: float, x: float, y: float, *, steps_only: bool = False) -> Viewport:
        """Scale width and height by `factor`; the point (x, y) stays where it is."""
        left, right = (x + (side - x) * factor for side in (self.left, self.right))
        if steps_only:
            return Viewport(left, right, self.bottom, self.top)
        bottom, top = (y + (side - y) * factor for side in (self.bottom, self.top))
        return Viewport(left, right, bottom, top)

    def panned(self, across: float, up: float) -> Viewport:
        """Move by these fractions of the width and the height."""
        x, y = across * self.width, up * self.height
        return Viewport(self.left + x, self.right + x, self.bottom + y, self.top + y)

    def with_values_within(self, lowest: float, highest: float) -> Viewport:
        """Move up or down until all values lie within the limits; shrink where the height exceeds them."""
        if self.height >= highest - lowest:
            return replace(self, bottom=lowest, top=highest)
        shift = max(lowest - self.bottom, 0.0) - max(self.top - highest, 0.0)
        return replace(self, bottom=self.bottom + shift, top=self.top + shift)

    def fitted_to(self, points: Sequence[Points]) -> Viewport:
        """Keep the steps, and fit the values to the points between them."""
        inside = [((x >= self.left) & (x <= self.right), x, y) for x, y in points]
        fitted = enclosing([(x[mask], y[mask]) for mask, x, y in inside])
        return replace(self, bottom=fitted.bottom, top=fitted.top) if fitted else self

    def anchor(self, step: float | None, values: Array) -> tuple[float, float]:
        """Return the point to zoom at: the median of the visible `values` at `step`, else the middle."""
        x, y = (self.left + self.right) / 2, (self.bottom + self.top) / 2
        if step is None or not self.left <= step <= self.right:
            return x, y
        seen = values[(values >= self.bottom) & (values <= self.top)]
        return step, float(np.median(seen)) if len(seen) else y

    def centred_on(self, step: float) -> Viewport:
        """Move sideways until `step` is in the middle."""
        return self.panned((step - (self.left + self.right) / 2) / self.width, 0)

    def is_readable_in(self, home: Viewport) -> bool:
        """Return whether it overlaps `home`, and is neither too small nor too large for reading values."""
        overlaps = self.left < home.right and home.left < self.right
        overlaps = overlaps and self.bottom < home.top and home.bottom < self.top
        shares = (self.width / home.width, self.height / home.height)
        return overlaps and all(SMALLEST_SHARE <= share <= LARGEST_SHARE for share in shares)


@dataclass(frozen=True)
class Axes:
    """What the axes show: `home` shows all curves, `held` are the limits that the user chose.

    The other sides follow the curves as they grow. `value_limits` is a range that the value axis never leaves.
    """

    home: Viewport | None = None
    held: Mapping[str, float] = field(default_factory=dict)
    value_limits: tuple[float, float] = UNLIMITED

    @classmethod
    def around(cls, points: Sequence[Points], held: Mapping[str, float], value_limits: tuple[float, float]) -> Axes:
        """Return axes that show all points; between finite limits all values are shown."""
        home = enclosing(points)
        if home and np.isfinite(value_limits).all():
            home = replace(home, bottom=value_limits[0], top=value_limits[1])
        return cls(home, held, value_limits)

    @property
    def viewport(self) -> Viewport | None:
        """The part of the plane to show; None where there is nothing to draw."""
        return replace(self.home, **self.held) if self.home else None

    def holding(self, wanted: Viewport) -> Axes:
        """Show `wanted`, if it is readable; an axis that it does not change still follows the curves."""
        before = self.viewport
        if before is None or self.home is None:
            return self
        wanted = wanted.with_values_within(*self.value_limits)
        if not wanted.is_readable_in(self.home):
            return self
        held = dict(self.held)
        for sides in (("left", "right"), ("bottom", "top")):
            chosen = {side: getattr(wanted, side) for side in sides}
            if chosen != {side: getattr(before, side) for side in sides}:
                held |= chosen
        return replace(self, held=held)

    def with_values_released(self) -> Axes:
        """Keep only the chosen steps: the values now have another meaning."""
        return replace(self, held={side: at for side, at in self.held.items() if side in ("left", "right")})


def enclosing(points: Sequence[Points]) -> Viewport | None:
    """Return the viewport that holds all points, with space for a sign at the right; None if there are none."""
    finite = [(x[np.isfinite(y)], y[np.isfinite(y)]) for x, y in points]
    finite = [(x, y) for x, y in finite if len(x)]
    if not finite:
        return None
    left, right = min(x[0] for x, _ in finite), max(x[-1] for x, _ in finite)
    bottom, top = min(y.min() for _, y in finite), max(y.max() for _, y in finite)
    # A single point or a constant has no extent.
    width, height = max(right - left, 1.0), top - bottom or max(abs(top) / 5, 1e-6)
    return Viewport(float(left), float(right + 0.05 * width), float(bottom - 0.05 * height), float(top + 0.05 * height))
