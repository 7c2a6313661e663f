"""A plot of many curves, with a cursor over it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from textual.app import ComposeResult
from textual.containers import Grid
from textual.geometry import Region, Size
from textual.strip import Strip
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import AxisFormatter
from textual_plot.plot_widget import Legend, LinePlot

from initlab_tui.tui.chart import dots
from initlab_tui.tui.chart.axes import Viewport
from initlab_tui.tui.chart.curves import Array
from initlab_tui.tui.chart.ticks import log_ticks, nice_ticks


@dataclass(frozen=True)
class Tag:
    """The sign of a line, written at the line's end."""

    sign: str
    style: str
    x: Array
    y: Array


@dataclass
class Band(LinePlot):
    """The shaded area between two lines."""

    low: Array
    high: Array


class StepAxis(AxisFormatter):
    """Labels training steps: whole numbers."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return nice_ticks(min_, max_, max_ticks, smallest=1)

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{tick:.0f}" if abs(tick) < 1e6 else f"{tick:.4g}" for tick in ticks]


class ValueAxis(AxisFormatter):
    """Labels values; on a logarithmic axis the ticks are decimal exponents."""

    def __init__(self, log: bool = False) -> None:
        self.log = log

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return log_ticks(min_, max_, max_ticks) if self.log else nice_ticks(min_, max_, max_ticks)

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        if self.log:
            return [f"1e{tick:.0f}" if abs(tick) > 4 and tick == round(tick) else f"{10**tick:.3g}" for tick in ticks]
        largest = max(map(abs, ticks), default=0.0)
        if not 1e-3 <= largest < 1e5:
            return [f"{tick:.1e}".replace("e+", "e") if tick else "0" for tick in ticks]
        distance = min((abs(after - tick) for tick, after in pairwise(ticks)), default=1.0)
        decimals = max(0, -math.floor(math.log10(distance) + 1e-9))
        return [f"{tick:.{decimals}f}" for tick in ticks]


class PlotCanvas(Canvas):
    """A canvas with a vertical cursor line over it."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(1, 1, id=id)
        self._under_cursor: list[tuple[int, int, str, str]] = []

    def reset(self, size: Size | None = None, refresh: bool = True) -> None:
        self._under_cursor = []
        super().reset(size, refresh)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        # A line outside the canvas has no style, and Textual's NO_COLOR filter fails on that.
        return strip if strip.cell_length else Strip.blank(self.size.width, self.rich_style)

    def move_cursor(self, column: int | None, style: str) -> None:
        """Move the cursor line to `column` and restore the old one; only the two columns are painted."""
        old = {at for at, *_ in self._under_cursor}
        for at, row, character, was in self._under_cursor:
            # `set_pixel` would repaint the whole canvas.
            self._buffer[row][at], self._styles[row][at] = character, was
        self._under_cursor = []
        if column is not None:
            self._draw_cursor(column, style)
        for at in old | {at for at, *_ in self._under_cursor}:
            self.refresh(Region(at, 0, 1, self.size.height))

    def _draw_cursor(self, column: int, style: str) -> None:
        for row in range(1, self._canvas_size.height - 1):
            character, was = self.get_pixel(column, row)
            # Lines stay visible under the cursor; bands do not.
            if character == " " or was.startswith("dim"):
                self._under_cursor.append((column, row, character, was))
                self._buffer[row][column], self._styles[row][column] = "│", style


class CurvePlot(PlotWidget, can_focus=False):
    """A plot of many lines with signs, shaded bands, and a cursor that moves without drawing the lines again.

    The library draws a line dot by dot in Python, which takes 10 ms a line: too slow for fifty. Here NumPy computes
    all dots of a line at once. This and the cursor use private parts of the library; pyproject pins its version.
    """

    COMPONENT_CLASSES = {"plot--cursor"}
    DEFAULT_CSS = """
    CurvePlot {
        & > .plot--axis { color: $foreground 50%; }
        & > .plot--tick { color: $foreground 80%; text-style: none; }
        & > .plot--cursor { color: $foreground 70%; }
    }
    """

    def __init__(self, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._tags: list[Tag] = []
        self._cursor: float | None = None
        self.set_x_formatter(StepAxis())

    def compose(self) -> ComposeResult:
        with Grid():
            for part in ("margin-top", "margin-left", "plot", "margin-bottom"):
                yield PlotCanvas(part)
        yield Legend(id="legend")

    def on_mount(self) -> None:
        super().on_mount()
        self.margin_top, self.margin_bottom, self.margin_left = 0, 1, 9

    def clear(self) -> None:
        self._tags = []
        super().clear()

    def band(self, x: Array, low: Array, high: Array, style: str) -> None:
        """Shade the area between two lines."""
        self._datasets.append(Band(x, high, HiResMode.BRAILLE, style, low, high))
        self._labels.append(None)

    def tag(self, tag: Tag) -> None:
        """Write a sign at the end of a line, or along it if that cell is taken."""
        self._tags.append(tag)

    def show(self, viewport: Viewport) -> None:
        """Set all four limits."""
        self.set_xlimits(viewport.left, viewport.right)
        self.set_ylimits(viewport.bottom, viewport.top)

    def move_cursor(self, step: float | None) -> None:
        """Draw the cursor at `step`; lines are not drawn again."""
        self._cursor = step
        column = None
        if step is not None and self._x_min <= step <= self._x_max:
            column = min(self.get_pixel_from_coordinate(step, 0.0)[0], self._cells[0])
        self._canvas.move_cursor(column, str(self.get_component_rich_style("plot--cursor")))

    @property
    def _canvas(self) -> PlotCanvas:
        return self.query_one("#plot", PlotCanvas)

    @property
    def _cells(self) -> tuple[int, int]:
        return self._scale_rectangle.width, self._scale_rectangle.height

    @property
    def _viewport(self) -> Viewport:
        return Viewport(self._x_min, self._x_max, self._y_min, self._y_max)

    def _render_plot(self) -> None:
        if not self.is_mounted or min(self._cells) < 1:
            return
        with self._canvas.batch_refresh():
            super()._render_plot()
            self.query_one("#margin-bottom", Canvas).write_text(0, 0, "step")
            self._draw_tags()
            self.move_cursor(self._cursor)

    def _render_line_plot(self, dataset: LinePlot) -> None:
        x, y = np.asarray(dataset.x, float), np.asarray(dataset.y, float)
        if isinstance(dataset, Band):
            drawn = dots.band_dots(x, dataset.low, dataset.high, self._viewport, *self._cells)
        else:
            drawn = dots.line_dots(x, y, self._viewport, *self._cells)
        self._put(drawn, dataset.line_style)

    def _put(self, drawn: dots.Dots, style: str) -> None:
        canvas = self._canvas
        for column, row, character in dots.braille(drawn):
            canvas.set_pixel(column + 1, row + 1, character, style)

    def _draw_tags(self) -> None:
        taken: set[tuple[int, int]] = set()
        for tag in self._tags:
            places = list(dots.sign_places(tag.x, tag.y, self._viewport, *self._cells))
            self._draw_tag(tag, places, taken)
            if self.app.no_color:
                # Lines that meet at their ends get a second sign in the middle.
                self._draw_tag(tag, places[len(places) // 2 :], taken)

    def _draw_tag(self, tag: Tag, places: Iterable[tuple[int, int]], taken: set[tuple[int, int]]) -> None:
        for column, row in places:
            if not taken & {(column - 1, row), (column, row), (column + 1, row)}:
                taken.add((column, row))
                self._canvas.set_pixel(column + 1, row + 1, tag.sign, tag.style)
                break
