"""The description of recipe files names every field."""

from __future__ import annotations

import re

from initlab_tui.domain.claims import recipe_format
from initlab_tui.domain.claims.recipe import OBSERVABLES
from initlab_tui.domain.claims.recipe_toml import TABLES


def test_every_field_of_a_recipe_file_is_described() -> None:
    fields = {field for table in TABLES.values() for field in table.model_fields}
    words = set(re.findall(r"\w+", " ".join(" ".join(row) for row in recipe_format.FIELDS)))
    assert fields | set(OBSERVABLES) <= words
