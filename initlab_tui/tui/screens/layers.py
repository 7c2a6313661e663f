"""The layers of one run over its steps: a heat map of any metric, and the values under its cursor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.style import Style
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.screen import Screen

from initlab_tui.domain.layers.metrics import LAYER_METRICS
from initlab_tui.reports.diagnosis import diagnosis_text, sign
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import figure_text, two_digits
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.tui.heatmap import HeatMap, heat_map
from initlab_tui.tui.keys import LAYERS, bindings
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.widgets.footer import KeyFooter
from initlab_tui.tui.widgets.lines import Lines

# The height shows the same as the colour: viridis, from dark to bright.
BARS = "▁▂▃▄▅▆▇█"
COLOURS = ("#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#d0e11c", "#fde725")
NAME, CELL = 10, 3
ABOVE, BELOW = 3, 4  # lines above and below the map


class LayersScreen(Screen[None]):
    """One run's heat map; `read` returns its measurements, off the screen's thread."""

    DEFAULT_CSS = "LayersScreen Lines { height: 1fr; padding: 0 1; }"
    BINDINGS = bindings(LAYERS)

    def __init__(self, run_id: int, title: str, read: Callable[[int], Awaitable[list[StoredMeasurement]]]) -> None:
        super().__init__()
        self._run_id, self._title, self._read = run_id, title, read
        self._measured: list[StoredMeasurement] = []
        self._metric, self._row = list(LAYER_METRICS).index("preactivation_std"), 0
        self._column: int | None = None  # None: the last one, also after new measurements

    def compose(self) -> ComposeResult:
        yield Lines()
        yield KeyFooter()

    def on_mount(self) -> None:
        self._load()

    def on_resize(self) -> None:
        self._draw()

    def follow(self, view: StoreSnapshot) -> None:
        """Read the measurements again if the run changed."""
        if self._run_id in view.changed:
            self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        self._measured = await self._read(self._run_id)
        if self in self.app.screen_stack:
            self._draw()

    def action_move(self, rows: int, columns: int) -> None:
        if not self._measured:
            return
        last, layers = len(self._measured) - 1, len(self._measured[0].measurement.layers)
        self._row = min(layers - 1, max(0, self._row + rows))
        column = min(last, max(0, (last if self._column is None else self._column) + columns))
        self._column = None if column == last else column
        self._draw()

    def action_metric(self, by: int) -> None:
        # Skip metrics that this network does not have: ReLU, for example, has no saturated outputs.
        for _ in LAYER_METRICS:
            self._metric = (self._metric + by) % len(LAYER_METRICS)
            if not self._measured or self._heat_map().is_drawn:
                break
        self._draw()

    def _heat_map(self) -> HeatMap:
        return heat_map(self._measured, list(LAYER_METRICS.values())[self._metric])

    def _draw(self) -> None:
        lines = self._lines() if self._measured else [Text("The layers of this run have not been measured yet.")]
        self.query_one(Lines).show([Text(f"{self._title}{self._part()}", style="bold", no_wrap=True), *lines])

    def _part(self) -> str:
        """Return which layers are on the screen, if not all are."""
        count = len(self._measured[0].measurement.layers) if self._measured else 0
        rows = self._rows(count)
        return f", {rows.start + 1} to {rows.stop} of {count}" if len(rows) < count else ""

    def _rows(self, count: int) -> range:
        return self._window(count, self.size.height - 1 - ABOVE - BELOW, self._row)

    def _lines(self) -> list[Text]:
        found = self._heat_map()
        columns = self._window(len(found.steps), (self.size.width - 2 - NAME) // CELL, self._at)
        rows = self._rows(len(found.layers))
        low, high = found.bounds
        scale = {"log": "logarithmic", "linear": "linear"}[found.metric.scale]
        title = Text.assemble((found.metric.title, "bold"), f"  ▁ {two_digits(low)} to █ {two_digits(high)}, {scale}")
        signs = Text("diagnosis".ljust(NAME))
        for column in columns:
            signs.append(sign(self._measured[column].diagnosis.name).center(CELL), self._pointer(-1, column))
        return [
            title,
            signs,
            *(self._map_row(found, row, columns) for row in rows),
            _axis(found.steps, columns),
            *self._under_cursor(found),
        ]

    @property
    def _at(self) -> int:
        return len(self._measured) - 1 if self._column is None else min(self._column, len(self._measured) - 1)

    @staticmethod
    def _window(count: int, room: int, cursor: int) -> range:
        """Return as many numbers as fit, including that of the cursor."""
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

    def _under_cursor(self, found: HeatMap) -> list[Text]:
        """Describe the cell under the cursor: its layer, step and value, and the network at that step."""
        measured = self._measured[self._at]
        value = figure_text(found.values[self._row][self._at])
        network = measured.measurement.network
        return [
            Text(f"{found.layers[self._row]}, step {measured.step}: {value}"),
            Text.assemble(diagnosis_text(measured.diagnosis), f": {plain(measured.diagnosis.reason)}"),
            Text(
                f"loss {figure_text(network['loss'])} on the probe batch · Jacobian: mean square "
                f"{figure_text(network['jacobian_mean_square'])}, "
                f"largest/smallest {figure_text(network['jacobian_condition'])}",
                style="dim",
            ),
        ]


def _axis(steps: Sequence[int], columns: Sequence[int]) -> Text:
    """Write the steps below their columns, as many as fit."""
    text = "step"
    for place, column in enumerate(columns):
        begin = NAME + place * CELL
        if len(text) < begin:
            text = f"{text:{begin}}{steps[column]}"
    return Text(text, style="dim", no_wrap=True)
