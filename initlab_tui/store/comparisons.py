"""The comparisons in the store, and the recipes that they came from."""

from __future__ import annotations

import sqlite3
import time

from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.store import sql
from initlab_tui.store.database import Store


def insert_comparison(connection: sqlite3.Connection, comparison: Comparison, recipe: RecipeOrigin | None) -> int:
    """Insert a comparison in the caller's transaction, and return its id."""
    values = {
        "created": time.time(),
        "comparison": comparison.to_json(),
        "recipe": recipe.name if recipe else None,
        "recipe_version": recipe.version if recipe else None,
    }
    return sql.insert(connection, "comparisons", values)


def last_comparison(store: Store) -> tuple[Comparison, str] | None:
    """Return the newest comparison, and the device that its runs were queued for."""
    query = (
        "SELECT comparison, device FROM comparisons JOIN runs ON runs.comparison_id = comparisons.id "
        "ORDER BY comparisons.id DESC LIMIT 1"
    )
    row = sql.connection(store).execute(query).fetchone()
    return (Comparison.from_json(row[0]), str(row[1])) if row else None


def read_comparison(store: Store, comparison_id: int) -> Comparison | None:
    """Return a comparison by its id; None if there is none."""
    query = "SELECT comparison FROM comparisons WHERE id = ?"
    row = sql.connection(store).execute(query, (comparison_id,)).fetchone()
    return Comparison.from_json(row[0]) if row else None


def recipe_origin(store: Store, comparison_id: int) -> RecipeOrigin | None:
    """Return the recipe that a comparison came from; None if there is none, or if it was not recorded yet."""
    return recipe_origins(store).get(comparison_id)


def recipe_origins(store: Store) -> dict[int, RecipeOrigin]:
    """Return the recipes by the id of the comparison, without comparisons that did not come from one."""
    query = "SELECT id, recipe, recipe_version FROM comparisons WHERE recipe IS NOT NULL"
    return {number: RecipeOrigin(*origin) for number, *origin in sql.connection(store).execute(query)}
