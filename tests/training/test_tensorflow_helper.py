"""Downloads from a local server, and questions answered by the TensorFlow helper process."""

from __future__ import annotations

import functools
import gzip
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from initlab_tui.data.arrays import load
from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import tensorflow_helper


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A local server with a small Fashion-MNIST in the original four files."""
    folder = tmp_path / "server"
    folder.mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        labels, images = np.arange(count) % 10, np.arange(count * 784) % 256
        contents = {"labels-idx1": bytes(8) + bytes(labels.tolist()), "images-idx3": bytes(16) + bytes(images.tolist())}
        for name, content in contents.items():
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=folder)) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}/"
        serving.shutdown()


@pytest.fixture
def keras_home(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make Keras's downloader use the local server and an empty cache."""
    home = tmp_path / "keras"
    home.mkdir()

    def get_file(name: str, origin: str, cache_subdir: str) -> Any:
        assert origin.endswith(name)
        return keras.utils.get_file(name, server + name, cache_subdir=cache_subdir, cache_dir=home)

    monkeypatch.setattr("keras.src.datasets.fashion_mnist.get_file", get_file)
    return home


def test_a_download_shows_its_progress_and_is_kept_as_npz(
    keras_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = tmp_path / "prepared" / "fashion_mnist.npz"
    tensorflow_helper.fetch("fashion_mnist", str(prepared))
    printed = capsys.readouterr().out
    assert "Downloading data from" in printed and "━" in printed
    assert (keras_home / "datasets/fashion-mnist/train-images-idx3-ubyte.gz").is_file()
    dataset = load("fashion_mnist", prepared)
    assert dataset.x_train.shape == (60, 28, 28) and dataset.y_test.tolist() == list(range(10)) * 2
    assert [path.name for path in prepared.parent.iterdir()] == ["fashion_mnist.npz"]


def test_a_failed_download_leaves_no_partial_files(keras_home: Path, tmp_path: Path) -> None:
    (tmp_path / "server" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(Exception, match="404"):
        tensorflow_helper.fetch("fashion_mnist", str(tmp_path / "prepared" / "fashion_mnist.npz"))
    assert not (tmp_path / "prepared").exists()
    assert not (keras_home / "datasets/fashion-mnist/t10k-images-idx3-ubyte.gz").exists()


@pytest.mark.parametrize("dataset", [name for name in DATASETS if name != "digits"])
def test_without_a_network_a_download_fails_and_leaves_no_files(
    dataset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens on this port
    with pytest.raises(Exception, match="URL fetch failure"):
        tensorflow_helper.fetch(dataset, str(tmp_path / "prepared" / f"{dataset}.npz"))
    assert not (tmp_path / "prepared").exists()


@pytest.mark.parametrize(
    ("initializer", "error"),
    [
        ("import:missing_module.Draw", "No module named 'missing_module'"),
        ("import:broken_on_import.Draw", "ZeroDivisionError"),
        ("import:invalid_results.number", "must be a function, or a class that derives from keras"),
        ("import:invalid_results.shape", "returned shape (2, 2) for a kernel of shape (64, 16)"),
    ],
)
def test_a_custom_initializer_that_cannot_be_used_is_reported_with_the_reason(
    tmp_path: Path, initializer: str, error: str
) -> None:
    (tmp_path / "broken_on_import.py").write_text("1/0")
    (tmp_path / "invalid_results.py").write_text(
        "import numpy\nnumber = 3\ndef shape(_shape):\n    return numpy.zeros((2, 2))\n"
    )
    spec = RunSpec.checked(initializer=initializer, hidden="16").to_json()
    question = {"specs": [spec], "shape": [8, 8], "classes": 10, "import_folder": str(tmp_path)}
    tensorflow_helper.main([str(tmp_path / "answer"), "draw", json.dumps(question)])
    assert error in json.loads((tmp_path / "answer").read_text())["error"]
