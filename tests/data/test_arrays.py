from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initlab_tui.data.arrays import BUNDLED_DIGITS, load
from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.errors import InvalidInputError

Arrays = dict[str, Any]


def valid_arrays() -> Arrays:
    images = np.arange(50 * 16, dtype=np.uint8).reshape(50, 4, 4)
    labels = np.arange(50) % 5
    return {"x_train": images, "y_train": labels, "x_test": images[:10], "y_test": labels[:10]}


def test_the_split_of_the_digits_never_changes() -> None:
    digits = load("digits", None)
    assert digits.x_train.shape == (1437, 8, 8)
    assert digits.x_test.shape == (360, 8, 8)
    assert digits.x_train.max() * digits.pixel_scale == 1.0
    assert digits.fingerprint() == "6eb4295934048849"
    assert digits.mean_square() == pytest.approx(DATASETS["digits"].mean_square, rel=1e-3)
    assert np.bincount(digits.y_test).min() > 25


def test_the_bundled_digits_equal_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits  # takes a second to import

    theirs = load_digits()
    with np.load(BUNDLED_DIGITS, allow_pickle=False) as ours:
        assert ours["images"].dtype == np.uint8
        assert np.array_equal(ours["images"], theirs.images)
        assert np.array_equal(ours["target"], theirs.target)


def test_an_npz_file_is_read_unchanged(tmp_path: Path) -> None:
    arrays = valid_arrays() | {"y_train": (np.arange(50) % 5).reshape(50, 1)}
    np.savez(tmp_path / "custom.npz", **arrays)
    custom = load("npz:custom", tmp_path / "custom.npz")
    assert np.array_equal(custom.x_train, arrays["x_train"])
    assert custom.y_train.tolist() == (np.arange(50) % 5).tolist()
    assert (custom.classes, custom.shape, custom.pixel_scale) == (5, (4, 4), 1 / 255)


def test_float_pixels_are_not_rescaled(tmp_path: Path) -> None:
    arrays = valid_arrays()
    arrays |= {key: arrays[key] / 7.0 for key in ("x_train", "x_test")}
    np.savez(tmp_path / "custom.npz", **arrays)
    custom = load("npz:custom", tmp_path / "custom.npz")
    np.testing.assert_allclose(custom.x_train, arrays["x_train"], rtol=1e-6)
    assert custom.pixel_scale == 1.0


def test_real_mnist_has_the_published_class_counts(mnist_folder: Path) -> None:
    mnist = load("mnist", mnist_folder / "mnist.npz")
    assert mnist.mean_square() == pytest.approx(DATASETS["mnist"].mean_square, rel=1e-3)
    assert np.bincount(mnist.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert mnist.x_train.max() * mnist.pixel_scale == 1.0
    assert mnist.x_test.max() * mnist.pixel_scale == 1.0


def test_the_same_data_in_another_file_has_the_same_fingerprint(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **valid_arrays())
    np.savez_compressed(tmp_path / "b.npz", **valid_arrays())
    changed = valid_arrays()
    changed["x_test"] = changed["x_test"].copy()
    changed["x_test"][0, 0, 0] += 1
    np.savez(tmp_path / "c.npz", **changed)
    prints = [load("npz:x", tmp_path / name).fingerprint() for name in ("a.npz", "b.npz", "c.npz")]
    assert prints[0] == prints[1] != prints[2]


def _with_nan(arrays: Arrays) -> Arrays:
    images = arrays["x_train"].astype(np.float32)
    images[3, 1, 1] = np.nan
    return {"x_train": images, "x_test": arrays["x_test"].astype(np.float32)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: {"y_train": a["y_train"][:40]}, "50 images in x_train but 40 labels in y_train"),
        (lambda a: {"x_test": np.zeros((10, 5, 5), np.uint8)}, "(4, 4) in x_train but (5, 5) in x_test"),
        (lambda a: {"x_test": a["x_test"] / 2}, "both must be integers or both floats"),
        (lambda a: {"x_train": a["x_train"].astype("U3")}, "dtype <U3: allowed are"),
        (lambda a: {"x_train": a["x_train"].astype(object)}, "Object arrays cannot be loaded"),
        (lambda a: {"x_train": a["x_train"].astype(int) + 1}, "1 to 256 in x_train: allowed are 0 to 255"),
        (lambda a: {"x_train": a["x_train"].reshape(-1)}, "x_train of shape (800,)"),
        (lambda a: {"x_train": a["x_train"][:0], "y_train": a["y_train"][:0]}, "shape (0, 4, 4)"),
        (_with_nan, "1 pixels in x_train that are NaN"),
        (lambda a: {"y_test": a["y_test"] - 1}, "label -1 in y_test"),
        (lambda a: {"y_test": a["y_test"] + 7}, "label 11 in y_test"),
        (lambda a: {"y_train": a["y_train"] * 1.0}, "dtype float64: labels must be whole numbers"),
        (lambda a: {"y_train": a["y_train"] * 0, "y_test": a["y_test"] * 0}, "labels must be classes 0, 1, 2"),
        (lambda a: {"y_train": a["y_train"] + 1, "y_test": a["y_test"] + 1}, "no class 0: labels must be classes"),
        (lambda a: {key: a[key] * 1e300 for key in ("x_train", "x_test")}, "infinite in float32"),
        (lambda a: {"y_train": a["y_train"] * 10**8}, "labels must be classes"),
    ],
)
def test_an_invalid_npz_file_is_refused_with_the_reason(
    tmp_path: Path, change: Callable[[Arrays], Arrays], words: str
) -> None:
    file = tmp_path / "custom.npz"
    np.savez(file, **valid_arrays() | change(valid_arrays()))
    with pytest.raises(InvalidInputError) as caught:
        load("npz:custom", file)
    assert str(file) in str(caught.value)
    assert words in str(caught.value)


def test_a_known_dataset_with_other_classes_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", **valid_arrays() | {"y_train": np.full(50, 10)})
    with pytest.raises(InvalidInputError, match="mnist has classes 0 to 9"):
        load("mnist", tmp_path / "mnist.npz")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda file: None, "does not exist"),
        (lambda file: file.mkdir(), "is not an npz archive"),
        (lambda file: file.write_text("hello"), "is not an npz archive"),
        (lambda file: file.write_bytes(b""), "is not an npz archive"),
        (lambda file: np.save(file.open("wb"), np.zeros(3)), "is not an npz archive"),
        (lambda file: np.savez(file, a=np.zeros(3)), "lacks x_train, y_train, x_test, y_test: it has a"),
    ],
)
def test_a_file_that_is_not_an_npz_archive_is_refused(
    tmp_path: Path, write: Callable[[Path], None], words: str
) -> None:
    file = tmp_path / "custom.npz"
    write(file)
    with pytest.raises(InvalidInputError) as caught:
        load("npz:custom", file)
    assert words in str(caught.value)


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_npz_is_refused(tmp_path: Path, kept: float) -> None:
    file = tmp_path / "custom.npz"
    np.savez_compressed(file, **valid_arrays())
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InvalidInputError, match="x_train"):
        load("npz:custom", file)


def test_an_npz_with_flipped_bits_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "custom.npz"
    np.savez(file, **valid_arrays())
    content = bytearray(file.read_bytes())
    content[300] ^= 0xFF  # inside x_train: the archive's checksum fails
    file.write_bytes(content)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        load("npz:custom", file)


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """The header of a saved array, with nothing after it."""
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": dtype, "fortran_order": False, "shape": shape})
    return text.getvalue()


def test_arrays_that_do_not_fit_into_memory_are_refused_by_their_headers(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "big.npz", "w") as archive:
        archive.writestr("x_train.npy", header((10**7, 1000, 1000)))
        for key in ("y_train", "x_test", "y_test"):
            archive.writestr(f"{key}.npy", header((10,)))
    with pytest.raises(InvalidInputError, match=r"has arrays of 10,000\.0 GB and would need twice that"):
        load("npz:big", tmp_path / "big.npz")


@pytest.mark.parametrize("shape", [(-1, 4), (2**70, 4)])
def test_a_header_that_lies_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        for key in valid_arrays():
            archive.writestr(f"{key}.npy", header(shape))
    with pytest.raises(InvalidInputError, match=r"lie\.npz"):
        load("npz:lie", tmp_path / "lie.npz")


def test_pipes_and_devices_are_refused_without_reading_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    (tmp_path / "link.npz").symlink_to("/dev/zero")
    for name in ("pipe.npz", "link.npz"):
        with pytest.raises(InvalidInputError, match="is not a regular file"):
            load("npz:it", tmp_path / name)
