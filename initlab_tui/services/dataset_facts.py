"""Finds a dataset, downloads it if needed, and reads the facts that are needed before training."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from initlab_tui.domain.catalog.datasets import DATASETS, DatasetEntry
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution.tensorflow_process import ask


@dataclass(frozen=True)
class DatasetFacts:
    """The file, shape and size of a dataset; `file` is None for a bundled one.

    `mean_square` is E[x²] of the scaled training pixels.
    """

    file: Path | None
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    mean_square: float
    pixel_bytes: int = 1

    @property
    def data_bytes(self) -> int:
        """The memory of all images, in bytes."""
        return (self.train + self.test) * math.prod(self.shape) * self.pixel_bytes


def facts_of(entry: DatasetEntry) -> DatasetFacts:
    """Return the facts of a dataset that are in the catalogue, without reading the data."""
    return DatasetFacts(None, entry.shape, entry.classes, entry.train, entry.test, entry.mean_square)


def dataset_facts(name: str, data_dir: Path | None, *, quiet: bool = False) -> DatasetFacts:
    """Find and check a dataset, downloading it if needed; progress goes to stderr unless `quiet`.

    A file is read again only after it has changed.

    Raises:
        InvalidInputError: if the file is damaged, or the dataset is neither found nor downloaded.
    """
    if name == "digits":
        return facts_of(DATASETS[name])
    from initlab_tui.data.arrays import custom_file  # imports NumPy, which is not needed to refuse an invalid spec

    file = custom_file(name) or _catalogue_file(name, data_dir, quiet)
    try:
        status = file.stat()
    except OSError:  # reported by the loader
        return _read(name, file, 0, 0)
    return _read(name, file, status.st_mtime_ns, status.st_size)


def is_on_disk(name: str, data_dir: Path | None) -> bool:
    """Return whether the facts of a dataset can be read without downloading it or starting TensorFlow."""
    from initlab_tui.data.arrays import custom_file
    from initlab_tui.data.locate import locate

    return name == "digits" or bool(custom_file(name)) or locate(name, data_dir).file is not None


@lru_cache(maxsize=8)
def _read(name: str, file: Path, modified: int, size: int) -> DatasetFacts:  # noqa: ARG001 - part of the cache's key
    from initlab_tui.data.arrays import load

    dataset = load(name, file)
    return DatasetFacts(
        file,
        dataset.shape,
        dataset.classes,
        len(dataset.y_train),
        len(dataset.y_test),
        dataset.mean_square(),
        dataset.x_train.itemsize,
    )


def _catalogue_file(name: str, data_dir: Path | None, quiet: bool) -> Path:
    from initlab_tui.data.locate import locate, where_to_put

    found = locate(name, data_dir)
    if found.file:
        return found.file
    with tempfile.TemporaryDirectory() as home:
        environment = dict(os.environ)
        if found.keras_folder:
            # Keras deletes cached files with an unexpected checksum, so give it links to protect the originals.
            _link(found.keras_folder, DATASETS[name].keras_files, Path(home) / "datasets")
            environment["KERAS_HOME"] = home
        answer = ask("fetch", {"name": name, "into": str(found.prepared)}, environment, progress=not quiet)
    if "error" in answer:
        raise InvalidInputError.of(
            "dataset",
            f"dataset {name} was not found and could not be downloaded ({answer['error']}): "
            f"{where_to_put(name, data_dir)}; or use --dataset digits, which is bundled",
        )
    return found.prepared


def _link(folder: Path, files: Iterable[str], into: Path) -> None:
    for file in files:
        (into / file).parent.mkdir(parents=True, exist_ok=True)
        (into / file).symlink_to(folder / file)
