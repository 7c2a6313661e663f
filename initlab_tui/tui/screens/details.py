"""All that is known of one run, to read and scroll through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rich.console import RenderableType
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from initlab_tui.tui.keys import DETAILS, bindings


class DetailsScreen(Screen[None]):
    """One run's page; `read` gives it off the screen's thread, or None when the run is gone."""

    DEFAULT_CSS = """
    DetailsScreen VerticalScroll { padding: 0 1; }
    DetailsScreen #page { height: auto; }
    """
    BINDINGS = bindings(DETAILS)

    def __init__(
        self,
        run_id: int,
        ids: Callable[[], list[int]],
        read: Callable[[int], Awaitable[RenderableType | None]],
        open_layers: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._run_id, self._ids, self._read, self._open_layers = run_id, ids, read, open_layers

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield Static("reading …", id="page")
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._load()

    def refresh_runs(self, changed: frozenset[int]) -> None:
        """Read it again when it is among those that changed."""
        if self._run_id in changed:
            self._load()

    @work(exclusive=True)
    async def _load(self) -> None:
        page = await self._read(self._run_id)
        if self not in self.app.screen_stack:
            return  # closed meanwhile
        shown = page if page is not None else f"run {self._run_id} is not in the store any more"
        self.query_one("#page", Static).update(shown)

    def action_layers(self) -> None:
        self._open_layers(self._run_id)

    def action_neighbour(self, by: int) -> None:
        ids = self._ids()
        if self._run_id in ids:
            self._run_id = ids[(ids.index(self._run_id) + by) % len(ids)]
            self.query_one(VerticalScroll).scroll_home(animate=False)
            self._load()
