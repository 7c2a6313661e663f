"""Checks all experiments of a recipe before any of them is queued."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain import custom_code
from initlab_tui.domain.claims.recipe import Experiment, Recipe
from initlab_tui.domain.custom_code import CodeSource, Consent
from initlab_tui.domain.errors import InvalidInputError, Problem, shown
from initlab_tui.domain.initializer import Initializer
from initlab_tui.services import submit
from initlab_tui.services.dataset_facts import dataset_facts
from initlab_tui.services.resources import Resources
from initlab_tui.services.submit import Submission

NO_CONSENT = Consent()


@dataclass(frozen=True)
class RecipeSubmission:
    """A recipe that passed every check and is ready to be queued.

    `recipe` is on the substitute dataset if `instead_of` names the original ones; `reason` then says why.
    `submissions` has one entry for each experiment, in the same order.
    """

    recipe: Recipe
    submissions: tuple[Submission, ...]
    instead_of: tuple[str, ...] = ()
    reason: str = ""

    @property
    def experiments(self) -> tuple[tuple[Experiment, Submission], ...]:
        """Each experiment with its submission."""
        return tuple(zip(self.recipe.experiments, self.submissions, strict=True))


def prepare_recipe(
    recipe: Recipe,
    data_dir: Path | None,
    import_folder: Path,
    resources: Resources | None = None,
    *,
    consent: Consent = NO_CONSENT,
    quiet: bool = False,
) -> RecipeSubmission:
    """Check every experiment of a recipe, on its original dataset or, if that cannot be read, on the substitute.

    A dataset is read only once, even if several experiments use it. Custom code, which is imported from
    `import_folder`, needs `consent`.

    Raises:
        InvalidInputError: naming every problem of the first experiment that has one.
    """
    require_consent(recipe, import_folder, consent)
    reason = _unreadable(recipe, data_dir, quiet=quiet)
    instead_of = recipe.datasets if reason else ()
    substitute = recipe.substitute_dataset
    used = recipe.with_datasets(lambda _: substitute) if reason and substitute else recipe
    submissions = tuple(
        submit.prepare(experiment.comparison, data_dir, import_folder, resources, recipe=recipe.origin, quiet=quiet)
        for experiment in used.experiments
    )
    return RecipeSubmission(used, submissions, instead_of, reason)


def custom_sources(recipe: Recipe, import_folder: Path) -> dict[Initializer, CodeSource]:
    """Return the custom initializers of a recipe and where their code comes from.

    Raises:
        InvalidInputError: if a module does not exist or is not allowed.
    """
    used = {name: None for experiment in recipe.experiments for name in experiment.comparison.initializers}
    try:
        return custom_code.sources(used, import_folder)
    except ValueError as error:
        raise InvalidInputError.of("initializer", str(error)) from None


def require_consent(recipe: Recipe, import_folder: Path, consent: Consent) -> None:
    """Refuse a recipe with custom code that nobody has consented to.

    Raises:
        InvalidInputError: naming the code and how to allow it.
    """
    found = custom_sources(recipe, import_folder)
    refused = [
        Problem("recipe", _needs_consent(recipe, initializer, source))
        for initializer, source in found.items()
        if not consent.covers(source)
    ]
    if refused:
        raise InvalidInputError(refused)


def _needs_consent(recipe: Recipe, initializer: Initializer, source: CodeSource) -> str:
    start = f"recipe {recipe.name} runs code that is not part of initlab-tui: {shown(initializer)}, from"
    if source.file:
        return f"{start} {source.file}: read it, and allow it with --allow-import if you trust it"
    package = source.module
    return f"{start} the installed package {package}: allow it with --allow-package {package} if you trust it"


def _unreadable(recipe: Recipe, data_dir: Path | None, *, quiet: bool) -> str:
    """Return why a dataset of a recipe with a substitute cannot be read, or an empty string."""
    if recipe.substitute_dataset is None:
        return ""
    try:
        for dataset in recipe.datasets:
            dataset_facts(dataset, data_dir, quiet=quiet)
    except InvalidInputError as error:
        return str(error)
    return ""
