"""Fill the form from a recipe, and compare its claims with the results."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import counted
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.messages import NOTICE_SECONDS
from initlab_tui.tui.panes.setup import AUTO, Settings
from initlab_tui.tui.screens.dialogs import Ask, Choose
from initlab_tui.tui.store_monitor import StoreSnapshot

if TYPE_CHECKING:
    from textual.worker import Worker

    from initlab_tui.domain.claims.recipe import Experiment, Recipe
    from initlab_tui.services.recipes import RecipeResult
    from initlab_tui.tui.screens.lab_panes import LabPanes

# Imports within functions keep the first paint fast.
OPEN_FILE = ("open a file", "Open a file …")


class RecipeActions:
    """Opens recipes in the setup pane of `screen`, and evaluates their claims."""

    def __init__(self, screen: LabPanes, backend: LabBackend) -> None:
        self._screen, self._backend = screen, backend
        self._opened: dict[str, Recipe] = {}

    def choose(self) -> None:
        """Ask for a recipe, and fill the form from it."""
        self._screen.run_worker(self._choose(), group="recipes")

    async def _choose(self) -> None:
        found = await self._backend.recipes()
        if self._screen.is_current:
            self._choose_experiment(found, [OPEN_FILE])

    def _choose_experiment(self, recipes: Sequence[Recipe], more: Sequence[tuple[str, str]] = ()) -> None:
        from initlab_tui.tui.recipe_list import answers, experiment_of

        def answered(key: str | None) -> None:
            if key == OPEN_FILE[0]:
                self._ask_for_file()
            elif key is not None:
                self._fill(*experiment_of(recipes, key))

        dialog = Choose("Fill the setup from a recipe", [*answers(recipes), *more]).add_class("-roomy")
        self._screen.app.push_screen(dialog, answered)

    def _ask_for_file(self) -> None:
        def answered(path: str | None) -> None:
            if path is not None:
                self._open(path)

        question = "The path of a recipe file, such as mine.toml"
        self._screen.app.push_screen(Ask(question, "", _read_file, verb="Open"), answered)

    def _open(self, path: str) -> None:
        try:
            recipe = _read_file(path)
        except InvalidInputError as error:  # the file has changed since it was checked
            self._refuse(error)
            return
        try:
            sources = self._backend.custom_sources(recipe)
        except InvalidInputError as error:
            self._refuse(error)
            return
        if sources:
            self._ask_for_consent(path, recipe, sources)
        else:
            self._use(path, recipe)

    def _ask_for_consent(self, path: str, recipe: Recipe, sources: Sequence[str]) -> None:
        def answered(answer: str | None) -> None:
            if answer == "allow":
                self._use(path, recipe)

        code = "; ".join(sources)
        question = f"{path} runs code that is not part of initlab-tui: {code}. Open it only if you trust that code."
        answers = [("cancel", "Cancel"), ("allow", "Trust it and open the recipe")]
        self._screen.app.push_screen(Choose(plain(question), answers), answered)

    def _use(self, path: str, recipe: Recipe) -> None:
        self._opened[path] = recipe
        if len(recipe.experiments) > 1:
            self._choose_experiment([recipe])
        else:
            self._fill(recipe, recipe.experiments[0])

    def _refuse(self, error: InvalidInputError) -> None:
        self._screen.notify(plain(str(error)), severity="error", timeout=NOTICE_SECONDS, markup=False)

    def _fill(self, recipe: Recipe, experiment: Experiment) -> None:
        self._screen.recipe = recipe
        setup = self._screen.setup
        setup.put(Settings(experiment.comparison, setup.device or AUTO))
        self._screen.action_pane("setup")
        title = f"{recipe.name} {experiment.name}".rstrip()
        message = _introduction(recipe, experiment)
        self._screen.notify(plain(message), title=plain(title), timeout=NOTICE_SECONDS, markup=False)

    def evaluate(self, snapshot: StoreSnapshot) -> None:
        """Show the verdicts on the newest comparison's claims once its runs have ended."""
        # As a function: a coroutine that is replaced before it starts would be reported as never awaited.
        evaluate = partial(self._evaluate, snapshot)
        _: Worker[None] = self._screen.run_worker(evaluate, group="claims", exclusive=True)

    async def _evaluate(self, snapshot: StoreSnapshot) -> None:
        results, newest = self._screen.results, snapshot.newest_id
        runs = list(snapshot.runs.values())
        if newest is None or any(run.status.is_active for run in runs if run.comparison_id == newest):
            results.show_claims(())
            return
        found = await self._backend.claims(runs, newest, list(self._opened.values()))
        if not found:
            results.show_claims(())
            return
        from initlab_tui.reports.claims import tally

        results.show_claims([tally(each).append("; v shows them") for each in found])

    def show_claims(self) -> None:
        """Show the recipes' claims next to the results."""
        from initlab_tui.tui.screens.claims import ClaimsScreen

        def evaluate() -> Awaitable[Sequence[RecipeResult]]:
            return self._backend.claims(self._screen.runs, custom=list(self._opened.values()))

        self._screen.app.push_screen(ClaimsScreen(evaluate))


def _read_file(path: str) -> Recipe:
    """Read a recipe file.

    Raises:
        InvalidInputError: naming everything that is wrong with it.
    """
    from initlab_tui.services import recipes

    if not recipes.is_file(path):
        raise InvalidInputError.of("recipe", "a recipe file ends in .toml")
    return recipes.load(str(Path(path).expanduser()))


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
