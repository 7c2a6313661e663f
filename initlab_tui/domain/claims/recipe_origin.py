"""The recipe, and the version of it, that a comparison came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecipeOrigin:
    """The name of a recipe, and a version that changes with its content, such as a hash of it."""

    name: str
    version: str
