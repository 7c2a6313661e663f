"""Evaluates the claims of recipes with the runs in the store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from initlab_tui.domain.claims.evaluation import ClaimResult, evaluate_claims
from initlab_tui.domain.claims.recipe import Experiment, Recipe
from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.recipes import loader
from initlab_tui.services.run_metrics import run_metrics
from initlab_tui.store.comparisons import recipe_origins
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_comparison_runs, list_runs

RunsByComparison = Mapping[int, Sequence[Run]]


@dataclass(frozen=True)
class ExperimentRuns:
    """An experiment and its stored runs, which belong to one comparison; None and no runs if it has not been run."""

    experiment: Experiment
    comparison_id: int | None
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class RecipeResult:
    """A recipe, its runs, and the result of each claim.

    The datasets of `recipe` are those of the runs. `instead_of` has the original datasets if they were replaced by the
    substitute, and is empty otherwise.
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
        """The comparisons of the runs, oldest first."""
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
        InvalidInputError: if there is none, or naming every mistake in it.
    """
    return loader.read(name_or_path)


def is_file(name_or_path: str) -> bool:
    """Return whether this is the path of a recipe file, and not the name of a packaged recipe."""
    return loader.is_file(name_or_path)


def packaged() -> tuple[Recipe, ...]:
    """Return every packaged recipe."""
    return tuple(loader.packaged())


def evaluate(
    store: Store, recipe: Recipe, comparison_ids: Mapping[str, int], instead_of: tuple[str, ...] = ()
) -> RecipeResult:
    """Evaluate a recipe with the runs of the comparisons in `comparison_ids`, given by the name of the experiment.

    `instead_of` names the original datasets if `recipe` is already on the substitute.
    """
    runs = {number: list_comparison_runs(store, number) for number in set(comparison_ids.values())}
    return _evaluate(store, _Variant.of(recipe, recipe.origin, instead_of), comparison_ids, runs)


def without_runs(recipe: Recipe) -> RecipeResult:
    """Return the result of a recipe that has not been run."""
    experiments = tuple(ExperimentRuns(experiment, None, ()) for experiment in recipe.experiments)
    return RecipeResult(recipe, experiments, tuple(evaluate_claims(recipe, ())))


def evaluate_stored(store: Store, recipe: Recipe) -> RecipeResult:
    """Evaluate a recipe with stored runs on its original dataset or, if there are none, on the substitute.

    Claims about experiments without runs are undecided.
    """
    by_comparison = _by_comparison(list_runs(store))
    known = _known_comparisons(store, by_comparison)
    variants = list(_variants(recipe))
    matches = [_matches(variant, known) for variant in variants]
    found = next((number for number, ids in enumerate(matches) if ids), 0)
    return _evaluate(store, variants[found], matches[found], by_comparison)


def all_results(
    store: Store, runs: Iterable[Run], comparison_id: int | None = None, custom: Iterable[Recipe] = ()
) -> list[RecipeResult]:
    """Return the results of every packaged or custom recipe that was run, the latest first.

    With `comparison_id`, return only recipes with an experiment in that comparison.
    """
    by_comparison = _by_comparison(runs)
    known = _known_comparisons(store, by_comparison)
    variants = [*packaged_variants(), *(variant for recipe in custom for variant in _variants(recipe))]
    found = [(variant, _matches(variant, known)) for variant in variants]
    wanted = [(variant, ids) for variant, ids in found if ids and comparison_id in (None, *ids.values())]
    wanted.sort(key=lambda pair: max(pair[1].values()), reverse=True)
    return [_evaluate(store, variant, ids, by_comparison) for variant, ids in wanted]


@dataclass(frozen=True)
class _Variant:
    """A recipe on its original or its substitute dataset, its origin, and the spec hashes of each experiment."""

    recipe: Recipe
    origin: RecipeOrigin
    instead_of: tuple[str, ...]
    spec_hashes: tuple[tuple[str, frozenset[str]], ...]

    @classmethod
    def of(cls, recipe: Recipe, origin: RecipeOrigin, instead_of: tuple[str, ...] = ()) -> _Variant:
        hashes = tuple((one.name, frozenset(_spec_hashes(one))) for one in recipe.experiments)
        return cls(recipe, origin, instead_of, hashes)


@cache
def packaged_variants() -> tuple[_Variant, ...]:
    """Return the variants of all packaged recipes; the files are read only once."""
    return tuple(variant for recipe in loader.packaged() for variant in _variants(recipe))


def _variants(recipe: Recipe) -> Iterator[_Variant]:
    yield _Variant.of(recipe, recipe.origin)
    substitute = recipe.substitute_dataset
    if substitute:
        yield _Variant.of(recipe.with_datasets(lambda _: substitute), recipe.origin, recipe.datasets)


def _spec_hashes(comparison: Comparison) -> Iterator[str]:
    """Return the spec hashes of a comparison, computed with one seed, because the hash does not depend on it."""
    one_seed = comparison.model_copy(update={"seeds": comparison.seeds[:1]})
    return (spec.spec_hash for spec in one_seed.runs())


def _by_comparison(runs: Iterable[Run]) -> RunsByComparison:
    found: defaultdict[int, list[Run]] = defaultdict(list)
    for run in runs:
        if run.comparison_id is not None:
            found[run.comparison_id].append(run)
    return found


@dataclass(frozen=True)
class _KnownComparison:
    """The spec hashes and the origin of a stored comparison, which identify its recipe."""

    id: int
    spec_hashes: Set[str]
    origin: RecipeOrigin | None


def _known_comparisons(store: Store, by_comparison: RunsByComparison) -> list[_KnownComparison]:
    origins = recipe_origins(store)
    return [
        _KnownComparison(number, {run.spec_hash for run in runs}, origins.get(number))
        for number, runs in by_comparison.items()
    ]


def _matches(variant: _Variant, known: Sequence[_KnownComparison]) -> dict[str, int]:
    """Return the comparison of each experiment that was run: one that contains all of its groups, with any seeds.

    Prefer one that was trained for this recipe, then the latest.
    """
    found = {}
    for name, wanted in variant.spec_hashes:
        candidates = [one for one in known if wanted <= one.spec_hashes]
        if candidates:
            found[name] = max(candidates, key=lambda one: (_closeness(variant.origin, one.origin), one.id)).id
    return found


def _closeness(wanted: RecipeOrigin, origin: RecipeOrigin | None) -> int:
    """Return 2 for the same version of the recipe, 1 for another version, 0 for anything else."""
    if origin is None or origin.name != wanted.name:
        return 0
    return 2 if origin.version == wanted.version else 1


def origin_of(comparison: Comparison, recipe: Recipe) -> RecipeOrigin | None:
    """Return the origin of a comparison that has all groups of one of the recipe's experiments; otherwise None."""
    hashes = set(_spec_hashes(comparison))
    fits = any(wanted <= hashes for variant in _variants(recipe) for _, wanted in variant.spec_hashes)
    return recipe.origin if fits else None


def _evaluate(
    store: Store, variant: _Variant, comparison_ids: Mapping[str, int], by_comparison: RunsByComparison
) -> RecipeResult:
    wanted = dict(variant.spec_hashes)
    experiments, metrics = [], []
    for experiment in variant.recipe.experiments:
        number = comparison_ids.get(experiment.name)
        compared = by_comparison.get(number, ()) if number is not None else ()
        # The comparison may contain other groups too.
        runs = tuple(run for run in compared if run.spec_hash in wanted[experiment.name])
        experiments.append(ExperimentRuns(experiment, number, runs))
        metrics += run_metrics(store, experiment.name, runs)
    claims = evaluate_claims(variant.recipe, metrics, on_substitute=bool(variant.instead_of))
    return RecipeResult(variant.recipe, tuple(experiments), tuple(claims), variant.instead_of)
