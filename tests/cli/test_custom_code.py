"""Recipe files from somebody else run no code that nobody has consented to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import sample_recipe
from tests.conftest import Command

DRAW = """
from pathlib import Path
import numpy
Path(__file__).with_name("imported").touch()

def draw(shape):
    return numpy.ones(shape)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(DRAW)
    return tmp_path


def recipe(folder: Path, initializer: str) -> str:
    """Write a recipe file that trains `initializer`; returns its name."""
    text = sample_recipe.TEXT.replace('"zeros", "he_normal"', f'"zeros", "he_normal", "{initializer}"')
    (folder / "theirs.toml").write_text(text)
    return "theirs.toml"


def test_a_recipe_that_starts_a_program_is_refused_even_with_consent(initlab: Command, folder: Path) -> None:
    evil = recipe(folder, "import:subprocess.Popen:args=touch PWNED,shell=True")
    for consent in ([], ["--allow-import"], ["--allow-package", "subprocess"]):
        result = initlab("recipe", "run", evil, *consent)
        assert (result.code, result.out) == (2, "")
        assert "'subprocess' is a module of Python" in result.err
    assert not (folder / "PWNED").exists()
    assert not (folder / ".local").exists()  # nothing was stored


def test_custom_code_of_a_recipe_needs_consent_and_is_not_imported_without(initlab: Command, folder: Path) -> None:
    result = initlab("recipe", "run", recipe(folder, "import:mine.draw"))
    assert result.code == 2
    assert "recipe theirs runs code that is not part of initlab-tui: import:mine.draw" in result.err
    assert f"from {folder / 'mine.py'}: read it, and allow it with --allow-import if you trust it" in result.err
    assert not (folder / "imported").exists()


def test_code_of_an_installed_package_needs_consent_by_name(initlab: Command, folder: Path) -> None:
    theirs = recipe(folder, "import:numpy.zeros")
    for consent in ([], ["--allow-import"], ["--allow-package", "scipy"]):
        result = initlab("recipe", "run", theirs, *consent)
        assert result.code == 2
        assert "allow it with --allow-package numpy if you trust it" in result.err


def test_a_recipe_with_consent_trains_its_custom_code(warm: Command, folder: Path) -> None:
    result = warm("recipe", "run", recipe(folder, "import:mine.draw"), "--allow-import", "--seeds", "1", "--json")
    assert result.code == 0, result.err
    assert {row["initializer"] for row in result.document["leaderboard"]} == {"zeros", "he_normal", "import:mine.draw"}
    assert (folder / "imported").exists()
