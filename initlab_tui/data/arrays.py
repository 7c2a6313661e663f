"""Reads datasets as arrays and checks them; pixels are not scaled yet."""

from __future__ import annotations

import hashlib
import math
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil

from initlab_tui.domain.catalog.datasets import DATASETS, NPZ_PREFIX
from initlab_tui.domain.errors import InvalidInputError

KEYS = ("x_train", "y_train", "x_test", "y_test")
BUNDLED_DIGITS = Path(__file__).with_name("digits.npz")  # digits-source.txt names its source and licence
DIGITS_TEST_IMAGES = 360

# Exceptions seen when reading damaged or encrypted archives, and files of other formats.
UNREADABLE = (
    *(OSError, EOFError, ValueError, KeyError, MemoryError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Dataset:
    """Images and labels of one dataset.

    `x_train` and `x_test` have shape (n, *shape), uint8 or float32; `y_train` and `y_test` have shape (n,), int32 from
    0 to classes - 1. The network's input is a pixel times `pixel_scale`. The constant is the same for both sets and is
    not computed from either of them.
    """

    name: str
    x_train: Array = field(repr=False)
    y_train: Array = field(repr=False)
    x_test: Array = field(repr=False)
    y_test: Array = field(repr=False)
    pixel_scale: float
    classes: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image."""
        return tuple(self.x_train.shape[1:])

    def mean_square(self) -> float:
        """Return E[x²] of the scaled training images."""
        # Over all images, because datasets are not in random order (MNIST alternates groups of writers), and in parts
        # to save memory.
        parts = (self.x_train[first : first + 1000] for first in range(0, len(self.x_train), 1000))
        total = sum(float(np.square(part, dtype=np.float32).sum(dtype=np.float64)) for part in parts)
        return total * self.pixel_scale**2 / self.x_train.size

    def fingerprint(self) -> str:
        """Return 16 hex digits of the SHA-256 of the four arrays; it does not depend on the file they are stored in."""
        digest = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


def load(name: str, file: Path | None) -> Dataset:
    """Read a dataset of the catalogue or a custom one (`npz:`) from `file`, which is None only for digits.

    Raises:
        InvalidInputError: if the file is missing, damaged or does not have the expected arrays.
    """
    return _digits() if file is None else _checked(name, _read(file), file)


def _digits() -> Dataset:
    with np.load(BUNDLED_DIGITS, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["target"].astype(np.int32)
    # RandomState's stream, unlike Generator's, is frozen across NumPy versions, so the split is the same everywhere.
    order = np.random.RandomState(0).permutation(len(labels))
    images, labels = images[order], labels[order]
    train, test = slice(None, -DIGITS_TEST_IMAGES), slice(-DIGITS_TEST_IMAGES, None)
    scale = 1 / DATASETS["digits"].pixel_max
    return Dataset("digits", images[train], labels[train], images[test], labels[test], scale, 10)


def _read(file: Path) -> dict[str, Array]:
    try:
        status = file.stat() if file.exists() else None
        if status is None:
            raise _bad(file, f"does not exist; it must be an npz archive with {', '.join(KEYS)}")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # reading a pipe waits for its writer
            raise _bad(file, "is not a regular file")
        if file.is_dir() or not zipfile.is_zipfile(file):
            raise _bad(file, f"is not an npz archive, or is damaged; it must be an npz archive with {', '.join(KEYS)}")
        with zipfile.ZipFile(file) as members:
            present = {key for key in KEYS if f"{key}.npy" in members.namelist()}
            size = sum(_size(members, key) for key in present)
        with np.load(file, allow_pickle=False) as archive:
            missing = [key for key in KEYS if key not in archive.files]
            if missing:
                raise _bad(file, f"lacks {', '.join(missing)}: it has {', '.join(archive.files) or 'nothing'}")
            _refuse_too_large(size, file)
            return {key: archive[key] for key in KEYS}
    except InvalidInputError:
        raise
    except UNREADABLE as error:
        raise _bad(
            file, f"cannot be read as an npz archive with {', '.join(KEYS)}: {type(error).__name__}: {error}"
        ) from None


def _size(archive: zipfile.ZipFile, key: str) -> int:
    """Return the size of an array in bytes, from its header."""
    with archive.open(f"{key}.npy") as opened:
        version = np.lib.format.read_magic(opened)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(opened)
    return math.prod(shape) * dtype.itemsize


def _refuse_too_large(size: int, file: Path) -> None:
    """Refuse arrays that do not fit into memory before they are read.

    A compressed archive of a few megabytes can hold arrays of many gigabytes.
    """
    free = psutil.virtual_memory().available
    # Images and labels may be converted, which needs as much again.
    if 2 * size > free:
        raise _bad(
            file,
            f"has arrays of {size / 1e9:,.1f} GB and would need twice that; {free / 1e9:,.1f} GB of memory are free",
        )


def _bad(file: Path, problem: str) -> InvalidInputError:
    return InvalidInputError.of("dataset", f"{file} {problem}")


def _checked(name: str, arrays: dict[str, Array], file: Path) -> Dataset:
    x_train, y_train, x_test, y_test = (arrays[key] for key in KEYS)
    images, labels = {}, {}
    for part, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        images[part] = _images(f"x_{part}", x, file)
        labels[part] = _labels(f"y_{part}", y, file)
        if len(x) != len(labels[part]):
            raise _bad(file, f"has {len(x)} images in x_{part} but {len(labels[part])} labels in y_{part}")
    if x_train.shape[1:] != x_test.shape[1:]:
        raise _bad(file, f"has images of shape {x_train.shape[1:]} in x_train but {x_test.shape[1:]} in x_test")
    if images["train"].dtype != images["test"].dtype:
        given = f"has {x_train.dtype} in x_train but {x_test.dtype} in x_test"
        raise _bad(file, f"{given}: both must be integers or both floats")
    classes = _classes(name, labels["train"], labels["test"], file)
    scale = 1 / 255 if images["train"].dtype == np.uint8 else 1.0
    return Dataset(name, images["train"], labels["train"], images["test"], labels["test"], scale, classes)


def _images(key: str, images: Array, file: Path) -> Array:
    if images.ndim < 2 or 0 in images.shape:
        given = f"has {key} of shape {images.shape}"
        raise _bad(file, f"{given}: it must be (images, height, width, ...), with no axis of length 0")
    if np.issubdtype(images.dtype, np.floating):
        with np.errstate(over="ignore"):  # values too large for float32 become infinite and are counted below
            images = images.astype(np.float32, copy=False)
        broken = int(images.size - np.isfinite(images).sum())
        if broken:
            raise _bad(file, f"has {broken} pixels in {key} that are NaN or infinite in float32; all must be finite")
        return images
    if not np.issubdtype(images.dtype, np.integer):
        raise _bad(file, f"has {key} of dtype {images.dtype}: allowed are whole numbers from 0 to 255, and floats")
    if images.min() < 0 or images.max() > 255:
        raise _bad(file, f"has integer pixels from {images.min()} to {images.max()} in {key}: allowed are 0 to 255")
    return images.astype(np.uint8, copy=False)


def _labels(key: str, labels: Array, file: Path) -> Array:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        given = f"has {key} of shape {labels.shape} and dtype {labels.dtype}"
        raise _bad(file, f"{given}: labels must be whole numbers, one for each image")
    if labels.min(initial=0) < 0:
        raise _bad(file, f"has a label {labels.min()} in {key}: labels must be >= 0")
    if labels.max(initial=0) > np.iinfo(np.int32).max:
        raise _bad(file, f"has a label {labels.max()} in {key}: labels must be class numbers 0, 1, 2, ...")
    return labels.astype(np.int32, copy=False)


def _classes(name: str, train: Array, test: Array, file: Path) -> int:
    known = DATASETS.get(name)
    classes = known.classes if known else int(train.max()) + 1
    if not known and not 2 <= classes <= len(train):
        raise _bad(file, f"has labels up to {classes - 1} for {len(train)} images: labels must be classes 0, 1, 2, ...")
    if not known and train.min() > 0:
        given = f"has labels {train.min()} to {classes - 1} in y_train and no class 0"
        raise _bad(file, f"{given}: labels must be classes 0, 1, 2, ...")
    for key, labels in (("y_train", train), ("y_test", test)):
        if labels.max() >= classes:
            raise _bad(file, f"has a label {labels.max()} in {key}, but {name} has classes 0 to {classes - 1}")
    return classes


def custom_file(name: str) -> Path | None:
    """Return the file of a dataset written `npz:FILE`, or None for one of the catalogue."""
    return Path(name.removeprefix(NPZ_PREFIX)) if name.startswith(NPZ_PREFIX) else None
