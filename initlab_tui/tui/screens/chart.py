"""The marked groups and runs drawn over each other, with a cursor that reads their values off."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from time import monotonic
from typing import Any

import numpy as np
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Grid
from textual.geometry import Region, Size
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import Footer, Static
from textual.worker import Worker
from textual_hires_canvas import Canvas
from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import AxisFormatter
from textual_plot.plot_widget import Legend, LinePlot

from initlab_tui.experiments.leaderboard import CONFIDENCE
from initlab_tui.experiments.problems import InvalidInputError
from initlab_tui.reports.text import number, plain
from initlab_tui.runs.store import Curve
from initlab_tui.tui import curves
from initlab_tui.tui.curves import Array, Dots, Line, Points, Series, View
from initlab_tui.tui.keys import Key, bindings

Load = Callable[[int, str], Awaitable[Curve]]

SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99)
SPREADS = {"band": f"{CONFIDENCE:.0%} band", "seeds": "seeds", "mean": "mean"}
SPLITS = ("test", "train")
REFRESH_SECONDS = 0.5
ZOOM, PAN = 0.7, 0.1
WIDE = 110
NOTHING = Curve((), (), ())
FULL_ACCURACY = (-2.0, 103.0)  # 0 to 100 %, and room to see a line that lies on either

# One sign for each series, so that none is told by its colour alone.
SIGNS = "123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Six colours that stay six in 256 and in 16 colours, light ones for dark themes and dark ones for light themes;
# where the theme is the terminal's own, so are the colours.
PALETTES = {
    "dark": ("#0087ff", "#ffaf00", "#5fd75f", "#ff5f5f", "#d75fd7", "#5fd7d7"),
    "light": ("#005fd7", "#af5f00", "#008700", "#d70000", "#8700af", "#008787"),
    "ansi": ("blue", "yellow", "green", "red", "magenta", "cyan"),
}

CHART_KEYS = (
    Key("l", "metric('loss')", "Loss", "draw the loss"),
    Key("a", "metric('accuracy')", "Acc", "draw the accuracy"),
    Key("t", "split", "Test/train", "change between the test data and the training data"),
    Key("y", "log", "Log", "make the value axis logarithmic, or linear again"),
    Key("m", "smooth(1)", "Smooth", "smooth more: an exponential moving average over the steps"),
    Key("n", "smooth(-1)", "Less", "smooth less", show=False),
    Key("b", "spread", "Band", "show the seeds as an interval, as thin lines, or their mean alone"),
    Key("f", "fit", "Fit", "fit the value axis to what is drawn between the left and the right side", show=False),
    Key("plus,equals_sign", "zoom(1)", "Zoom", "zoom in on the cursor"),
    Key("minus", "zoom(-1)", "Out", "zoom out", show=False),
    Key("z", "zoom(1, True)", "Zoom steps", "zoom in on the cursor's step, the values as they are", show=False),
    Key("Z", "zoom(-1, True)", "Widen steps", "zoom out of the steps, the values as they are", show=False),
    Key("left", "pan(-1, 0)", "Left", "move the view to earlier steps", show=False),
    Key("right", "pan(1, 0)", "Right", "move the view to later steps", show=False),
    Key("up", "pan(0, 1)", "Up", "move the view to higher values", show=False),
    Key("down", "pan(0, -1)", "Down", "move the view to lower values", show=False),
    Key("0,home", "reset", "All", "show all again"),
    Key("comma", "cursor(-1)", "Cursor", "move the cursor one point to the left"),
    Key("full_stop", "cursor(1)", "Cursor", "move the cursor one point to the right", show=False),
    Key("less_than_sign", "cursor(-10)", "Cursor -10", "move the cursor ten points to the left", show=False),
    Key("greater_than_sign", "cursor(10)", "Cursor +10", "move the cursor ten points to the right", show=False),
    Key("g", "more", "More", "show the next names and values, where they do not all fit", show=False),
    Key("escape,q,c", "close", "Close", "go back to the lab"),
)


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


@dataclass(frozen=True)
class Tag:
    """The sign of a line, to be written at the line's end."""

    sign: str
    style: str
    x: Array
    y: Array


@dataclass
class Band(LinePlot):
    """What lies between two lines, shaded."""

    low: Array
    high: Array


class StepAxis(AxisFormatter):
    """Whole steps."""

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return curves.nice_ticks(min_, max_, max_ticks, smallest=1)

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        return [f"{tick:.0f}" if abs(tick) < 1e6 else f"{tick:.4g}" for tick in ticks]


class ValueAxis(AxisFormatter):
    """Values; on a logarithmic axis their exponents are what is given."""

    def __init__(self, log: bool = False) -> None:
        self.log = log

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        return curves.log_ticks(min_, max_, max_ticks) if self.log else curves.nice_ticks(min_, max_, max_ticks)

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
    """A canvas with a cursor over it."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's name
        super().__init__(1, 1, id=id)
        self._under_cursor: list[tuple[int, int, str, str]] = []

    def reset(self, size: Size | None = None, refresh: bool = True) -> None:
        self._under_cursor = []
        super().reset(size, refresh)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        # A line beyond the canvas comes without a style, on which Textual's NO_COLOR filter fails.
        return strip if strip.cell_length else Strip.blank(self.size.width, self.rich_style)

    def move_cursor(self, column: int | None, style: str) -> None:
        """Draw the cursor in this column, and what was there before in the old one; nothing else is painted."""
        old = {at for at, *_ in self._under_cursor}
        for at, row, character, was in self._under_cursor:
            # Not `set_pixel`, which has the whole canvas painted.
            self._buffer[row][at], self._styles[row][at] = character, was
        self._under_cursor = []
        if column is not None:
            self._draw_cursor(column, style)
        for at in old | {at for at, *_ in self._under_cursor}:
            self.refresh(Region(at, 0, 1, self.size.height))

    def _draw_cursor(self, column: int, style: str) -> None:
        for row in range(1, self._canvas_size.height - 1):
            character, was = self.get_pixel(column, row)
            # Lines stay visible through the cursor; bands need not.
            if character == " " or was.startswith("dim"):
                self._under_cursor.append((column, row, character, was))
                self._buffer[row][column], self._styles[row][column] = "│", style


class CurvePlot(PlotWidget, can_focus=False):
    """A plot of many lines with their signs, shaded bands, and a cursor that moves without drawing them again.

    The library draws a line dot by dot in Python, 10 ms each: too slow for fifty. Here NumPy does it for all its
    dots at once. That, and the cursor, use what the library keeps to itself, so its version is held in pyproject.
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
        """Shade what lies between two lines."""
        self._datasets.append(Band(x, high, HiResMode.BRAILLE, style, low, high))
        self._labels.append(None)

    def tag(self, tag: Tag) -> None:
        """Write a sign at the end of a line, or along it where the place is taken."""
        self._tags.append(tag)

    def show(self, view: View) -> None:
        """Set all limits at once."""
        self.set_xlimits(view.left, view.right)
        self.set_ylimits(view.bottom, view.top)

    def move_cursor(self, step: float | None) -> None:
        """Draw the cursor at `step`, and nothing anew."""
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
    def _view(self) -> View:
        return View(self._x_min, self._x_max, self._y_min, self._y_max)

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
            dots = curves.band_dots(x, dataset.low, dataset.high, self._view, *self._cells)
        else:
            dots = curves.line_dots(x, y, self._view, *self._cells)
        self._put(dots, dataset.line_style)

    def _put(self, dots: Dots, style: str) -> None:
        canvas = self._canvas
        for column, row, character in curves.braille(dots):
            canvas.set_pixel(column + 1, row + 1, character, style)

    def _draw_tags(self) -> None:
        taken: set[tuple[int, int]] = set()
        for tag in self._tags:
            places = list(curves.track(tag.x, tag.y, self._view, *self._cells))
            self._draw_tag(tag, places, taken)
            if self.app.no_color:
                # Where lines run together at their ends, they are told apart half way.
                self._draw_tag(tag, places[len(places) // 2 :], taken)

    def _draw_tag(self, tag: Tag, places: Iterable[tuple[int, int]], taken: set[tuple[int, int]]) -> None:
        for column, row in places:
            if not taken & {(column - 1, row), (column, row), (column + 1, row)}:
                taken.add((column, row))
                self._canvas.set_pixel(column + 1, row + 1, tag.sign, tag.style)
                break


class ChartScreen(Screen[None]):
    """Draws series that it reads with `load(run id, split)`; `refresh_runs` tells it which have grown."""

    BINDINGS = bindings(CHART_KEYS)
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
            wanted, trouble = [key for key in self._keys if key not in self._curves or key in self._stale], ""
            for done, key in enumerate(wanted, 1):
                if is_new:
                    self._write_title(f"reading {done} of {len(wanted)} curves")
                trouble = await self._read_curve(*key) or trouble
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
            curves.quantile(most)

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
            low, high = (self.showing.on_axis(line.mean + sign * line.half) for sign in (-1, 1))
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
        plot.tag(Tag(_sign(index), f"bold {self._style(index)}", line.steps[finite], values[finite]))

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
            found.append((order, Entry(_sign(index), f"bold {self._style(index)}", plain(series.label), begun, value)))
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
        self.dismiss()


@dataclass(frozen=True)
class Entry:
    """A series in the legend: its sign, name, how many of its seeds have begun, and its value at the cursor."""

    sign: str
    style: str
    label: str
    begun: str
    value: str


@dataclass(frozen=True)
class Room:
    """How much the legend can hold: the cells of a row, the rows, and the entries in a row."""

    width: int
    rows: int
    columns: int

    def fitting(self, count: int) -> int:
        """How many of `count` entries are shown at a time: one less than there are places, if not all fit."""
        places = max((self.rows - 1) * self.columns, 2)
        return count if count <= places else places - 1


def reading_text(heading: str, entries: Sequence[Entry], room: Room, first: int = 0) -> Text:
    """The heading and as many entries as fit from the `first` on, down the columns; then how many do not."""
    shown = entries[first : first + room.fitting(len(entries))]
    each = (room.width - 2 * (room.columns - 1)) // room.columns
    longest = max((cell_len(entry.value) for entry in shown), default=0)
    cells = [_cell(entry, each, longest) for entry in shown]
    if len(shown) < len(entries):
        cells.append(Text(set_cell_size(f"… {len(entries) - len(shown)} more: press g", each), style="dim"))
    down = math.ceil(len(cells) / room.columns)
    lines = [Text("  ").join(cells[row::down]) for row in range(down)]
    return Text("\n", no_wrap=True).join([Text(heading, style="bold"), *lines])


def _cell(entry: Entry, width: int, value_width: int) -> Text:
    name_width = max(width - value_width - 4, 0)
    label = _cut(entry.label, name_width - cell_len(entry.begun))
    name = set_cell_size(label + entry.begun, name_width)
    return Text.assemble((f"{entry.sign}━ ", entry.style), name, " ", entry.value.rjust(value_width))


def _cut(label: str, width: int) -> str:
    """The label in so many cells; cut in its middle, since names tend to differ at the end."""
    if cell_len(label) <= width:
        return label
    end = chop_cells(label[::-1], max(width // 2, 1))[0][::-1]
    return set_cell_size(label, max(width - 1 - cell_len(end), 0)).rstrip() + "…" + end


def value_text(mean: float, half: float | None, metric: str) -> str:
    """`95.2 ± 0.3` in percent, or a loss with four digits; a dash where there is none."""
    if not math.isfinite(mean):
        return "–"
    if metric == "accuracy":
        return f"{mean:.1f}" + ("" if half is None else f" ± {half:.1f}")
    return number(mean) + ("" if half is None else f" ± {half:.2g}")


def _sign(index: int) -> str:
    return SIGNS[index] if index < len(SIGNS) else "•"


def _other(split: str) -> str:
    return SPLITS[1 - SPLITS.index(split)]
