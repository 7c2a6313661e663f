"""What the recipes claim beside what came of it, to read and scroll through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.console import RenderableType

from initlab_tui.reports.recipe_results import page
from initlab_tui.services.recipe_results import RecipeResult
from initlab_tui.tui.keys import CLAIMS, bindings
from initlab_tui.tui.screens.page import PageScreen
from initlab_tui.tui.store_monitor import StoreSnapshot


class ClaimsScreen(PageScreen):
    """The claims of the recipes that were trained; `judge` judges them off the screen's thread."""

    BINDINGS = bindings(CLAIMS)

    def __init__(self, judge: Callable[[], Awaitable[Sequence[RecipeResult]]]) -> None:
        super().__init__()
        self._judge = judge

    async def read(self) -> RenderableType:
        """The claims, each with what came of it."""
        return page(await self._judge())

    def follow(self, view: StoreSnapshot) -> None:
        """Judge again when a run began or ended."""
        if view.ranked:
            self.load()
