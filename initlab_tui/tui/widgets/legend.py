"""The legend of a chart: which line is which, and its value at the cursor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import number
from initlab_tui.tui.chart.curves import Line
from initlab_tui.tui.chart.series import Series
from initlab_tui.tui.widgets.lines import shortened

# A sign for each series, so that colour is never the only difference.
SIGNS = "123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Entry:
    """A series in the legend: sign, name, the number of its seeds that have started, and the value at the cursor."""

    sign: str
    style: str
    label: str
    started: str
    value: str


@dataclass(frozen=True)
class Room:
    """The space for the legend: the width in cells, the rows, and the entries in a row."""

    width: int
    rows: int
    columns: int

    def fitting(self, count: int) -> int:
        """Return how many of `count` entries are shown at a time; if not all fit, one place is kept for “… more”."""
        places = max((self.rows - 1) * self.columns, 2)
        return count if count <= places else places - 1


def entries_at(
    step: float | None, series: Sequence[Series], lines: Sequence[Line], metric: str, colours: Sequence[str]
) -> list[Entry]:
    """Return the series with their values at `step`, the best first; those without a value come last."""
    found = []
    for index, (each, line, colour) in enumerate(zip(series, lines, colours, strict=False)):
        mean, half = line.at(step) if step is not None else (math.nan, None)
        order = math.inf if math.isnan(mean) else mean if metric == "loss" else -mean
        started = f" {len(line.runs)} of {len(each.runs)}" if len(line.runs) < len(each.runs) else ""
        value = value_text(mean, half, metric)
        found.append((order, Entry(sign(index), f"bold {colour}", plain(each.label), started, value)))
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]


def reading_text(heading: str, entries: Sequence[Entry], room: Room, first: int = 0) -> Text:
    """Return the heading, the entries that fit, beginning with number `first`, and how many more there are."""
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
    label = shortened(entry.label, name_width - cell_len(entry.started))
    name = set_cell_size(label + entry.started, name_width)
    return Text.assemble((f"{entry.sign}━ ", entry.style), name, " ", entry.value.rjust(value_width))


def value_text(mean: float, half: float | None, metric: str) -> str:
    """Return `95.2 ± 0.3` in percent, or a loss with four digits; a dash if there is no value."""
    if not math.isfinite(mean):
        return "–"
    if metric == "accuracy":
        return f"{mean:.1f}" + ("" if half is None else f" ± {half:.1f}")
    return number(mean) + ("" if half is None else f" ± {half:.2g}")


def sign(index: int) -> str:
    """Return the sign of series number `index`."""
    return SIGNS[index] if index < len(SIGNS) else "•"
