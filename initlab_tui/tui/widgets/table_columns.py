"""The columns of a table: which of them are visible, and the cells of a row as a strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

from initlab_tui.tui.widgets.lines import shortened

GAP = 1  # empty cells between two columns


@dataclass(frozen=True)
class Column:
    """A column: its key, title and width in cells.

    Numbers are aligned to the `right`. Names that differ at the end, and have no styles, are cut in the `middle`.
    """

    key: str
    title: str
    width: int
    right: bool = False
    middle: bool = False


@dataclass(frozen=True)
class ColumnLayout:
    """Columns of which the first `frozen` stay in place when the others scroll sideways, if there is enough space."""

    columns: tuple[Column, ...] = ()
    frozen: int = 0

    @property
    def width(self) -> int:
        """The cells of all columns."""
        return max(0, _edge(self.columns) - GAP)

    def frozen_count(self, width: int) -> int:
        """Return how many columns stay in place: none if the widest other one would not fit next to them."""
        widest = max((column.width for column in self.columns[self.frozen :]), default=0)
        return self.frozen if _edge(self.columns[: self.frozen]) + widest <= width else 0

    def visible(self, width: int, scrolled: int) -> Iterator[tuple[int, int]]:
        """Yield the place and the left edge of each column that is completely visible in `width` cells.

        A column that does not fit is not shown at all: half a number would be a wrong number.
        """
        frozen = self.frozen_count(width)
        first = _edge(self.columns[:frozen])
        left = 0
        for place, column in enumerate(self.columns):
            if place == frozen:
                left -= scrolled
            if (place < frozen or left >= first) and left + column.width <= width:
                yield place, left
            left += column.width + GAP

    def scroll_goal(self, width: int, scrolled: int, by: int) -> int:
        """Return how far to scroll to reach the next column, or with `by` -1 the previous one."""
        others = self.columns[self.frozen_count(width) :]
        edges = [_edge(others[:place]) for place in range(len(others))]
        if by > 0:
            return next((edge for edge in edges if edge > scrolled), scrolled)
        return max((edge for edge in edges if edge < scrolled), default=0)

    def strip(self, cells: Sequence[Text], style: Style, width: int, scrolled: int, console: Console) -> Strip:
        """Draw the visible cells of a row in `width` cells."""
        segments: list[Segment] = []
        end = 0
        for place, left in self.visible(width, scrolled):
            column, shown = self.columns[place], cells[place].copy()
            if column.middle:
                shown = Text(shortened(shown.plain, column.width))
            shown.truncate(column.width, overflow="ellipsis")
            room = column.width - shown.cell_len
            segments.append(Segment(" " * (left - end + (room if column.right else 0))))
            segments += [segment for segment in shown.render(console) if segment.text]
            end = left + column.width - (0 if column.right else room)
        strip = Strip(segments).apply_style(style).simplify()  # equal styles are written once
        return strip.adjust_cell_length(width, style)


def _edge(columns: Sequence[Column]) -> int:
    """Return the left edge of the column that follows these."""
    return sum(column.width + GAP for column in columns)
