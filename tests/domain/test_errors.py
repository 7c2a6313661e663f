from __future__ import annotations

import pytest

from initlab_tui.domain.claims.recipe_toml import parse
from initlab_tui.domain.errors import MAX_QUOTED, InvalidInputError, quoted, shown
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from tests import sample_recipe

LONG = "x" * 100_000


def test_short_values_are_quoted_whole() -> None:
    assert (quoted("rleu"), quoted(3), shown("rleu")) == ("'rleu'", "3", "rleu")


@pytest.mark.parametrize(
    "fields",
    [
        {"activation": LONG},
        {"dataset": LONG},
        {"hidden": LONG},
        {"learning_rate": LONG},
        {"epochs": LONG},
        {"epochs": 10**5000},
        {"initializer": LONG},
        {"initializer": f"he_normal:{LONG}=1"},
        {"initializer": f"random_normal:stddev={LONG}"},
        {"initializer": f"import:{LONG}"},
    ],
)
def test_messages_quote_only_the_beginning_of_a_long_value(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        RunSpec.checked(**fields)
    assert LONG[: MAX_QUOTED + 1] not in str(caught.value)
    assert len(str(caught.value)) < 1500


def test_a_long_custom_initializer_is_shortened_too() -> None:
    assert len(shown(Initializer.parse(f"import:{LONG}.draw"))) < 2 * MAX_QUOTED


@pytest.mark.parametrize("value", ["9" * 5000, f'"{LONG}"'])
def test_a_recipe_with_an_endless_value_is_refused_in_a_few_words(value: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse(sample_recipe.TEXT.replace("seeds = 3", f"seeds = {value}"), "evil", "evil.toml")
    assert "evil.toml" in str(caught.value)
    assert len(str(caught.value)) < 1000
