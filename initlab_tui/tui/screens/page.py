"""A page that is read off the screen's thread, to scroll through."""

from __future__ import annotations

from rich.console import RenderableType
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static


class PageScreen(Screen[None]):
    """A page over the lab; who is one says what is read."""

    DEFAULT_CSS = """
    PageScreen VerticalScroll { padding: 0 1; }
    PageScreen #page { height: auto; }
    """

    async def read(self) -> RenderableType:
        """What to show now."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static("reading …", id="page")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self.load()

    @work(exclusive=True)
    async def load(self) -> None:
        """Read the page anew and show it."""
        page = await self.read()
        if self in self.app.screen_stack:  # else closed meanwhile
            self.query_one("#page", Static).update(page)
