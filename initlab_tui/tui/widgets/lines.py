"""Lines of text; only those that changed are painted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


class Lines(Widget):
    """Lines without wrapping, cut off at the right."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._lines: tuple[Text, ...] = ()

    def show(self, lines: Sequence[Text]) -> None:
        """Replace the lines."""
        before, self._lines = self._lines, tuple(lines)
        for number, (old, new) in enumerate(zip_longest(before, self._lines)):
            if old != new:
                self.refresh(Region(0, number, self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, style)
        shown = self._lines[y].copy()
        shown.truncate(width, overflow="ellipsis")
        segments = [segment for segment in shown.render(self.app.console) if segment.text and segment.text != "\n"]
        return Strip(segments).apply_style(style).adjust_cell_length(width, style)


def shortened(text: str, width: int) -> str:
    """Return a text in `width` cells, shortened in the middle, since names tend to differ at the end."""
    if cell_len(text) <= width:
        return text
    end = chop_cells(text[::-1], max(width // 2, 1))[0][::-1]
    return set_cell_size(text, max(width - 1 - cell_len(end), 0)).rstrip() + "…" + end
