"""The recipes as a list to choose from, with a line for each experiment."""

from __future__ import annotations

from collections.abc import Sequence

from initlab_tui.domain.claims.recipe import Experiment, Recipe


def answers(recipes: Sequence[Recipe]) -> list[tuple[str, str]]:
    """Return key and line of each experiment; the titles are aligned."""
    names = [(recipe, _name(recipe, experiment)) for recipe in recipes for experiment in recipe.experiments]
    width = max((len(name) for _, name in names), default=0)
    return [(name, f"{name:{width}}  {recipe.title}") for recipe, name in names]


def experiment_of(recipes: Sequence[Recipe], key: str) -> tuple[Recipe, Experiment]:
    """Return the recipe and the experiment of a chosen key."""
    experiments = ((recipe, experiment) for recipe in recipes for experiment in recipe.experiments)
    return next(pair for pair in experiments if _name(*pair) == key)


def _name(recipe: Recipe, experiment: Experiment) -> str:
    return f"{recipe.name} {experiment.name}".rstrip()
