"""The catalogue of datasets: names, shapes, sizes and sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

NPZ_PREFIX = "npz:"


@dataclass(frozen=True)
class DatasetEntry:
    """One dataset of the catalogue.

    - `shape`: of one image; `train` and `test`: the numbers of images in the published set.
    - `pixel_max`: the value that is scaled to 1; `mean_square`: E[x²] of the scaled training pixels.
    - `keras_files`: the files that Keras's downloader creates, relative to Keras's `datasets` folder.
    """

    name: str
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    pixel_max: int
    mean_square: float
    source: str
    keras_files: tuple[str, ...] = ()


# The mean squares of the last three follow from the published means and standard deviations of their pixels.
_ENTRIES = (
    DatasetEntry(
        "digits",
        (8, 8),
        10,
        1437,
        360,
        16,
        0.2345,
        "Alpaydin & Kaynak, optical recognition of handwritten digits (test part), UCI; CC BY 4.0; bundled",
    ),
    DatasetEntry(
        "mnist",
        (28, 28),
        10,
        60_000,
        10_000,
        255,
        0.1120,
        "LeCun, Cortes & Burges; CC BY-SA 3.0",
        ("mnist.npz",),
    ),
    DatasetEntry(
        "fashion_mnist",
        (28, 28),
        10,
        60_000,
        10_000,
        255,
        0.2064,
        "Xiao, Rasul & Vollgraf 2017, Zalando; MIT",
        tuple(
            f"fashion-mnist/{part}.gz"
            for part in (
                "train-labels-idx1-ubyte",
                "train-images-idx3-ubyte",
                "t10k-labels-idx1-ubyte",
                "t10k-images-idx3-ubyte",
            )
        ),
    ),
    DatasetEntry(
        "cifar10",
        (32, 32, 3),
        10,
        50_000,
        10_000,
        255,
        0.2874,
        "Krizhevsky 2009, Learning multiple layers of features from tiny images",
        ("cifar-10-batches-py-target_archive",),
    ),
    DatasetEntry(
        "cifar100",
        (32, 32, 3),
        100,
        50_000,
        10_000,
        255,
        0.3006,
        "Krizhevsky 2009, Learning multiple layers of features from tiny images",
        ("cifar-100-python-target_archive",),
    ),
)

DATASETS: Mapping[str, DatasetEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
