"""Finds datasets on disk: in the user's folder, among this program's prepared copies, or in Keras's cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from initlab_tui.domain.catalog.datasets import DATASETS, NPZ_PREFIX


@dataclass(frozen=True)
class Location:
    """Where a dataset of the catalogue was found.

    `file` is an npz file that can be read directly. Otherwise `keras_folder` is a folder with the files that Keras
    downloaded; only Keras reads these, and the result is saved to `prepared`. If both are None, the dataset has to be
    downloaded, to `prepared` too.
    """

    name: str
    file: Path | None
    keras_folder: Path | None
    prepared: Path


def keras_folder() -> Path:
    """Return the folder in which Keras caches datasets."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"


def prepared_folder() -> Path:
    """Return the folder for npz copies of datasets that were loaded through Keras."""
    return platformdirs.user_cache_path("initlab-tui") / "datasets"


def folders(data_dir: Path | None) -> list[Path]:
    """Return the folders to search, in order."""
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
    """Return a sentence that says which file to put where so that `locate` finds it."""
    folder = data_dir or keras_folder()
    keras = sorted({str(Path(file).parent / "*") if "/" in file else file for file in DATASETS[name].keras_files})
    wanted = " or Keras's ".join(dict.fromkeys([f"{name}.npz", *keras]))
    return f"put {wanted} into {folder}, or name the folder that contains it with --data-dir"


def absolute(dataset: str) -> str:
    """Return `dataset` with the path of a custom file made absolute, because workers run in another folder."""
    if not dataset.startswith(NPZ_PREFIX) or dataset == NPZ_PREFIX:
        return dataset
    return f"{NPZ_PREFIX}{Path(dataset.removeprefix(NPZ_PREFIX)).expanduser().resolve()}"
