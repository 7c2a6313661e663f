"""The marked groups and runs drawn over each other, with a cursor that reads their values off."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Static
from textual.worker import Worker
from textual_plot import HiResMode, PlotWidget

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.statistics.intervals import CONFIDENCE, t_quantile
from initlab_tui.reports.format import plain
from initlab_tui.store.database import Curve
from initlab_tui.tui import curves, store_monitor
from initlab_tui.tui.curves import Array, Line, Points, Series, View
from initlab_tui.tui.keys import CHART, bindings
from initlab_tui.tui.widgets.curve_plot import CurvePlot, Tag, ValueAxis
from initlab_tui.tui.widgets.legend import Entry, Room, reading_text, sign, value_text

Load = Callable[[int, str], Awaitable[Curve]]

SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
SPREADS = {"band": f"{CONFIDENCE:.0%} band", "seeds": "seeds", "mean": "mean"}
SPLITS = ("test", "train")
REFRESH_SECONDS = 0.5
ZOOM, PAN = 0.7, 0.1
WIDE = 110
NOTHING = Curve((), (), ())
FULL_ACCURACY = (-2.0, 103.0)  # 0 to 100 %, and room to see a line that lies on either

# Six colours that stay six in 256 and in 16 colours, light ones for dark themes and dark ones for light themes;
# where the theme is the terminal's own, so are the colours.
PALETTES = {
    "dark": ("#0087ff", "#ffaf00", "#5fd75f", "#ff5f5f", "#d75fd7", "#5fd7d7"),
    "light": ("#005fd7", "#af5f00", "#008700", "#d70000", "#8700af", "#008787"),
    "ansi": ("blue", "yellow", "green", "red", "magenta", "cyan"),
}


@dataclass(frozen=True)
class Showing:
    """What is drawn of the series, and how."""

    metric: str = "accuracy"
    split: str = "test"
    smoothing: float = 0.0
    spread: str = "band"
    log: bool = False

    def on_axis(self, values: Array) -> Array:
        """The values in the units of the value axis."""
        return curves.logged(values) if self.log else values


class ChartScreen(Screen[None]):
    """Draws series that it reads with `load(run id, split)`; `refresh_runs` tells it which have grown."""

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
        self.showing = Showing()
        self._load = load
        self._curves: dict[tuple[int, str], Curve] = {}
        self._stale: set[tuple[int, str]] = set()
        self._lines: tuple[Line, ...] = ()
        self._marks: Array = np.empty(0)
        self._home: View | None = None
        # The sides of the view that the person chose; the others follow the curves as they grow.
        self._held: dict[str, float] = {}
        # None while the cursor stands at the last step, wherever that will be.
        self._cursor: float | None = None
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
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self._draw()
        self._read()

    def on_resize(self) -> None:
        self._write_reading()

    def on_plot_widget_scale_changed(self, event: PlotWidget.ScaleChanged) -> None:
        """The mouse zoomed or panned."""
        self._hold(View(event.x_min, event.x_max, event.y_min, event.y_max))

    # Reading the curves

    def follow(self, view: store_monitor.StoreSnapshot) -> None:
        """Draw what was recorded since."""
        self.refresh_runs(view.changed)

    def refresh_runs(self, run_ids: Iterable[int]) -> None:
        """These runs have recorded more: read and draw them again, soon, however often this is called."""
        mine = {run_id for series in self.series for run_id in series.runs} & set(run_ids)
        self._stale |= {(run_id, split) for run_id in mine for split in SPLITS}
        if mine and self._timer is None and self.is_mounted:
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
        # The other split may be asked for meanwhile; what has only grown has its timer.
        while split != self.showing.split:
            split = self.showing.split
            self._read_at = monotonic()
            if is_new := bool(self._unread):
                await asyncio.to_thread(self._prepare)
            if self not in self.app.screen_stack:
                return
            wanted, trouble = [key for key in self._keys if key not in self._curves or key in self._stale], ""
            for done, key in enumerate(wanted, 1):
                if is_new:
                    self._write_title(f"reading {done} of {len(wanted)} curves")
                trouble = await self._read_curve(*key) or trouble
                if self not in self.app.screen_stack:
                    return  # closed meanwhile
            self._status = trouble
            self._draw()

    async def _read_curve(self, run_id: int, split: str) -> str:
        # Before it is read: what is recorded while it is being read makes it stale once more.
        self._stale.discard((run_id, split))
        try:
            self._curves[run_id, split] = await self._load(run_id, split)
        except (InvalidInputError, sqlite3.Error) as error:
            self._curves.setdefault((run_id, split), NOTHING)
            return f"run {run_id} cannot be read: {plain(str(error))}"
        return ""

    def _prepare(self) -> None:
        """Import what the intervals need, off the screen's thread."""
        most = max((len(series.runs) for series in self.series), default=0)
        if most > 1:
            t_quantile(most)

    @property
    def _keys(self) -> list[tuple[int, str]]:
        """What has to be read for what is shown."""
        return [(run_id, self.showing.split) for series in self.series for run_id in series.runs]

    @property
    def _unread(self) -> list[tuple[int, str]]:
        return [key for key in self._keys if key not in self._curves]

    # Drawing

    def _draw(self) -> None:
        """Make the lines anew from what was read, and draw them."""
        showing = self.showing
        known = () if self._unread else self.series
        self._lines = tuple(
            curves.line(
                [self._curves[run_id, showing.split] for run_id in series.runs], showing.metric, showing.smoothing
            )
            for series in known
        )
        self._marks = curves.marks(self._lines)
        self._home = self._whole_view()
        self._plot()
        self._write_title()
        self._write_reading()

    def _whole_view(self) -> View | None:
        view = curves.view_of(self._points())
        if view and self.showing.metric == "accuracy" and not self.showing.log:
            return replace(view, bottom=FULL_ACCURACY[0], top=FULL_ACCURACY[1])
        return view

    def _points(self) -> list[Points]:
        """Everything that is drawn as a line, in the units of the axes."""
        drawn = [(line.steps, line.mean) for line in self._lines]
        if self.showing.spread == "seeds":
            drawn += [run for line in self._lines for run in line.runs]
        return [(steps, self.showing.on_axis(values)) for steps, values in drawn]

    @property
    def _view(self) -> View | None:
        return replace(self._home, **self._held) if self._home else None

    def _plot(self) -> None:
        plot, empty = self.query_one(CurvePlot), self.query_one("#chart-empty", Static)
        view = self._view
        plot.display, empty.display = view is not None, view is None
        empty.update(Text(self._why_empty()))
        if view is None:
            return
        plot.clear()
        plot.set_y_formatter(ValueAxis(self.showing.log))
        for draw in (self._plot_band, self._plot_seeds, self._plot_mean):
            for index, line in enumerate(self._lines):
                draw(plot, line, index)
        plot.show(view)
        plot.move_cursor(self._step)

    def _plot_band(self, plot: CurvePlot, line: Line, index: int) -> None:
        if self.showing.spread == "band" and line.half is not None:
            low, high = (self.showing.on_axis(line.mean + side * line.half) for side in (-1, 1))
            if self.showing.log:
                low = np.where(np.isfinite(high) & np.isnan(low), -np.inf, low)
            plot.band(line.steps, low, high, f"dim {self._style(index)}")

    def _plot_seeds(self, plot: CurvePlot, line: Line, index: int) -> None:
        if self.showing.spread == "seeds" and len(line.runs) > 1:
            for steps, values in line.runs:
                self._plot_parts(plot, steps, self.showing.on_axis(values), f"dim {self._style(index)}")

    def _plot_mean(self, plot: CurvePlot, line: Line, index: int) -> None:
        values = self.showing.on_axis(line.mean)
        self._plot_parts(plot, line.steps, values, self._style(index))
        finite = np.isfinite(values)
        plot.tag(Tag(sign(index), f"bold {self._style(index)}", line.steps[finite], values[finite]))

    @staticmethod
    def _plot_parts(plot: CurvePlot, steps: Array, values: Array, style: str) -> None:
        for x, y in curves.segments(steps, values):
            if len(x) > 1:
                plot.plot(x, y, style, HiResMode.BRAILLE)
            else:
                plot.scatter(x, y, "●", style)

    def _style(self, index: int) -> str:
        theme = self.app.current_theme
        palette = PALETTES["ansi" if self.app.native_ansi_color else "dark" if theme.dark else "light"]
        return palette[index % len(palette)]

    def _why_empty(self) -> str:
        """What to say, and to press, where nothing can be drawn."""
        showing = self.showing
        if not self.series:
            return "nothing to draw: mark groups or runs with space, then press c"
        if self._unread:
            return ""
        if not any(line.runs for line in self._lines):
            return f"nothing recorded yet on {showing.split}: press t for {_other(showing.split)}"
        if not any(np.isfinite(values).any() for line in self._lines for _, values in line.runs):
            return f"no {showing.metric} on {showing.split} is finite: press t for {_other(showing.split)}"
        if not len(self._marks):
            return "the seeds have no finite step in common: press b to see them one by one"
        return "nothing above zero for a logarithmic axis: press y for a linear one"

    # Words

    def _write_title(self, status: str = "") -> None:
        words = Text(" · ".join(self._title(status or self._status)))
        self.query_one("#chart-title", Static).update(words, layout=False)

    def _title(self, status: str) -> list[str]:
        showing, several = self.showing, any(len(series.runs) > 1 for series in self.series)
        kind = "group" if several else "run"
        words = [
            f"{showing.split} {showing.metric}{' %' if showing.metric == 'accuracy' else ''}",
            f"{len(self.series)} {kind}{'s' if len(self.series) != 1 else ''}",
            SPREADS[showing.spread] if several else "",
            f"smoothing {showing.smoothing}" if showing.smoothing else "",
            "log" if showing.log else "",
            "zoomed" if self._held else "",
            status,
        ]
        return [word for word in words if word]

    def _write_reading(self) -> None:
        """What the lines say at the cursor; it is the legend as well."""
        reading = self.query_one("#chart-reading", Static)
        room = self._room_for_reading()
        text = reading_text(self._heading(), self._entries(), room, self._first_entry)
        # A change of these lays the screen out anew; a new text must not, or each move of the cursor paints it all.
        reading.display = bool(self._lines)
        reading.styles.width = room.width + 2
        reading.styles.height = text.plain.count("\n") + 1
        reading.update(text, layout=False)

    def _room_for_reading(self) -> Room:
        """A column at the side where there is room, else some rows below the plot."""
        width, height = self.size
        if width >= WIDE:
            return Room(min(width * 3 // 8, 64) - 2, height - 2, 1)
        return Room(width - 2, max(4, height // 5 + 1), 2 if width >= 70 else 1)

    def _heading(self) -> str:
        if self._step is None:
            return ""
        interval = any(line.at(self._step)[1] is not None for line in self._lines)
        return f"step {self._step:.0f}" + (f" · mean ± {CONFIDENCE:.0%} interval" if interval else "")

    def _entries(self) -> list[Entry]:
        """The series at the cursor, the best first; those that have no value there last."""
        found = []
        for index, (series, line) in enumerate(zip(self.series, self._lines, strict=False)):
            mean, half = line.at(self._step) if self._step is not None else (math.nan, None)
            order = math.inf if math.isnan(mean) else mean if self.showing.metric == "loss" else -mean
            begun = f" {len(line.runs)} of {len(series.runs)}" if len(line.runs) < len(series.runs) else ""
            value = value_text(mean, half, self.showing.metric)
            found.append((order, Entry(sign(index), f"bold {self._style(index)}", plain(series.label), begun, value)))
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]

    @property
    def _step(self) -> float | None:
        """The step at which the cursor stands: one at which a line has a value."""
        if not len(self._marks):
            return None
        index = len(self._marks) if self._cursor is None else int(np.searchsorted(self._marks, self._cursor))
        return float(self._marks[min(index, len(self._marks) - 1)])

    # Keys

    def action_metric(self, metric: str) -> None:
        self._change(metric=metric)

    def action_split(self) -> None:
        self._change(split=_other(self.showing.split))
        self._read()

    def action_log(self) -> None:
        self._change(log=not self.showing.log)

    def action_smooth(self, by: int) -> None:
        index = SMOOTHINGS.index(self.showing.smoothing) + by
        self._change(smoothing=SMOOTHINGS[min(max(index, 0), len(SMOOTHINGS) - 1)])

    def action_spread(self) -> None:
        names = list(SPREADS)
        self._change(spread=names[(names.index(self.showing.spread) + 1) % len(names)])

    def _change(self, **what: Any) -> None:
        before, self.showing = self.showing, replace(self.showing, **what)
        if self.showing == before:
            return
        if what.keys() & {"metric", "log"}:
            # Values of another kind: the steps that were zoomed in on stay, the values do not.
            self._held = {side: at for side, at in self._held.items() if side in ("left", "right")}
        self._draw()

    def action_zoom(self, way: int, steps_only: bool = False) -> None:
        if view := self._view:
            self._hold(view.zoomed(ZOOM**way, *self._anchor(view), steps_only=steps_only))

    def _anchor(self, view: View) -> tuple[float, float]:
        """What stays in its place while zooming: the lines at the cursor, where they can be seen."""
        x, y = (view.left + view.right) / 2, (view.bottom + view.top) / 2
        if self._step is None or not view.left <= self._step <= view.right:
            return x, y
        values = self.showing.on_axis(np.array([line.at(self._step)[0] for line in self._lines]))
        seen = values[(values >= view.bottom) & (values <= view.top)]
        return self._step, float(np.median(seen)) if len(seen) else y

    def action_pan(self, across: int, up: int) -> None:
        if view := self._view:
            self._hold(view.panned(PAN * across, PAN * up))

    def action_fit(self) -> None:
        """Fit the values to what is drawn between the sides of the view."""
        if view := self._view:
            seen = [(x >= view.left) & (x <= view.right) for x, _ in self._points()]
            points = [(x[inside], y[inside]) for inside, (x, y) in zip(seen, self._points(), strict=True)]
            if fitted := curves.view_of(points):
                self._hold(replace(view, bottom=fitted.bottom, top=fitted.top))

    def action_reset(self) -> None:
        self._held = {}
        if self._home:
            self.query_one(CurvePlot).show(self._home)
        self._write_title()

    def _hold(self, view: View) -> None:
        """Show this view and keep to it; an axis that is as it was still follows the curves."""
        before, home, plot = self._view, self._home, self.query_one(CurvePlot)
        if before is None or home is None:
            return
        if not view.is_sound_beside(home):
            plot.show(before)
            return
        for sides in (("left", "right"), ("bottom", "top")):
            chosen = {side: getattr(view, side) for side in sides}
            if chosen != {side: getattr(before, side) for side in sides}:
                self._held |= chosen
        plot.show(view)
        self._write_title()

    def action_cursor(self, by: int) -> None:
        if self._step is None:
            return
        last = len(self._marks) - 1
        index = min(max(int(np.searchsorted(self._marks, self._step)) + by, 0), last)
        self._cursor = None if index == last else float(self._marks[index])
        self._follow_cursor()
        self.query_one(CurvePlot).move_cursor(self._step)
        self._write_reading()

    def _follow_cursor(self) -> None:
        """Pan so far that the cursor is in the view."""
        view, step = self._view, self._step
        if view and step is not None and not view.left <= step <= view.right:
            middle = (view.left + view.right) / 2
            self._hold(view.panned((step - middle) / (view.right - view.left), 0))

    def action_more(self) -> None:
        self._first_entry += self._room_for_reading().fitting(len(self.series))
        if self._first_entry >= len(self.series):
            self._first_entry = 0
        self._write_reading()

    def action_close(self) -> None:
        if self._reader:
            self._reader.cancel()
        self.dismiss()


def _other(split: str) -> str:
    return SPLITS[1 - SPLITS.index(split)]
