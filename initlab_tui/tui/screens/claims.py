"""What the recipes claim beside what came of it, to read and scroll through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.console import RenderableType
from rich.text import Text

from initlab_tui.reports.claims import results_page
from initlab_tui.services.recipes import RecipeResult
from initlab_tui.tui.keys import CLAIMS, bindings
from initlab_tui.tui.screens.page import PageScreen
from initlab_tui.tui.store_monitor import StoreSnapshot

NONE_YET = "No comparison here has all groups of a recipe. Back in the lab, e chooses a recipe and r runs it."


class ClaimsScreen(PageScreen):
    """The claims of the recipes that were trained; `judge` judges them off the screen's thread."""

    BINDINGS = bindings(CLAIMS)

    def __init__(self, judge: Callable[[], Awaitable[Sequence[RecipeResult]]]) -> None:
        super().__init__()
        self._judge = judge

    async def read(self) -> RenderableType:
        """The claims, each with what came of it."""
        results = await self._judge()
        return results_page(results) if results else Text(NONE_YET)

    def follow(self, view: StoreSnapshot) -> None:
        """Judge again when a run began or ended."""
        if view.ranked:
            self.load()
