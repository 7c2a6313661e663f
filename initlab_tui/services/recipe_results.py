"""Which of a store's runs are a recipe's, and what comes of its claims by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache

from initlab_tui.domain.claims.evaluation import ClaimResult, evaluate_claims
from initlab_tui.domain.claims.recipe import Experiment, Recipe
from initlab_tui.recipes import loader
from initlab_tui.services.run_metrics import observations
from initlab_tui.store.database import Run, Store

Compared = Mapping[int, Sequence[Run]]


@dataclass(frozen=True)
class RecipeResult:
    """A recipe of which runs were found, and its claims judged by them.

    `comparisons` are those that the runs belong to, oldest first; with `on_substitute` the dataset is not the
    recipe's own.
    """

    recipe: Recipe
    comparisons: tuple[int, ...]
    on_substitute: bool
    judged: tuple[ClaimResult, ...]


@dataclass(frozen=True)
class MatchedRecipe:
    """A packaged recipe on its own dataset or on the one that stands in, and the groups of each of its parts."""

    recipe: Recipe
    on_substitute: bool
    groups: tuple[tuple[str, frozenset[str]], ...]


def claimed(store: Store, runs: Iterable[Run], comparison_id: int | None = None) -> list[RecipeResult]:
    """The packaged recipes that were trained, what was trained last first; where given, those of one comparison.

    A part was trained where a comparison has all of its groups, over whatever seeds; the last such comparison counts.
    """
    by_comparison: defaultdict[int, list[Run]] = defaultdict(list)
    for run in runs:
        if run.comparison_id is not None:
            by_comparison[run.comparison_id].append(run)
    compared = {number: {run.spec_hash for run in of_one} for number, of_one in by_comparison.items()}
    found = [(served, _found(served, compared)) for served in groups()]
    wanted = [
        (served, ids) for served, ids in found if ids and (comparison_id is None or comparison_id in ids.values())
    ]
    wanted.sort(key=lambda pair: max(pair[1].values()), reverse=True)
    return [_judged(store, served, ids, by_comparison) for served, ids in wanted]


@cache
def groups() -> tuple[MatchedRecipe, ...]:
    """The packaged recipes with what tells their runs from others, read once."""
    return tuple(served for recipe in loader.packaged() for served in _served(recipe))


def _served(recipe: Recipe) -> Iterator[MatchedRecipe]:
    yield MatchedRecipe(recipe, False, _groups(recipe))
    other = recipe.substitute_dataset
    if other:
        moved = recipe.on(lambda _: other)
        yield MatchedRecipe(moved, True, _groups(moved))


def _groups(recipe: Recipe) -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((experiment.name, frozenset(_spec_hashes(experiment))) for experiment in recipe.experiments)


def _spec_hashes(experiment: Experiment) -> Iterator[str]:
    """Seeds make no difference to it."""
    return (spec.spec_hash for spec in experiment.model_copy(update={"seeds": experiment.seeds[:1]}).runs())


def _found(served: MatchedRecipe, compared: Mapping[int, Set[str]]) -> dict[str, int]:
    """The comparison that each part was last trained in, of those parts that were."""
    found = {}
    for name, wanted in served.groups:
        numbers = [number for number, spec_hashes in compared.items() if wanted <= spec_hashes]
        if numbers:
            found[name] = max(numbers)
    return found


def _judged(store: Store, served: MatchedRecipe, ids: Mapping[str, int], compared: Compared) -> RecipeResult:
    seen = []
    for name, wanted in served.groups:
        # What else was compared with the part is none of its claims' business.
        runs = [run for run in compared.get(ids.get(name, -1), ()) if run.spec_hash in wanted]
        seen += observations(store, name, runs)
    judged = evaluate_claims(served.recipe, seen, on_substitute=served.on_substitute)
    return RecipeResult(served.recipe, tuple(sorted(set(ids.values()))), served.on_substitute, tuple(judged))
