"""The layers of one run over its steps: a heat map of any figure, and the values under its cursor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.style import Style
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer

from initlab_tui.reports.diagnosis import SIGNS, verdict_text
from initlab_tui.reports.format import figure_text, two_digits
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.tui.heatmap import FIGURES, HeatMap, heat_map
from initlab_tui.tui.keys import LAYERS, bindings
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.widgets.lines import Lines

# By height as well as by colour, so that it can be read without: viridis, from dark to bright.
BARS = "▁▂▃▄▅▆▇█"
COLOURS = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#d0e11c", "#fde725")
NAME, CELL = 9, 3
ABOVE, BELOW = 3, 4  # lines that are not the map's


class LayersScreen(Screen[None]):
    """One run's heat map; `read` gives what was measured, off the screen's thread."""

    DEFAULT_CSS = "LayersScreen Lines { height: 1fr; padding: 0 1; }"
    BINDINGS = bindings(LAYERS)

    def __init__(self, run_id: int, title: str, read: Callable[[int], Awaitable[list[StoredMeasurement]]]) -> None:
        super().__init__()
        self._run_id, self._title, self._read = run_id, title, read
        self._checkups: list[StoredMeasurement] = []
        self._figure = self._row = 0
        self._column: int | None = None  # None: the last, however many there will be

    def compose(self) -> ComposeResult:
        yield Lines()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._load()

    def on_resize(self) -> None:
        self._draw()

    def follow(self, view: StoreSnapshot) -> None:
        """Read it again when it is among those that changed."""
        if self._run_id in view.changed:
            self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        self._checkups = await self._read(self._run_id)
        if self in self.app.screen_stack:
            self._draw()

    def action_move(self, rows: int, columns: int) -> None:
        if not self._checkups:
            return
        last, layers = len(self._checkups) - 1, len(self._checkups[0].health.layers)
        self._row = min(layers - 1, max(0, self._row + rows))
        column = min(last, max(0, (last if self._column is None else self._column) + columns))
        self._column = None if column == last else column
        self._draw()

    def action_figure(self, by: int) -> None:
        # Past those of which this network has none, as ReLU has no saturated outputs.
        for _ in FIGURES:
            self._figure = (self._figure + by) % len(FIGURES)
            if not self._checkups or heat_map(self._checkups, FIGURES[self._figure]).is_drawn:
                break
        self._draw()

    def _draw(self) -> None:
        lines = self._lines() if self._checkups else [Text("Nothing was measured of this run's layers yet.")]
        self.query_one(Lines).show([Text(f"{self._title}{self._part()}", style="bold", no_wrap=True), *lines])

    def _part(self) -> str:
        """Which of the layers are on the screen, where not all are."""
        count = len(self._checkups[0].health.layers) if self._checkups else 0
        rows = self._rows(count)
        return f", {rows.start + 1} to {rows.stop} of {count}" if len(rows) < count else ""

    def _rows(self, count: int) -> range:
        return self._window(count, self.size.height - 1 - ABOVE - BELOW, self._row)

    def _lines(self) -> list[Text]:
        found = heat_map(self._checkups, FIGURES[self._figure])
        columns = self._window(len(found.steps), (self.size.width - 2 - NAME) // CELL, self._at)
        rows = self._rows(len(found.layers))
        low, high = found.bounds
        scale = "logarithmic" if found.figure.is_log else "linear"
        title = Text.assemble((found.figure.title, "bold"), f"  ▁ {two_digits(low)} to █ {two_digits(high)}, {scale}")
        signs = Text("verdict".ljust(NAME))
        for column in columns:
            signs.append(SIGNS[self._checkups[column].verdict.name].center(CELL), self._pointer(-1, column))
        return [
            title,
            signs,
            *(self._map_row(found, row, columns) for row in rows),
            _axis(found.steps, columns),
            *self._told(found),
        ]

    @property
    def _at(self) -> int:
        return len(self._checkups) - 1 if self._column is None else min(self._column, len(self._checkups) - 1)

    @staticmethod
    def _window(count: int, room: int, cursor: int) -> range:
        """As many as there is room for, the cursor's among them."""
        first = min(max(0, cursor - room // 2), max(0, count - room))
        return range(first, min(count, first + max(1, room)))

    def _pointer(self, row: int, column: int) -> Style:
        return Style(reverse=row == self._row and column == self._at)

    def _map_row(self, found: HeatMap, row: int, columns: Sequence[int]) -> Text:
        text = Text(found.layers[row][: NAME - 1].ljust(NAME), style="bold" if row == self._row else "")
        for column in columns:
            place = found.place(row, column)
            level = None if place is None else round(place * (len(BARS) - 1))
            cell = " · " if level is None else BARS[level] * (CELL - 1) + " "
            colour = None if level is None else COLOURS[level]
            text.append(cell, Style(color=colour) + self._pointer(row, column))
        return text

    def _told(self, found: HeatMap) -> list[Text]:
        """What is under the cursor: the value, where it lies, and what the whole net was judged to be then."""
        checkup = self._checkups[self._at]
        value = figure_text(found.values[self._row][self._at])
        whole = checkup.health.network
        return [
            Text(f"{found.layers[self._row]}, step {checkup.step}: {value}"),
            Text.assemble(verdict_text(checkup.verdict), f": {checkup.verdict.reason}"),
            Text(
                f"loss {figure_text(whole.loss)} on the probe · Jacobian: mean square "
                f"{figure_text(whole.jacobian_mean_square)}, largest/smallest {figure_text(whole.jacobian_condition)}",
                style="dim",
            ),
        ]


def _axis(steps: Sequence[int], columns: Sequence[int]) -> Text:
    """The steps below their columns, as many as have room."""
    text = "step"
    for place, column in enumerate(columns):
        begin = NAME + place * CELL
        if len(text) < begin:
            text = f"{text:{begin}}{steps[column]}"
    return Text(text, style="dim", no_wrap=True)
