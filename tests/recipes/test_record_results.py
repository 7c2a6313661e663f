"""Recording the measured results in a recipe file."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.recipes import loader
from initlab_tui.recipes.record_results import record

CLAIMS = [("11.33 ± 0.00 %", "reproduced"), ("2.3 ± 0.1", "undecided"), ("3 ± 0", "not_reproduced"), ("–", "undecided")]


def document(claims: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields of a `recipe run --json` document that are recorded."""
    run = {"record": {"versions": {"python": "3.11", "keras": "3.10"}}}
    return {
        "datasets": ["digits"],
        "instead_of": ["mnist"],
        "comparisons": [{"runs": [run], "leaderboard": [{"data_fingerprint": "906f94" + "0" * 10}]}],
        "claims": [{"observed": {"text": text, "n": 3}, "verdict": verdict} for text, verdict in claims],
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "zero-symmetry.toml"
    path.write_text(loader.text("zero-symmetry"), encoding="utf-8")
    return path


def test_results_replace_the_recorded_ones_and_nothing_else(path: Path) -> None:
    before = loader.read(str(path))
    for _ in range(2):
        record(path, document(CLAIMS))
    after = loader.read(str(path))
    assert after.measured is not None
    assert [(figure.observed, figure.verdict) for figure in after.measured.figures] == CLAIMS
    assert after.measured.data == "digits [906f94] instead of mnist"
    assert after.measured.versions == "python 3.11 keras 3.10"
    assert after.measured.date == datetime.date.today()
    assert after.model_copy(update={"measured": before.measured}) == before


def test_results_of_other_claims_are_refused_and_the_file_is_unchanged(path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    with pytest.raises(InvalidInputError, match="one entry for each of the 4 claims, got 1"):
        record(path, document(CLAIMS[:1]))
    assert path.read_text(encoding="utf-8") == before
