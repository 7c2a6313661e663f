from __future__ import annotations

import pytest

from initlab_tui.domain.checkpoint_interval import DEFAULT_SECONDS, DEFAULT_TEXT, parse
from initlab_tui.domain.errors import InvalidInputError


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60.0), ("1s", 1.0), ("1.5m", 90.0), ("24h", 86_400.0), (" none ", None)]
)
def test_a_time_or_none(text: str, seconds: float | None) -> None:
    assert parse(text) == seconds


def test_the_default_of_the_command_line_is_that_of_the_lab() -> None:
    assert parse(DEFAULT_TEXT) == DEFAULT_SECONDS


@pytest.mark.parametrize("text", ["", "60", "0s", "0.5s", "25h", "-5s", "1e3s", "nans", "٣s", "5 m", "9" * 5000 + "s"])
def test_anything_else_is_refused_with_the_allowed_form(text: str) -> None:
    with pytest.raises(
        InvalidInputError, match="--checkpoint-every must be a time in s, m or h, from 1s to 24h, or none, got '"
    ) as error:
        parse(text)
    assert len(str(error.value)) < 400
