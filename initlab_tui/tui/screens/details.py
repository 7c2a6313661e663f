"""All that is known of one run, to read and scroll through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rich.console import RenderableType
from textual.containers import VerticalScroll

from initlab_tui.tui.keys import DETAILS, bindings
from initlab_tui.tui.screens.page import PageScreen
from initlab_tui.tui.store_monitor import StoreSnapshot


class DetailsScreen(PageScreen):
    """One run's page; `read_run` gives it off the screen's thread, or None when the run is gone."""

    BINDINGS = bindings(DETAILS)

    def __init__(
        self,
        run_id: int,
        ids: Callable[[], list[int]],
        read_run: Callable[[int], Awaitable[RenderableType | None]],
        open_layers: Callable[[int], None],
    ) -> None:
        super().__init__()
        self._run_id, self._ids, self._read_run, self._open_layers = run_id, ids, read_run, open_layers

    async def read(self) -> RenderableType:
        """The run's page."""
        page = await self._read_run(self._run_id)
        return page if page is not None else f"run {self._run_id} is not in the store any more"

    def follow(self, view: StoreSnapshot) -> None:
        """Read it again when it is among those that changed."""
        if self._run_id in view.changed:
            self.load()

    def action_layers(self) -> None:
        self._open_layers(self._run_id)

    def action_neighbour(self, by: int) -> None:
        ids = self._ids()
        if self._run_id in ids:
            self._run_id = ids[(ids.index(self._run_id) + by) % len(ids)]
            self.query_one(VerticalScroll).scroll_home(animate=False)
            self.load()
