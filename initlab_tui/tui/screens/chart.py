"""The chart: the curves of groups and runs on one pair of axes, with a cursor that reads their values."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from time import monotonic

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import Worker
from textual_plot import PlotWidget

from initlab_tui.domain.statistics.intervals import CONFIDENCE, t_quantile
from initlab_tui.tui.chart import curves, text
from initlab_tui.tui.chart.axes import Axes, Viewport
from initlab_tui.tui.chart.cursor import Cursor
from initlab_tui.tui.chart.curve_cache import CurveCache, Load
from initlab_tui.tui.chart.curves import Line, Points
from initlab_tui.tui.chart.options import Options
from initlab_tui.tui.chart.series import Series
from initlab_tui.tui.keys import CHART, bindings
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.widgets.curve_plot import CurvePlot, ValueAxis
from initlab_tui.tui.widgets.footer import KeyFooter
from initlab_tui.tui.widgets.legend import Room, entries_at, reading_text
from initlab_tui.tui.widgets.line_drawing import draw_lines, line_colours

REFRESH_SECONDS = 0.5
ZOOM, PAN = 0.7, 0.1
WIDE = 110


class ChartScreen(Screen[None]):
    """Draws series with the curves that `load(run id, split)` reads; `refresh_runs` reports runs with new points."""

    BINDINGS = bindings(CHART)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    DEFAULT_CSS = """
    ChartScreen {
        #chart-title { height: 1; padding: 0 1; text-style: bold; text-wrap: nowrap; text-overflow: ellipsis; }
        #chart-body { height: 1fr; layout: vertical; }
        #chart-plot { width: 1fr; height: 1fr; }
        #chart-empty { width: 1fr; height: 1fr; content-align: center middle; }
        #chart-reading { padding: 0 1; }
        &.-wide #chart-body { layout: horizontal; }
    }
    """

    def __init__(self, series: Sequence[Series], load: Load) -> None:
        super().__init__()
        self.series = tuple(series)
        self.options = Options()
        self.axes = Axes()
        self.cursor = Cursor()
        self._cache = CurveCache(series, load)
        self._lines: tuple[Line, ...] = ()
        self._first_entry = 0
        self._reader: Worker[None] | None = None
        self._read_at = -REFRESH_SECONDS
        self._timer: Timer | None = None
        self._status = ""

    def compose(self) -> ComposeResult:
        yield Static(id="chart-title")
        with Container(id="chart-body"):
            yield CurvePlot(id="chart-plot")
            yield Static(id="chart-empty")
            yield Static(id="chart-reading")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self._draw()
        self._read()

    def on_unmount(self) -> None:
        self.app.theme_changed_signal.unsubscribe(self)  # which would keep this screen and its curves in memory

    def on_resize(self) -> None:
        self._write_reading()

    def on_plot_widget_scale_changed(self, event: PlotWidget.ScaleChanged) -> None:
        """The mouse zoomed or panned."""
        self._hold(Viewport(event.x_min, event.x_max, event.y_min, event.y_max))

    # Reading the curves

    def follow(self, snapshot: StoreSnapshot) -> None:
        """Draw the new points."""
        self.refresh_runs(snapshot.changed)

    def refresh_runs(self, run_ids: Iterable[int]) -> None:
        """Read and draw these runs again soon; calls in quick succession are merged."""
        if self._cache.mark_stale(run_ids) and self._timer is None and self.is_mounted:
            self._timer = self.set_timer(max(self._read_at + REFRESH_SECONDS - monotonic(), 0.01), self._read_again)

    def _read_again(self) -> None:
        self._timer = None
        if self._is_reading:
            self._timer = self.set_timer(REFRESH_SECONDS, self._read_again)
        else:
            self._read()

    @property
    def _is_reading(self) -> bool:
        return self._reader is not None and not self._reader.is_finished

    def _read(self) -> None:
        if not self._is_reading:
            self._reader = self.run_worker(self._read_curves(), group="curves")

    async def _read_curves(self) -> None:
        split = ""
        # The split may change during the reading; runs with new points are read by the timer.
        while split != self.options.split and self._is_open:
            split = self.options.split
            self._read_at = monotonic()
            is_new = not self._cache.is_complete(split)
            if is_new:
                await asyncio.to_thread(self._prepare)
            await self._read_split(split, show_progress=is_new)

    async def _read_split(self, split: str, *, show_progress: bool) -> None:
        problem = ""
        wanted = self._cache.to_read(split)
        for done, run_id in enumerate(wanted, 1):
            if not self._is_open:
                return
            if show_progress:
                self._write_title(f"reading {done} of {len(wanted)} curves")
            problem = await self._cache.read(run_id, split) or problem
        if self._is_open:
            self._status = problem
            self._draw()

    @property
    def _is_open(self) -> bool:
        return self in self.app.screen_stack

    def _prepare(self) -> None:
        """Import what the intervals need, off the screen's thread."""
        most = max((len(series.runs) for series in self.series), default=0)
        if most > 1:
            t_quantile(most)

    # Drawing

    def _draw(self) -> None:
        """Compute the lines from the curves that were read, and draw them."""
        options = self.options
        known = self.series if self._cache.is_complete(options.split) else ()
        self._lines = tuple(
            curves.line(self._cache.curves_of(series, options.split), options.metric, options.smoothing)
            for series in known
        )
        self.cursor = replace(self.cursor, steps=curves.cursor_steps(self._lines))
        self.axes = Axes.around(self._points(), self.axes.held, options.value_limits)
        self._plot()
        self._write_title()
        self._write_reading()

    def _points(self) -> list[Points]:
        """Return all points that are drawn as lines, in the units of the axes."""
        drawn = [(line.steps, line.mean) for line in self._lines]
        if self.options.spread == "seeds":
            drawn += [run for line in self._lines for run in line.runs]
        return [(steps, self.options.on_axis(values)) for steps, values in drawn]

    def _plot(self) -> None:
        plot, empty = self.query_one(CurvePlot), self.query_one("#chart-empty", Static)
        viewport = self.axes.viewport
        plot.display, empty.display = viewport is not None, viewport is None
        empty.update(Text(text.why_empty(self.options, self.series, self._lines)))
        if viewport is None:
            return
        plot.clear()
        plot.set_y_formatter(ValueAxis(self.options.log))
        draw_lines(plot, self._lines, self.options, self._colours)
        plot.show(viewport)
        plot.move_cursor(self._step)

    @property
    def _colours(self) -> list[str]:
        return line_colours(self.app, len(self._lines))

    def _write_title(self, status: str = "") -> None:
        words = text.title(self.options, self.series, zoomed=bool(self.axes.held), status=status or self._status)
        self.query_one("#chart-title", Static).update(Text(words), layout=False)

    def _write_reading(self) -> None:
        """Write the values at the cursor; this is also the legend."""
        reading = self.query_one("#chart-reading", Static)
        room = self._room_for_reading()
        entries = entries_at(self._step, self.series, self._lines, self.options.metric, self._colours)
        words = reading_text(self._heading(), entries, room, self._first_entry)
        # Only these change the layout: otherwise each move of the cursor would repaint the screen.
        reading.display = bool(self._lines)
        reading.styles.width = room.width + 2
        reading.styles.height = words.plain.count("\n") + 1
        reading.update(words, layout=False)

    def _room_for_reading(self) -> Room:
        """Return a column at the side of a wide screen, else rows below the plot."""
        width, height = self.size
        if width >= WIDE:
            return Room(min(width * 3 // 8, 64) - 2, height - 2, 1)
        return Room(width - 2, max(4, height // 5 + 1), 2 if width >= 70 else 1)

    def _heading(self) -> str:
        if self._step is None:
            return ""
        interval = any(line.at(self._step)[1] is not None for line in self._lines)
        return f"step {self._step:.0f}" + (f" · mean ± {CONFIDENCE:.0%} interval" if interval else "")

    @property
    def _step(self) -> float | None:
        return self.cursor.step

    # Keys

    def action_metric(self, metric: str) -> None:
        self._change(replace(self.options, metric=metric))

    def action_split(self) -> None:
        self._change(replace(self.options, split=self.options.other_split))
        self._read()

    def action_log(self) -> None:
        self._change(replace(self.options, log=not self.options.log))

    def action_smooth(self, by: int) -> None:
        self._change(self.options.smoothed_by(by))

    def action_spread(self) -> None:
        self._change(self.options.with_next_spread())

    def _change(self, options: Options) -> None:
        before, self.options = self.options, options
        if options == before:
            return
        if (options.metric, options.log) != (before.metric, before.log):
            self.axes = self.axes.with_values_released()
        self._draw()

    def action_zoom(self, way: int, steps_only: bool = False) -> None:
        if viewport := self.axes.viewport:
            values = self.options.on_axis(np.array([line.at(self._step or 0.0)[0] for line in self._lines]))
            anchor = viewport.anchor(self._step, values)
            self._hold(viewport.zoomed(ZOOM**way, *anchor, steps_only=steps_only))

    def action_pan(self, across: int, up: int) -> None:
        if viewport := self.axes.viewport:
            self._hold(viewport.panned(PAN * across, PAN * up))

    def action_fit(self) -> None:
        """Fit the value axis to the lines between the left and the right edge."""
        if viewport := self.axes.viewport:
            self._hold(viewport.fitted_to(self._points()))

    def action_reset(self) -> None:
        self.axes = replace(self.axes, held={})
        self._show_axes()

    def _hold(self, viewport: Viewport) -> None:
        self.axes = self.axes.holding(viewport)
        self._show_axes()

    def _show_axes(self) -> None:
        if viewport := self.axes.viewport:
            self.query_one(CurvePlot).show(viewport)
            self._write_title()

    def action_cursor(self, by: int) -> None:
        self.cursor = self.cursor.moved(by)
        viewport, step = self.axes.viewport, self._step
        if viewport and step is not None and not viewport.left <= step <= viewport.right:
            self._hold(viewport.centred_on(step))
        self.query_one(CurvePlot).move_cursor(step)
        self._write_reading()

    def action_more(self) -> None:
        self._first_entry += self._room_for_reading().fitting(len(self.series))
        if self._first_entry >= len(self.series):
            self._first_entry = 0
        self._write_reading()

    def action_close(self) -> None:
        if self._reader:
            self._reader.cancel()
        self.dismiss()
