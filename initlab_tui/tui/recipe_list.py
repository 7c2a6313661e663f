"""The recipes as a list to choose from: a line for each part, since a part is what the form holds."""

from __future__ import annotations

from collections.abc import Sequence

from initlab_tui.domain.claims.recipe import Experiment, Recipe


def answers(recipes: Sequence[Recipe]) -> list[tuple[str, str]]:
    """Each part's key and its line, the titles below each other."""
    names = [(recipe, _name(recipe, part)) for recipe in recipes for part in recipe.experiments]
    width = max((len(name) for _, name in names), default=0)
    return [(name, f"{name:{width}}  {recipe.title}") for recipe, name in names]


def experiment_of(recipes: Sequence[Recipe], key: str) -> tuple[Recipe, Experiment]:
    """The recipe and its part of an answer."""
    return next((recipe, part) for recipe in recipes for part in recipe.experiments if _name(recipe, part) == key)


def _name(recipe: Recipe, part: Experiment) -> str:
    return f"{recipe.name} {part.name}".rstrip()
