"""A table of any length that draws only its visible rows.

Textual's own DataTable lays out every cell of every row: refilling it took 1.3 s for 10,000 rows on two cores,
0.2 s for 1,000. This table requests the cells of a row when it draws the row, so that sorting and filtering
only change the order of the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from initlab_tui.tui.widgets.table_columns import GAP, Column, ColumnLayout

K = TypeVar("K")


class Table(ScrollView, Generic[K], can_focus=True):
    """Rows identified by keys of type K; one of them has the cursor.

    The first `frozen` columns stay in place when the others scroll sideways, if the table is wide enough.
    """

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

    class TableMessage(Message):
        """A message about a table."""

        def __init__(self, table: Table[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Table[Any]:
            return self.table

    class Moved(TableMessage):
        """Another row has the cursor: the user moved it, or the rows changed."""

    class MovedByUser(TableMessage):
        """The user moved the cursor."""

    class Chosen(TableMessage):
        """The row with the cursor was clicked."""

    class Resized(TableMessage):
        """The width for columns changed."""

    class HeaderClicked(TableMessage):
        """The title of a column was clicked."""

        def __init__(self, table: Table[Any], column: str) -> None:
            super().__init__(table)
            self.column = column

    def __init__(
        self,
        cells: Callable[[K], Sequence[Text]],
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
        frozen: int = 0,
    ) -> None:
        super().__init__(id=id)
        self._cells_of = cells
        self._layout = ColumnLayout(frozen=frozen)
        self._keys: Sequence[K] = ()
        self._drawn: dict[int, tuple[K, tuple[Text, ...]]] = {}
        self._width = 0

    @property
    def keys(self) -> Sequence[K]:
        """The rows, from top to bottom."""
        return self._keys

    @property
    def current(self) -> K | None:
        """The row with the cursor; None in an empty table."""
        return self._keys[self.cursor] if self.cursor < len(self._keys) else None

    @property
    def visible_keys(self) -> Sequence[K]:
        """The rows on the screen."""
        top = self.scroll_offset.y
        return self._keys[top : top + max(0, self.size.height - 1)]

    def show(self, columns: Sequence[Column], keys: Sequence[K], *, keep_cursor: bool = True) -> None:
        """Show these rows; only changed cells are painted of rows that are already on the screen.

        The cursor stays on its row, even if the row moved; if the row is gone, it stays at its position.
        """
        before, held = self._keys, self.current
        if tuple(columns) != self._layout.columns or len(keys) != len(before):
            self._layout = replace(self._layout, columns=tuple(columns))
            self.virtual_size = Size(self._layout.width, len(keys) + 1)
            self._drawn.clear()
            self.refresh()
        self._keys = keys
        if held is not None and keep_cursor and held in (place := {key: n for n, key in enumerate(keys)}):
            self.set_reactive(Table.cursor, place[held])
        else:
            self.set_reactive(Table.cursor, min(self.cursor if keep_cursor else 0, max(0, len(keys) - 1)))
        self.repaint_changed()
        self._keep_cursor_visible()
        if self.current != held:
            self.post_message(self.Moved(self))

    def repaint_changed(self, keys: Collection[K] | None = None) -> None:
        """Paint the visible cells that changed since they were painted; of these rows, or of all."""
        # Rows outside the screen may have changed: their cells are requested when they become visible.
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
        now = self._draw(index)[1]
        for place, left in self._visible_columns():
            if old[1][place] != now[place]:
                self.refresh(Region(left, line, self._layout.columns[place].width, 1))

    def _visible_columns(self) -> Iterator[tuple[int, int]]:
        return self._layout.visible(self.size.width, self.scroll_offset.x)

    def _draw(self, index: int) -> tuple[K, tuple[Text, ...]]:
        if index not in self._drawn:
            key = self._keys[index]
            self._drawn[index] = (key, tuple(self._cells_of(key)))
        return self._drawn[index]

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen: the titles, then the rows."""
        index = self.scroll_offset.y + y - 1
        if y == 0:
            cells = [Text(column.title) for column in self._layout.columns]
            return self._strip(cells, self.get_component_rich_style("table--header"))
        if index >= len(self._keys):
            return Strip.blank(self.size.width, self.rich_style)
        cursor = index == self.cursor
        style = self.get_component_rich_style("table--cursor") if cursor else self.rich_style
        return self._strip(self._draw(index)[1], style)

    def _strip(self, cells: Sequence[Text], style: Style) -> Strip:
        return self._layout.strip(cells, style, self.size.width, self.scroll_offset.x, self.app.console)

    def notify_style_update(self) -> None:
        self._drawn.clear()
        super().notify_style_update()

    def watch_cursor(self, old: int, new: int) -> None:
        for index in (old, new):
            line = index - self.scroll_offset.y + 1
            if 1 <= line < self.size.height:
                self.refresh(Region(0, line, self.size.width, 1))
        self._keep_cursor_visible()
        self.post_message(self.Moved(self))

    def on_resize(self) -> None:
        self._keep_cursor_visible()
        if self.size.width != self._width:
            self._width = self.size.width
            self.post_message(self.Resized(self))

    def _keep_cursor_visible(self) -> None:
        rows = self.size.height - 1
        top = self.scroll_offset.y
        if rows > 0 and not top <= self.cursor < top + rows:
            goal = self.cursor if self.cursor < top else self.cursor - rows + 1
            self.scroll_to(y=goal, animate=False, force=True)

    def move_to(self, key: K) -> None:
        """Put the cursor on a row."""
        if key in self._keys:
            self.cursor = list(self._keys).index(key)

    def _move_by_user(self, index: int) -> None:
        self.cursor = max(0, min(len(self._keys) - 1, index))
        self.post_message(self.MovedByUser(self))

    def action_move(self, by: int) -> None:
        self._move_by_user(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - 2))

    def action_move_to(self, index: int) -> None:
        self._move_by_user(index if index >= 0 else len(self._keys) + index)

    def action_sideways(self, by: int) -> None:
        """Scroll by a column."""
        goal = self._layout.scroll_goal(self.size.width, self.scroll_offset.x, by)
        self.scroll_to(x=min(goal, self.max_scroll_x), animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            at = event.x - self.gutter.left
            for place, left in self._visible_columns():
                if left <= at < left + self._layout.columns[place].width + GAP:
                    self.post_message(self.HeaderClicked(self, self._layout.columns[place].key))
            return
        index = self.scroll_offset.y + event.y - 1
        if index < len(self._keys):
            if index == self.cursor:
                self.post_message(self.Chosen(self))
            self._move_by_user(index)
