"""Where a dataset lies: the person's folder, our prepared copies, Keras's cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from initlab_tui.domain.catalog.datasets import DATASETS, OWN_PREFIX


@dataclass(frozen=True)
class Location:
    """Where a dataset of the catalogue was found.

    `file` is an npz that can be read at once. Else `keras_folder` is a folder with Keras's own files of it,
    which only Keras reads, into `prepared`. With neither, it has to be downloaded, into `prepared` too.
    """

    name: str
    file: Path | None
    keras_folder: Path | None
    prepared: Path


def keras_folder() -> Path:
    """Where Keras caches datasets."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def prepared_folder() -> Path:
    """Where this program keeps the npz copies of datasets that came through Keras."""
    return platformdirs.user_cache_path("initlab-tui") / "datasets"


def folders(data_dir: Path | None) -> list[Path]:
    """The folders that are searched, in order."""
    return [*([data_dir] if data_dir else []), prepared_folder(), keras_folder()]


def locate(name: str, data_dir: Path | None) -> Location:
    """Find the dataset `name` of the catalogue (not digits, which is bundled)."""
    prepared = prepared_folder() / f"{name}.npz"
    for folder in folders(data_dir):
        if (folder / f"{name}.npz").is_file():
            return Location(name, (folder / f"{name}.npz").resolve(), None, prepared)
        files = DATASETS[name].keras_files
        if all((folder / file).is_file() for file in files):
            return Location(name, None, folder.resolve(), prepared)
    return Location(name, None, None, prepared)


def where_to_put(name: str, data_dir: Path | None) -> str:
    """What to put where so that `locate` finds it, in words."""
    folder = data_dir or keras_folder()
    own = sorted({str(Path(file).parent / "*") if "/" in file else file for file in DATASETS[name].keras_files})
    wanted = " or Keras's own ".join(dict.fromkeys([f"{name}.npz", *own]))
    return f"put {wanted} into {folder}, or name the folder it is in with --data-dir"


def absolute(dataset: str) -> str:
    """A person's own file by its full path, since a worker reads it from another folder."""
    if not dataset.startswith(OWN_PREFIX) or dataset == OWN_PREFIX:
        return dataset
    return f"{OWN_PREFIX}{Path(dataset.removeprefix(OWN_PREFIX)).expanduser().resolve()}"
