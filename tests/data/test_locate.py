from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.data.locate import locate, where_to_put
from initlab_tui.domain.catalog.datasets import DATASETS


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return tmp_path


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_data_folder_comes_before_the_caches(home: Path) -> None:
    keras = touch(home / ".keras/datasets/mnist.npz")
    assert locate("mnist", None).file == keras
    in_data_folder = touch(home / "data/mnist.npz")
    assert locate("mnist", home / "data").file == in_data_folder
    # A dataset that is not in the data folder is still found in Keras's cache.
    assert locate("mnist", home).file == keras


def test_keras_files_are_used_only_if_all_are_there(home: Path) -> None:
    *first, last = DATASETS["fashion_mnist"].keras_files
    for file in first:
        touch(home / ".keras/datasets" / file)
    found = locate("fashion_mnist", None)
    assert (found.file, found.keras_folder) == (None, None)
    touch(home / ".keras/datasets" / last)
    found = locate("fashion_mnist", None)
    assert (found.file, found.keras_folder) == (None, home / ".keras/datasets")


def test_the_advice_for_a_missing_dataset_names_files_and_folders(home: Path) -> None:
    advice = where_to_put("fashion_mnist", home / "data")
    assert "fashion_mnist.npz" in advice and str(home / "data") in advice and "fashion-mnist/*" in advice
    assert str(home / ".keras/datasets") in where_to_put("cifar10", None)
