"""The packaged recipes are complete, and files that cannot be recipes are refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.recipes import loader


def test_every_packaged_file_is_listed() -> None:
    folder = Path(loader.__file__).parent
    assert {path.stem for path in folder.glob("*.toml")} == set(loader.PACKAGED)
    assert [recipe.name for recipe in loader.packaged()] == list(loader.PACKAGED)


@pytest.mark.parametrize("name", loader.PACKAGED)
def test_every_packaged_recipe_records_a_result_for_each_claim(name: str) -> None:
    recipe = loader.read(name)
    assert recipe.measured is not None
    assert len(recipe.measured.figures) == len(recipe.claims)


def test_a_recipe_has_the_name_of_its_file_and_absolute_dataset_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = loader.text("zero-symmetry").replace('dataset = "mnist"', 'dataset = "npz:custom.npz"')
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    recipe = loader.read("mine.toml")
    assert recipe.name == "mine"
    assert recipe.datasets == (f"npz:{tmp_path / 'custom.npz'}",)


def test_a_file_that_is_too_large_to_be_a_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    path.write_text("#" * (loader.MAX_BYTES + 1))
    with pytest.raises(InvalidInputError, match="is larger than 1,000,000 bytes"):
        loader.read(str(path))


def test_a_folder_or_a_pipe_is_refused_without_reading_it(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    os.mkfifo(tmp_path / "pipe.toml")
    for name in ("folder.toml", "pipe.toml"):
        with pytest.raises(InvalidInputError, match=f"{name} is not a regular file"):
            loader.read(str(tmp_path / name))
