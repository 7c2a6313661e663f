"""Checks before training: datasets in Keras's files, read by the real Keras, and memory estimates."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.services import preflight
from initlab_tui.services.dataset_facts import DatasetFacts, dataset_facts


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """A small Fashion-MNIST in the four files that Keras downloads."""
    images = {"train": np.arange(30 * 784) % 251, "t10k": np.arange(10 * 784) % 7}
    for name in DATASETS["fashion_mnist"].keras_files:
        part = "train" if "train" in name else "t10k"
        count = len(images[part]) // 784
        content = bytes(16) + images[part].astype(np.uint8).tobytes()
        if "labels" in name:
            content = bytes(8) + (np.arange(count) % 10).astype(np.uint8).tobytes()
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_bytes(gzip.compress(content))
    return tmp_path / "data"


def test_keras_files_in_the_data_folder_are_read_and_left_unchanged(
    fashion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    before = {path: path.read_bytes() for path in fashion.rglob("*") if path.is_file()}
    spec = RunSpec.checked(dataset="fashion_mnist", batch_size=10)
    cleared = preflight.check([spec], fashion, Path("/"))
    assert cleared.facts.file is not None
    with np.load(cleared.facts.file) as archive:
        assert archive["x_train"].shape == (30, 28, 28)
        assert archive["x_train"].ravel()[:5].tolist() == [0, 1, 2, 3, 4]
        assert archive["y_test"].tolist() == list(range(10))
    assert {path: path.read_bytes() for path in fashion.rglob("*") if path.is_file()} == before


def test_memory_is_estimated_from_the_network_and_the_data() -> None:
    facts = dataset_facts("digits", None)
    small, large = (preflight.run_bytes(RunSpec.checked(hidden=hidden), facts) for hidden in ("10", "30000,30000"))
    assert small < 1e9
    # 900 million weights of 4 bytes, plus their gradients and Adam's two slots.
    assert large > 4 * 4 * 9e8


def test_float_pixels_count_with_their_size_in_the_memory_estimate() -> None:
    facts = DatasetFacts(None, (28, 28), 10, 60_000, 10_000, 0.112)
    wide = DatasetFacts(None, (28, 28), 10, 60_000, 10_000, 0.112, pixel_bytes=4)
    extra = preflight.run_bytes(RunSpec(), wide) - preflight.run_bytes(RunSpec(), facts)
    assert extra == 2 * 3 * 70_000 * 784


def test_memory_is_checked_for_the_optimizer_that_needs_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [RunSpec.checked(hidden="3000,3000", optimizer=name) for name in ("adam", "sgd")]
    needed = [preflight.run_bytes(spec, dataset_facts("digits", None)) for spec in specs]
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=sum(needed) // 2))
    assert preflight.check(specs[1:], None, Path("/")).run_bytes == needed[1]
    with pytest.raises(InvalidInputError, match=r"3000,3000 relu .* of memory"):
        preflight.check(specs, None, Path("/"))
