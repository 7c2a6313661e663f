"""A table of any length that draws only the lines on the screen.

Textual's own DataTable lays out every cell of every row: refilling it took 1.3 s for 10,000 rows on two cores,
0.2 s for 1,000. Here a row's cells are asked for when it is drawn, so sorting and filtering cost nothing but
the order of the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

GAP = 1  # blank columns between two cells
K = TypeVar("K")


@dataclass(frozen=True)
class Column:
    """A column: what names it, its title, its width in cells, and whether it holds numbers."""

    key: str
    title: str
    width: int
    right: bool = False


class Table(ScrollView, Generic[K], can_focus=True):
    """Rows named by keys of type K, of which one has the cursor."""

    DEFAULT_CSS = """
    Table {
        height: 1fr;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 1;
        & > .table--header { text-style: bold; color: $text-muted; }
        & > .table--cursor {
            background: $block-cursor-blurred-background; text-style: $block-cursor-blurred-text-style;
        }
        &:focus > .table--cursor {
            background: $block-cursor-background; color: $block-cursor-foreground; text-style: bold;
        }
        &:ansi:focus > .table--cursor { text-style: reverse; }
        &:ansi > .table--cursor { text-style: bold; }
        &:nocolor:focus > .table--cursor { text-style: reverse; }
    }
    """
    COMPONENT_CLASSES = {"table--header", "table--cursor"}
    BINDINGS = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move_to(0)", "First", show=False),
        Binding("end", "move_to(-1)", "Last", show=False),
        Binding("left", "sideways(-1)", "Left", show=False),
        Binding("right", "sideways(1)", "Right", show=False),
    ]

    cursor = reactive(0, repaint=False)

    class Told(Message):
        """Something about a table."""

        def __init__(self, table: Table[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Table[Any]:
            return self.table

    class Moved(Told):
        """The cursor stands on another row, by the person's doing or because that row came under it."""

    class Steered(Told):
        """The person moved the cursor."""

    class Chosen(Told):
        """A row was clicked while it had the cursor."""

    class HeaderClicked(Told):
        """A column's title was clicked."""

        def __init__(self, table: Table[Any], column: str) -> None:
            super().__init__(table)
            self.column = column

    def __init__(self, cells: Callable[[K], Sequence[Text]], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._cells_of = cells
        self._columns: tuple[Column, ...] = ()
        self._keys: Sequence[K] = ()
        self._drawn: dict[int, tuple[K, tuple[Text, ...]]] = {}

    @property
    def keys(self) -> Sequence[K]:
        """The rows, from the top."""
        return self._keys

    @property
    def current(self) -> K | None:
        """The row that has the cursor, if there is any."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    @property
    def visible_keys(self) -> Sequence[K]:
        """The rows that are on the screen."""
        top = self.scroll_offset.y
        return self._keys[top : top + max(0, self.size.height - 1)]

    def show(self, columns: Sequence[Column], keys: Sequence[K], *, keep_cursor: bool = True) -> None:
        """Show these rows; of those on the screen already only the cells that differ are painted anew.

        The cursor stays with its row, wherever that went, else at its place.
        """
        before, held = self._keys, self.current
        if tuple(columns) != self._columns or len(keys) != len(before):
            self._columns = tuple(columns)
            width = max(0, sum(column.width + GAP for column in columns) - GAP)
            self.virtual_size = Size(width, len(keys) + 1)
            self._drawn.clear()
            self.refresh()
        self._keys = keys
        if held is not None and keep_cursor and held in (place := {key: n for n, key in enumerate(keys)}):
            self.set_reactive(Table.cursor, place[held])
        else:
            self.set_reactive(Table.cursor, min(self.cursor if keep_cursor else 0, max(0, len(keys) - 1)))
        self.repaint_changed()
        self._keep_in_sight()
        if self.current != held:
            self.post_message(self.Moved(self))

    def repaint_changed(self, keys: Collection[K] | None = None) -> None:
        """Paint the cells on the screen that are not as they were painted last; of these rows alone, or of all."""
        # What was drawn out of sight may be other by now: it is asked for when it comes into sight.
        before, self._drawn = self._drawn, {}
        top = self.scroll_offset.y
        for line in range(1, min(self.size.height, len(self._keys) - top + 1)):
            index = top + line - 1
            if index in before and keys is not None and self._keys[index] not in keys:
                self._drawn[index] = before[index]
            else:
                self._repaint_line(line, before.get(index))

    def _repaint_line(self, line: int, old: tuple[K, tuple[Text, ...]] | None) -> None:
        index = self.scroll_offset.y + line - 1
        if old is None or old[0] != self._keys[index]:
            self.refresh(Region(0, line, self.size.width, 1))
            return
        left = -self.scroll_offset.x
        for column, was, now in zip(self._columns, old[1], self._draw(index)[1], strict=True):
            if was != now:
                self.refresh(Region(left, line, column.width, 1))
            left += column.width + GAP

    def _draw(self, index: int) -> tuple[K, tuple[Text, ...]]:
        if index not in self._drawn:
            key = self._keys[index]
            self._drawn[index] = (key, tuple(self._cells_of(key)))
        return self._drawn[index]

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the titles, then the rows."""
        index = self.scroll_offset.y + y - 1
        left, width = self.scroll_offset.x, self.size.width
        if y == 0:
            cells = [Text(column.title) for column in self._columns]
            return self._strip(cells, self.get_component_rich_style("table--header"), left, width)
        if index >= len(self._keys):
            return Strip.blank(width, self.rich_style)
        cursor = index == self.cursor
        style = self.get_component_rich_style("table--cursor") if cursor else self.rich_style
        return self._strip(self._draw(index)[1], style, left, width)

    def _strip(self, cells: Sequence[Text], style: Style, left: int, width: int) -> Strip:
        segments: list[Segment] = []
        console = self.app.console
        edge = 0
        for column, cell in zip(self._columns, cells, strict=True):
            # Half a number is another number: a column that is cut off is not shown at all.
            whole = left <= edge and edge + column.width <= left + width
            shown = cell.copy() if whole else Text()
            edge += column.width + GAP
            shown.truncate(column.width, overflow="ellipsis")
            room = " " * max(0, column.width - shown.cell_len)
            segments += [Segment(room)] if column.right else []
            segments += [segment for segment in shown.render(console) if segment.text]
            segments.append(Segment(("" if column.right else room) + " " * GAP))
        strip = Strip(segments).apply_style(style).simplify()  # one stretch of style is written once
        return strip.crop_extend(left, left + width, style)

    def notify_style_update(self) -> None:
        self._drawn.clear()
        super().notify_style_update()

    def watch_cursor(self, old: int, new: int) -> None:
        for index in (old, new):
            line = index - self.scroll_offset.y + 1
            if 1 <= line < self.size.height:
                self.refresh(Region(0, line, self.size.width, 1))
        self._keep_in_sight()
        self.post_message(self.Moved(self))

    def on_resize(self) -> None:
        self._keep_in_sight()

    def _keep_in_sight(self) -> None:
        rows = self.size.height - 1
        top = self.scroll_offset.y
        if rows > 0 and not top <= self.cursor < top + rows:
            goal = self.cursor if self.cursor < top else self.cursor - rows + 1
            self.scroll_to(y=goal, animate=False, force=True)

    def move_to(self, key: K) -> None:
        """Put the cursor on a row."""
        if key in self._keys:
            self.cursor = list(self._keys).index(key)

    def _steer(self, index: int) -> None:
        self.cursor = max(0, min(len(self._keys) - 1, index))
        self.post_message(self.Steered(self))

    def action_move(self, by: int) -> None:
        self._steer(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - 2))

    def action_move_to(self, index: int) -> None:
        self._steer(index if index >= 0 else len(self._keys) + index)

    def action_sideways(self, by: int) -> None:
        """Scroll by a column."""
        edges = [0]
        for column in self._columns:
            edges.append(edges[-1] + column.width + GAP)
        here = self.scroll_offset.x
        goal = (
            next((edge for edge in edges if edge > here), here)
            if by > 0
            else max([e for e in edges if e < here] or [0])
        )
        self.scroll_to(x=min(goal, self.max_scroll_x), animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            left = -self.scroll_offset.x
            for column in self._columns:
                if left <= event.x < left + column.width + GAP:
                    self.post_message(self.HeaderClicked(self, column.key))
                left += column.width + GAP
            return
        index = self.scroll_offset.y + event.y - 1
        if index < len(self._keys):
            if index == self.cursor:
                self.post_message(self.Chosen(self))
            self._steer(index)
