from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.spec import RunSpec
from initlab_tui.services import warm_up


def comparison(**fields: object) -> Comparison:
    return Comparison.checked(base=RunSpec.checked(**fields), initializers=("he_normal", "zeros"), seeds=range(2))


@pytest.fixture(autouse=True)
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)


def test_the_first_run_of_a_comparison_is_expected_next() -> None:
    expected = warm_up.expected_run(comparison(hidden="32"), None)
    assert expected is not None
    spec, facts = expected
    assert (str(spec.initializer), spec.seed, spec.hidden) == ("he_normal", 0, (32,))
    assert facts.file is None


def test_data_on_disk_is_read(mnist_folder: Path) -> None:
    expected = warm_up.expected_run(comparison(dataset="mnist"), mnist_folder)
    assert expected is not None
    assert expected[1].file == mnist_folder.resolve() / "mnist.npz"


def test_data_that_is_not_on_disk_is_not_downloaded_ahead_of_a_run(tmp_path: Path) -> None:
    assert warm_up.expected_run(comparison(dataset="cifar10"), tmp_path) is None


def test_data_that_cannot_be_read_is_left_to_the_launch(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"not an archive")
    assert warm_up.expected_run(comparison(dataset="mnist"), tmp_path) is None


def test_a_network_that_takes_much_memory_is_not_compiled_ahead_of_a_run() -> None:
    width = int((psutil.virtual_memory().available / 4 / 5) ** 0.5)  # five copies of width² numbers take all of it
    assert warm_up.expected_run(comparison(hidden=f"{width},{width}"), None) is None


def test_a_batch_that_is_larger_than_the_data_is_left_to_the_launch() -> None:
    assert warm_up.expected_run(comparison(batch_size=2000), None) is None
