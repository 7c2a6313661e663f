"""Checks whether networks can be trained on this machine: versions, devices, datasets and the store."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import initlab_tui
from initlab_tui.data.locate import folders, locate, where_to_put
from initlab_tui.domain.catalog.datasets import DATASETS, DatasetEntry
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import processes, supervisor, tensorflow_process
from initlab_tui.store import repair
from initlab_tui.store.database import Store
from initlab_tui.store.integrity import StoreReport, check_store
from initlab_tui.store.repair import Repaired

MAX_NAMED = 5  # unreadable rows that are named in the summary


@dataclass(frozen=True)
class DatasetStatus:
    """A dataset of the catalogue and the place of its file; if there is none, `advice` says where to put one."""

    entry: DatasetEntry
    is_here: bool
    where: str
    advice: str


@dataclass(frozen=True)
class StoreStatus:
    """The state of the store; `health` is None if it does not exist or cannot be opened, as `message` says."""

    path: Path
    exists: bool
    message: str
    health: StoreReport | None = None


@dataclass(frozen=True)
class Examination:
    """The findings about this machine; `problems` are why training would fail, or what is wrong with the store.

    `tensorflow` is the answer of the TensorFlow process; `plan` describes the workers and threads that would be used.
    """

    problems: tuple[str, ...]
    versions: Mapping[str, str]
    platform: str
    tensorflow: Mapping[str, Any]
    cores: int
    gpus: Sequence[str]
    memory_available: int
    plan: Mapping[str, str]
    datasets: tuple[DatasetStatus, ...]
    dataset_folders: tuple[Path, ...]
    store: StoreStatus


def examine(store_path: Path, data_dir: Path | None) -> Examination:
    """Examine this machine; TensorFlow runs in a separate process, which takes a few seconds."""
    answer = tensorflow_process.ask("devices")
    store = _store(store_path)
    problems = [f"TensorFlow cannot be used: {answer['error']}"] if "error" in answer else []
    if store.exists and store.message != "ok":
        problems.append(
            f"the store is damaged or cannot be used: {store.message} "
            "(doctor --repair saves what can be read of a damaged store)"
        )
    if store.health and store.health.unreadable:
        problems.append(_unreadable(store.health.unreadable))
    versions = answer.pop("versions", {})
    return Examination(
        problems=tuple(problems),
        versions={"initlab-tui": initlab_tui.__version__, "python": platform.python_version(), **versions},
        platform=platform.platform(),
        tensorflow=answer,
        cores=supervisor.cores(),
        gpus=supervisor.gpus(),
        memory_available=psutil.virtual_memory().available,
        plan=_plan(),
        datasets=datasets(data_dir),
        dataset_folders=tuple(folders(data_dir)),
        store=store,
    )


def repair_store(path: Path) -> Repaired | None:
    """Save what can be read of a damaged store into a new file in its place; None if it is not damaged.

    Raises:
        InvalidInputError: if there is no store, processes use it, or nothing can be read; nothing is changed.
    """
    if not path.exists():
        raise InvalidInputError.of("store", f"there is no store {path}")
    if path.stat().st_uid != os.geteuid() or not os.access(path.parent, os.W_OK):
        raise InvalidInputError.of("store", f"store {path} can be repaired only by its owner")
    if not repair.damage(path):
        return None
    alive = sorted({pid for pid, born in repair.living_processes(path) if pid and processes.is_running(pid, born)})
    if alive:
        pids = ", ".join(map(str, alive))
        raise InvalidInputError.of("store", f"store {path} is used by workers: end them first (processes {pids})")
    return repair.repair(path)


def _unreadable(found: Sequence[str]) -> str:
    shown = "; ".join(found[:MAX_NAMED]) + (f"; and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else "")
    return f"the store has values that cannot be read, and what they belong to is left out: {shown}"


def _plan() -> dict[str, str]:
    one = supervisor.plan(1, None, None, None, 0)
    many = supervisor.plan(1000, None, None, None, 0)
    return {
        "device": one.device,
        "one run": f"{one.workers} × {one.threads} threads",
        "many runs": f"{many.workers} × {many.threads} threads",
    }


def datasets(data_dir: Path | None) -> tuple[DatasetStatus, ...]:
    """Return the status of every dataset of the catalogue."""
    return tuple(_dataset(entry, data_dir) for entry in DATASETS.values())


def _dataset(entry: DatasetEntry, data_dir: Path | None) -> DatasetStatus:
    if entry.name == "digits":
        return DatasetStatus(entry, True, "bundled", "")
    found = locate(entry.name, data_dir)
    place = found.file or found.keras_folder
    return DatasetStatus(entry, bool(place), str(place or ""), "" if place else where_to_put(entry.name, data_dir))


def _store(path: Path) -> StoreStatus:
    if not path.exists():
        return StoreStatus(path, False, "none yet; the first run creates it")
    try:
        with Store.open(path) as store:
            report = check_store(store)
            return (
                StoreStatus(path, True, report)
                if isinstance(report, str)
                else StoreStatus(path, True, report.health, report)
            )
    except InvalidInputError as error:
        return StoreStatus(path, True, str(error))
