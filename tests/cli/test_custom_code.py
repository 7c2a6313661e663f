"""Recipe files from somebody else run no code that nobody has consented to."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from tests import sample_recipe
from tests.conftest import Command
from tests.database import execute

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


def test_opening_a_store_from_somebody_else_starts_none_of_its_runs(initlab: Command, folder: Path) -> None:
    path = folder / "theirs.db"
    with Store.open(path) as store:
        spec = RunSpec.checked(initializer="import:mine.draw")
        queue.enqueue(store, None, [spec, spec], Requirements("cpu", 1, None, folder))
        execute(store, "UPDATE runs SET origin = 'forged'")
    listed = initlab("runs", "--store", str(path))
    assert "2 runs in this store were not queued by you and are not trained" in listed.err
    assert "initlab-tui resume 1 2" in listed.err
    refused = initlab("resume", "--all", "--store", str(path))
    assert refused.code == 2
    assert "run 1 was not queued by you and runs code that is not part of initlab-tui: import:mine.draw" in refused.err
    assert not (folder / "imported").exists()
