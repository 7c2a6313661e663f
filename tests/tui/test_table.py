"""The table widget: only visible rows are requested, and only changed cells are painted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from rich.console import RenderableType
from rich.text import Text
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import Screen

from initlab_tui.tui.widgets.table import Table
from initlab_tui.tui.widgets.table_columns import Column

pytestmark = pytest.mark.asyncio

MANY = range(10_000)
SIZE = (40, 12)
ROWS = SIZE[1] - 1  # below the titles
COLUMNS = (Column("name", "name", 10), Column("value", "value", 8, right=True))
WIDE_COLUMNS = tuple(Column(f"c{number}", f"title{number}", 12) for number in range(6))


class Host(App[None]):
    """A table alone on the screen; `requested` lists the rows whose cells it requested, `painted` counts cells."""

    CSS = "Table { scrollbar-size: 0 0; }"

    def __init__(self, columns: Sequence[Column], keys: Sequence[int], frozen: int = 0) -> None:
        super().__init__()
        self.columns, self.keys, self.frozen = columns, keys, frozen
        self.values: dict[int, str] = {}
        self.requested: list[int] = []
        self.painted = 0
        self.messages: list[Message] = []

    def compose(self) -> ComposeResult:
        yield Table[int](self.cells, id="table", frozen=self.frozen)

    def on_mount(self) -> None:
        self.table.show(self.columns, self.keys)

    @property
    def table(self) -> Table[int]:
        return self.query_one("#table", Table)

    def cells(self, key: int) -> list[Text]:
        self.requested.append(key)
        rest = [Text(self.values.get(key, f"{key}.{number}")) for number in range(1, len(self.columns))]
        return [Text(f"row {key}"), *rest]

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        spans = getattr(renderable, "spans", None)
        if spans is not None:
            self.painted += sum(right - left for _, left, right in spans)
        elif renderable is not None:
            self.painted += SIZE[0] * SIZE[1]
        super()._display(screen, renderable)

    def on_table_moved(self, event: Table.Moved) -> None:
        self.messages.append(event)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        self.messages.append(event)

    def on_table_header_clicked(self, event: Table.HeaderClicked) -> None:
        self.messages.append(event)

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    def reset(self) -> None:
        """Reset the records of requests, painting and messages."""
        self.requested, self.painted, self.messages = [], 0, []


HostAndPilot = tuple[Host, Pilot[None]]


@asynccontextmanager
async def table(
    columns: Sequence[Column] = COLUMNS, keys: Sequence[int] = MANY, frozen: int = 0
) -> AsyncIterator[HostAndPilot]:
    app = Host(columns, keys, frozen)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.reset()
        yield app, pilot


def shown(app: Host) -> list[str]:
    """Return the first cells of the rows on the screen."""
    return [line[:10].strip() for line in app.lines[1:] if line]


async def test_only_the_cells_of_visible_rows_are_requested() -> None:
    app = Host(COLUMNS, MANY)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        assert set(app.requested) == set(range(ROWS))
        app.reset()
        await pilot.press("end")
        assert set(app.requested) == set(range(10_000 - ROWS, 10_000))
        app.reset()
        app.table.show(COLUMNS, MANY[::-1])
        await pilot.pause()
        assert len(set(app.requested)) <= 2 * ROWS
        assert app.table.current == 9_999
        assert shown(app)[0] == "row 9999"


async def test_keys_move_the_cursor_and_scroll() -> None:
    async with table() as (app, pilot):
        await pilot.press("down", "down", "up")
        assert app.table.current == 1
        await pilot.press("pagedown")
        assert app.table.current == 1 + ROWS - 1
        assert f"row {app.table.current}" in shown(app)
        await pilot.press("end")
        assert shown(app)[-1] == "row 9999"
        await pilot.press("pageup", "home", "up")
        assert (app.table.current, shown(app)[0]) == (0, "row 0")


async def test_the_cursor_stays_on_its_row_when_rows_are_reordered() -> None:
    async with table(keys=range(100)) as (app, pilot):
        await pilot.press("down", "down", "down")
        app.reset()
        app.table.show(COLUMNS, list(range(100))[::-1])
        await pilot.pause()
        assert (app.table.current, app.table.cursor) == (3, 96)
        assert "row 3" in shown(app)
        assert app.messages == []


async def test_the_cursor_keeps_its_position_when_its_row_is_removed() -> None:
    async with table(keys=range(100)) as (app, pilot):
        await pilot.press("end")
        app.reset()
        app.table.show(COLUMNS, range(3))
        await pilot.pause()
        assert app.table.current == 2
        assert shown(app) == ["row 0", "row 1", "row 2"]
        assert isinstance(app.messages[0], Table.Moved)
        app.table.show(COLUMNS, ())
        await pilot.pause()
        await pilot.press("down", "up", "pagedown", "end", "home")
        assert app.table.current is None
        assert shown(app) == []
        app.table.show(COLUMNS, (7,))
        assert app.table.current == 7


async def test_only_changed_cells_are_painted() -> None:
    async with table() as (app, pilot):
        app.table.repaint_changed()
        await pilot.pause()
        assert app.painted == 0
        app.values[2] = "changed"
        app.values[5_000] = "off screen"
        app.table.show(COLUMNS, MANY)
        await pilot.pause()
        assert app.painted == COLUMNS[1].width
        assert app.lines[3] == "row 2       changed"


async def test_a_change_off_screen_is_shown_after_scrolling_to_it() -> None:
    async with table() as (app, pilot):
        await pilot.press("end")
        app.values[1] = "changed"
        app.table.repaint_changed()
        await pilot.press("home")
        assert app.lines[2] == "row 1       changed"


async def test_moving_the_cursor_paints_two_rows() -> None:
    async with table() as (app, pilot):
        await pilot.press("down")
        assert app.painted == 2 * SIZE[0]
        assert app.requested == []


async def test_scrolling_sideways_moves_by_whole_columns() -> None:
    async with table(WIDE_COLUMNS, range(5)) as (app, pilot):
        assert app.lines[0] == "title0       title1       title2"
        assert app.lines[1] == "row 0        0.1          0.2"
        await pilot.press("right")
        assert app.lines[1] == "0.1          0.2          0.3"
        await pilot.press("right", "right", "right", "right")
        assert app.lines[0].split() == ["title3", "title4", "title5"]
        assert app.lines[1].endswith("0.5")
        await pilot.press("left", "left", "left", "left", "left")
        assert app.lines[1].startswith("row 0")


async def test_frozen_columns_stay_while_the_others_scroll_sideways() -> None:
    async with table(WIDE_COLUMNS, range(5), frozen=1) as (app, pilot):
        assert app.lines[1] == "row 0        0.1          0.2"
        await pilot.press("right")
        assert app.lines[0] == "title0       title2       title3"
        assert app.lines[1] == "row 0        0.2          0.3"
        await pilot.press("right", "right", "right")
        assert app.lines[1].startswith("row 0 ")
        assert app.lines[1].endswith("0.5")
        await pilot.press("left", "left", "left", "left", "left")
        assert app.lines[1] == "row 0        0.1          0.2"


async def test_no_column_is_frozen_if_the_others_would_have_no_room() -> None:
    async with table(WIDE_COLUMNS, range(5), frozen=3) as (app, pilot):
        await pilot.press("right")
        assert app.lines[1] == "0.1          0.2          0.3"


async def test_clicking_a_header_reports_the_column_shown_there() -> None:
    async with table(WIDE_COLUMNS, range(5), frozen=1) as (app, pilot):
        await pilot.press("right")
        for at in (3, 16):
            await pilot.click(app.table, offset=(at, 0))
        assert [event.column for event in app.messages if isinstance(event, Table.HeaderClicked)] == ["c0", "c2"]


async def test_long_values_end_with_an_ellipsis_and_numbers_are_aligned_right() -> None:
    async with table(keys=range(3)) as (app, pilot):
        app.values = {0: "1234567890", 1: "12345678", 2: "重み重み重"}
        app.table.repaint_changed()
        await pilot.pause()
        assert app.lines[1:4] == [
            "row 0      1234567…",
            "row 1      12345678",
            "row 2      重み重 …",
        ]


async def test_a_click_moves_the_cursor_and_a_second_click_chooses_the_row() -> None:
    async with table(WIDE_COLUMNS) as (app, pilot):
        await pilot.press("end", "right")
        app.reset()
        await pilot.click(app.table, offset=(3, 1))
        assert app.table.current == 10_000 - ROWS
        assert not any(isinstance(event, Table.Chosen) for event in app.messages)
        await pilot.click(app.table, offset=(3, 1))
        assert any(isinstance(event, Table.Chosen) for event in app.messages)
        app.reset()
        await pilot.click(app.table, offset=(14, 0))
        assert [event.column for event in app.messages if isinstance(event, Table.HeaderClicked)] == ["c2"]
        assert app.table.current == 10_000 - ROWS


async def test_a_click_below_the_last_row_does_nothing() -> None:
    async with table(keys=range(2)) as (app, pilot):
        await pilot.click(app.table, offset=(3, 8))
        assert app.messages == []
        assert app.table.current == 0
