"""A page of text over the lab, read in the background."""

from __future__ import annotations

from rich.console import RenderableType
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from initlab_tui.tui.widgets.footer import KeyFooter


class PageScreen(Screen[None]):
    """A page to scroll through; subclasses implement `read`."""

    DEFAULT_CSS = """
    PageScreen VerticalScroll { padding: 0 1; }
    PageScreen #page { height: auto; }
    """

    async def read(self) -> RenderableType:
        """Return the current content of the page."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static("Reading …", id="page")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.load()

    @work(exclusive=True)
    async def load(self) -> None:
        """Read the page again and show it."""
        page = await self.read()
        if self in self.app.screen_stack:  # it may have been closed during the reading
            self.query_one("#page", Static).update(page)
