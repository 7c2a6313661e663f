"""Evaluate recipes: one just run, one by name or file over stored runs, or all packaged ones over stored runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from initlab_tui.domain.claims.evaluation import ClaimResult, evaluate_claims
from initlab_tui.domain.claims.recipe import Experiment, Recipe
from initlab_tui.recipes import loader
from initlab_tui.services.run_metrics import run_metrics
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_comparison_runs, list_runs

RunsByComparison = Mapping[int, Sequence[Run]]


@dataclass(frozen=True)
class ExperimentRuns:
    """An experiment and its stored runs, all of one comparison; None and no runs if it has not been run."""

    experiment: Experiment
    comparison_id: int | None
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class RecipeResult:
    """A recipe, its runs, and the result of each claim.

    `recipe` names the datasets of the runs. `instead_of` holds its original datasets when they were replaced by
    the substitute, and is empty otherwise.
    """

    recipe: Recipe
    experiments: tuple[ExperimentRuns, ...]
    claims: tuple[ClaimResult, ...]
    instead_of: tuple[str, ...] = ()

    @property
    def on_substitute(self) -> bool:
        """Whether the runs used the substitute dataset."""
        return bool(self.instead_of)

    @property
    def comparisons(self) -> tuple[int, ...]:
        """The comparisons that the runs belong to, oldest first."""
        return tuple(sorted({one.comparison_id for one in self.experiments if one.comparison_id is not None}))

    @property
    def missing(self) -> tuple[Experiment, ...]:
        """The experiments that have not been run."""
        return tuple(one.experiment for one in self.experiments if one.comparison_id is None)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs of all experiments, in the order of the experiments."""
        return tuple(run for one in self.experiments for run in one.runs)


def load(name_or_path: str) -> Recipe:
    """Return the packaged recipe of that name, or the recipe in a file that ends in `.toml`.

    Raises:
        InvalidInputError: when there is none, or naming everything that is wrong with it.
    """
    return loader.read(name_or_path)


def packaged() -> tuple[Recipe, ...]:
    """Return every recipe that comes with the program."""
    return tuple(loader.packaged())


def evaluate(
    store: Store, recipe: Recipe, comparison_ids: Mapping[str, int], instead_of: tuple[str, ...] = ()
) -> RecipeResult:
    """Evaluate a recipe over the comparisons that its experiments, by name, were trained in.

    With `instead_of` the recipe is on its substitute dataset already.
    """
    runs = {number: list_comparison_runs(store, number) for number in set(comparison_ids.values())}
    return _evaluate(store, _Variant.of(recipe, instead_of), comparison_ids, runs)


def without_runs(recipe: Recipe) -> RecipeResult:
    """Return the result of a recipe that has not been run."""
    experiments = tuple(ExperimentRuns(experiment, None, ()) for experiment in recipe.experiments)
    return RecipeResult(recipe, experiments, tuple(evaluate_claims(recipe, ())))


def evaluate_stored(store: Store, recipe: Recipe) -> RecipeResult:
    """Evaluate a recipe over stored runs, on its own dataset or, if it was not run there, on the substitute.

    Claims about experiments without runs are undecided.
    """
    by_comparison = _by_comparison(list_runs(store))
    hashes = _hashes(by_comparison)
    variants = list(_variants(recipe))
    matches = [_matches(variant, hashes) for variant in variants]
    found = next((number for number, ids in enumerate(matches) if ids), 0)
    return _evaluate(store, variants[found], matches[found], by_comparison)


def all_results(
    store: Store, runs: Iterable[Run], comparison_id: int | None = None, custom: Iterable[Recipe] = ()
) -> list[RecipeResult]:
    """Return the results of every packaged or custom recipe that was run, the last run first.

    With `comparison_id`, only recipes with an experiment in that comparison.
    """
    by_comparison = _by_comparison(runs)
    hashes = _hashes(by_comparison)
    variants = [*packaged_variants(), *(variant for recipe in custom for variant in _variants(recipe))]
    found = [(variant, _matches(variant, hashes)) for variant in variants]
    wanted = [(variant, ids) for variant, ids in found if ids and comparison_id in (None, *ids.values())]
    wanted.sort(key=lambda pair: max(pair[1].values()), reverse=True)
    return [_evaluate(store, variant, ids, by_comparison) for variant, ids in wanted]


@dataclass(frozen=True)
class _Variant:
    """A recipe on its own dataset or on the substitute, and the spec hashes of each experiment."""

    recipe: Recipe
    instead_of: tuple[str, ...]
    spec_hashes: tuple[tuple[str, frozenset[str]], ...]

    @classmethod
    def of(cls, recipe: Recipe, instead_of: tuple[str, ...]) -> _Variant:
        return cls(recipe, instead_of, tuple((one.name, frozenset(_spec_hashes(one))) for one in recipe.experiments))


@cache
def packaged_variants() -> tuple[_Variant, ...]:
    """Return the packaged recipes in a form that is matched with runs; read once."""
    return tuple(variant for recipe in loader.packaged() for variant in _variants(recipe))


def _variants(recipe: Recipe) -> Iterator[_Variant]:
    yield _Variant.of(recipe, ())
    substitute = recipe.substitute_dataset
    if substitute:
        yield _Variant.of(recipe.on(lambda _: substitute), recipe.datasets)


def _spec_hashes(experiment: Experiment) -> Iterator[str]:
    """One seed is enough, since a spec's hash leaves it out."""
    one_seed = experiment.model_copy(update={"seeds": experiment.seeds[:1]})
    return (spec.spec_hash for spec in one_seed.runs())


def _by_comparison(runs: Iterable[Run]) -> RunsByComparison:
    found: defaultdict[int, list[Run]] = defaultdict(list)
    for run in runs:
        if run.comparison_id is not None:
            found[run.comparison_id].append(run)
    return found


def _hashes(by_comparison: RunsByComparison) -> Mapping[int, Set[str]]:
    return {number: {run.spec_hash for run in runs} for number, runs in by_comparison.items()}


def _matches(variant: _Variant, hashes: Mapping[int, Set[str]]) -> dict[str, int]:
    """The comparison of each experiment that was run: the newest that has all of its groups, over any seeds."""
    found = {}
    for name, wanted in variant.spec_hashes:
        numbers = [number for number, known in hashes.items() if wanted <= known]
        if numbers:
            found[name] = max(numbers)
    return found


def _evaluate(
    store: Store, variant: _Variant, comparison_ids: Mapping[str, int], by_comparison: RunsByComparison
) -> RecipeResult:
    wanted = dict(variant.spec_hashes)
    experiments, metrics = [], []
    for experiment in variant.recipe.experiments:
        number = comparison_ids.get(experiment.name)
        compared = by_comparison.get(number, ()) if number is not None else ()
        # The comparison may hold further groups that no claim is about.
        runs = tuple(run for run in compared if run.spec_hash in wanted[experiment.name])
        experiments.append(ExperimentRuns(experiment, number, runs))
        metrics += run_metrics(store, experiment.name, runs)
    claims = evaluate_claims(variant.recipe, metrics, on_substitute=bool(variant.instead_of))
    return RecipeResult(variant.recipe, tuple(experiments), tuple(claims), variant.instead_of)
