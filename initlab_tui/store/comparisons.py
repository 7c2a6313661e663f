"""The comparisons in the store, and the recipes that they came from."""

from __future__ import annotations

import sqlite3
import time

from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import quoted, shown
from initlab_tui.store import rows, sql
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
    """Return the newest comparison that can be read, and the device that its runs were queued for."""
    query = (
        "SELECT comparisons.id, comparison, device FROM comparisons JOIN runs ON runs.comparison_id = comparisons.id "
        "ORDER BY comparisons.id DESC"
    )
    unreadable = None
    for number, text, device in sql.connection(store).execute(query):
        if number == unreadable or not rows.DEVICE.allows(device):
            continue
        try:
            return _comparison(text), device
        except ValueError:
            unreadable = number  # there may be thousands of runs of it
    return None


def list_unreadable(store: Store) -> list[str]:
    """Return, for each comparison that cannot be read or has an invalid recipe, which it is and why."""
    query = "SELECT id, comparison, recipe, recipe_version FROM comparisons ORDER BY id"
    found = []
    for number, text, *origin in sql.connection(store).execute(query):
        try:
            _comparison(text)
            problem = rows.problem(_ORIGIN, origin) if origin != [None, None] else ""
        except ValueError as error:
            problem = str(error)
        if problem:
            found.append(f"comparison {shown(number)}: {shown(problem)}")
    return found


def _comparison(text: object) -> Comparison:
    if not isinstance(text, str):
        raise ValueError(f"comparison must be UTF-8 text, got {quoted(text)}")
    return Comparison.from_json(text)


_ORIGIN = {"recipe": rows.LINE, "recipe_version": rows.LINE}


def read_comparison(store: Store, comparison_id: int) -> Comparison | None:
    """Return a comparison by its id; None if there is none."""
    query = "SELECT comparison FROM comparisons WHERE id = ?"
    row = sql.connection(store).execute(query, (comparison_id,)).fetchone()
    return Comparison.from_json(row[0]) if row else None


def recipe_origin(store: Store, comparison_id: int) -> RecipeOrigin | None:
    """Return the recipe that a comparison came from; None if there is none, or if it was not recorded yet."""
    return recipe_origins(store).get(comparison_id)


def recipe_origins(store: Store) -> dict[int, RecipeOrigin]:
    """Return the recipes by the id of the comparison, without comparisons that did not come from a valid one."""
    query = "SELECT id, recipe, recipe_version FROM comparisons WHERE recipe IS NOT NULL"
    return {
        number: RecipeOrigin(*origin)
        for number, *origin in sql.connection(store).execute(query)
        if not rows.problem(_ORIGIN, origin)
    }
