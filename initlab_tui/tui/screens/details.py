"""The details of one run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rich.console import RenderableType
from textual.containers import VerticalScroll

from initlab_tui.tui.keys import DETAILS, bindings
from initlab_tui.tui.screens.page import PageScreen
from initlab_tui.tui.store_monitor import StoreSnapshot


class DetailsScreen(PageScreen):
    """The details of a run, with keys for the runs before and after it.

    `read_run` returns the page, or None if the run is no longer in the store; `ids` lists the runs.
    """

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
        """Return the page of the run."""
        page = await self._read_run(self._run_id)
        return page if page is not None else f"Run {self._run_id} is no longer in the store."

    def follow(self, snapshot: StoreSnapshot) -> None:
        """Read the page again when the run changed."""
        if self._run_id in snapshot.changed:
            self.load()

    def action_layers(self) -> None:
        self._open_layers(self._run_id)

    def action_neighbour(self, by: int) -> None:
        ids = self._ids()
        if self._run_id in ids:
            self._run_id = ids[(ids.index(self._run_id) + by) % len(ids)]
            self.query_one(VerticalScroll).scroll_home(animate=False)
            self.load()
