"""Fill the form from a recipe, and compare its claims with the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlab_tui.reports.format import counted, plain
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.messages import NOTICE_SECONDS
from initlab_tui.tui.panes.setup import AUTO, Settings
from initlab_tui.tui.screens.dialogs import Choose
from initlab_tui.tui.store_monitor import StoreSnapshot

if TYPE_CHECKING:
    from initlab_tui.domain.claims.recipe import Experiment, Recipe
    from initlab_tui.tui.screens.lab import LabScreen

# Imports within functions keep the first paint fast.


class RecipeActions:
    """Opens recipes in the setup pane of `screen`, and evaluates their claims."""

    def __init__(self, screen: LabScreen, backend: LabBackend) -> None:
        self._screen, self._backend = screen, backend

    def choose(self) -> None:
        """Let the person choose a recipe, and fill the form from it."""
        self._screen.run_worker(self._choose(), group="recipes")

    async def _choose(self) -> None:
        from initlab_tui.tui.recipe_list import answers, experiment_of

        found = await self._backend.recipes()

        def answered(key: str | None) -> None:
            if key is not None:
                self._fill(*experiment_of(found, key))

        if self._screen.is_current:
            dialog = Choose("Fill the setup from a recipe", answers(found)).add_class("-roomy")
            self._screen.app.push_screen(dialog, answered)

    def _fill(self, recipe: Recipe, experiment: Experiment) -> None:
        setup = self._screen.setup
        setup.put(Settings(experiment.comparison, setup.device or AUTO))
        self._screen.action_pane("setup")
        title = f"{recipe.name} {experiment.name}".rstrip()
        message = _introduction(recipe, experiment)
        self._screen.notify(plain(message), title=plain(title), timeout=NOTICE_SECONDS, markup=False)

    def evaluate(self, snapshot: StoreSnapshot) -> None:
        """Show the verdicts on the newest comparison's claims once its runs have ended."""
        self._screen.run_worker(self._evaluate(snapshot), group="claims", exclusive=True)

    async def _evaluate(self, snapshot: StoreSnapshot) -> None:
        results, newest = self._screen.results, snapshot.newest_id
        runs = list(snapshot.runs.values())
        if newest is None or any(run.status.is_active for run in runs if run.comparison_id == newest):
            results.show_claims(())
            return
        found = await self._backend.claims(runs, newest)
        if not found:
            results.show_claims(())
            return
        from initlab_tui.reports.claims import tally

        results.show_claims([tally(each).append("; v shows them") for each in found])

    def show_claims(self) -> None:
        """Show the recipes' claims next to the results."""
        from initlab_tui.tui.screens.claims import ClaimsScreen

        self._screen.app.push_screen(ClaimsScreen(lambda: self._backend.claims(self._screen.runs)))


def _introduction(recipe: Recipe, experiment: Experiment) -> str:
    """Return the claims about an experiment, and what to press."""
    own = [
        claim.statement for claim in recipe.claims if experiment.name in {group.experiment for group in claim.groups}
    ]
    statement = f"{'; '.join(own)}." if len(recipe.experiments) > 1 and own else recipe.claim
    text = f"{statement} Press r to train the {counted(len(list(experiment.runs())), 'run')}."
    if recipe.substitute_dataset:
        dataset, other = experiment.base.dataset, recipe.substitute_dataset
        text += f" If {dataset} is not available, choose {other}: only claims about any dataset are evaluated on it."
    return text
