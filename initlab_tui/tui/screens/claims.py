"""What the recipes claim beside what came of it, to read and scroll through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from initlab_tui.reports.claimed import page
from initlab_tui.runs.claimed import Claimed
from initlab_tui.tui.keys import CLAIMS, bindings


class ClaimsScreen(Screen[None]):
    """The claims of the recipes that were trained; `read` judges them off the screen's thread."""

    DEFAULT_CSS = """
    ClaimsScreen VerticalScroll { padding: 0 1; }
    ClaimsScreen #page { height: auto; }
    """
    BINDINGS = bindings(CLAIMS)

    def __init__(self, read: Callable[[], Awaitable[Sequence[Claimed]]]) -> None:
        super().__init__()
        self._read = read

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static("reading …", id="page")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        found = await self._read()
        if self in self.app.screen_stack:
            self.query_one("#page", Static).update(page(found))
