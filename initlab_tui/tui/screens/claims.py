"""The claims of recipes, compared with the results in the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.reports.claims import results_page
from initlab_tui.services.recipes import RecipeResult
from initlab_tui.tui.keys import CLAIMS, bindings
from initlab_tui.tui.screens.page import PageScreen
from initlab_tui.tui.store_monitor import StoreSnapshot

TITLE = "Claims of published experiments, compared with your results"
NONE_YET = "No recipe was run in this store yet. Back in the lab, press e to choose a recipe and r to run it."


class ClaimsScreen(PageScreen):
    """The claims of all recipes that were run; `evaluate` evaluates them in the background."""

    BINDINGS = bindings(CLAIMS)

    def __init__(self, evaluate: Callable[[], Awaitable[Sequence[RecipeResult]]]) -> None:
        super().__init__()
        self._evaluate = evaluate

    async def read(self) -> RenderableType:
        """Return each claim with its result."""
        results = await self._evaluate()
        return Group(Text(TITLE, style="bold"), Text(), results_page(results) if results else Text(NONE_YET))

    def follow(self, snapshot: StoreSnapshot) -> None:
        """Evaluate again when a run started or ended."""
        if snapshot.ranked:
            self.load()
