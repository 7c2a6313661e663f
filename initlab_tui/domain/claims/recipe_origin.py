"""The recipe that a comparison came from, and its version."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecipeOrigin:
    """The name of a recipe, and a version that changes with its content."""

    name: str
    version: str
