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


def test_the_persons_folder_comes_before_the_caches(home: Path) -> None:
    keras = touch(home / ".keras/datasets/mnist.npz")
    assert locate("mnist", None).file == keras
    own = touch(home / "data/mnist.npz")
    assert locate("mnist", home / "data").file == own
    # What is not in the person's folder is still found where Keras has it.
    assert locate("mnist", home).file == keras


def test_kerass_own_files_count_when_all_are_there(home: Path) -> None:
    *first, last = DATASETS["fashion_mnist"].keras_files
    for file in first:
        touch(home / ".keras/datasets" / file)
    found = locate("fashion_mnist", None)
    assert (found.file, found.keras_folder) == (None, None)
    touch(home / ".keras/datasets" / last)
    found = locate("fashion_mnist", None)
    assert (found.file, found.keras_folder) == (None, home / ".keras/datasets")


def test_where_to_put_what_is_missing(home: Path) -> None:
    words = where_to_put("fashion_mnist", home / "data")
    assert "fashion_mnist.npz" in words and str(home / "data") in words and "fashion-mnist/*" in words
    assert str(home / ".keras/datasets") in where_to_put("cifar10", None)
