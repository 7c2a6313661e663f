"""Is this machine ready: versions, devices, datasets, the store, the terminal."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console, Group, RenderableType

import initlab_tui
from initlab_tui.data.locate import folders, locate, where_to_put
from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import supervisor
from initlab_tui.execution.tensorflow_process import ask
from initlab_tui.reports.format import cell
from initlab_tui.reports.tables import table
from initlab_tui.store.database import Store
from initlab_tui.store.integrity import check_store

DATASET_COLUMNS = ("name", "image", "classes", "train", "test", "at hand", "where")


def examine(store_path: Path, data_dir: Path | None, console: Console) -> dict[str, Any]:
    """Everything that matters for running here; TensorFlow is asked in a process of its own."""
    answer = ask("devices")
    store = _store(store_path)
    amiss = [f"TensorFlow cannot be used: {answer['error']}"] if "error" in answer else []
    amiss += [f"the store is not sound: {store['health']}"] if store["health"] != "ok" and store["exists"] else []
    return {
        "amiss": amiss,
        "versions": {
            "initlab-tui": initlab_tui.__version__,
            "python": platform.python_version(),
            **answer.pop("versions", {}),
        },
        "platform": platform.platform(),
        "tensorflow": answer,
        "cores": supervisor.cores(),
        "gpus": supervisor.gpus(),
        "memory_available": psutil.virtual_memory().available,
        "plan": _plan(),
        "datasets": datasets(data_dir),
        "store": store,
        "terminal": {
            "size": list(console.size),
            "is_terminal": console.is_terminal,
            "colours": console.color_system or "none",
            "TERM": os.environ.get("TERM", ""),
            "NO_COLOR": "NO_COLOR" in os.environ,
        },
    }


def _plan() -> dict[str, Any]:
    lone = supervisor.plan(1, None, None, None, 0)
    many = supervisor.plan(1000, None, None, None, 0)
    return {
        "device": lone.device,
        "one run": f"{lone.workers} × {lone.threads} threads",
        "many runs": f"{many.workers} × {many.threads} threads",
    }


def datasets(data_dir: Path | None) -> list[dict[str, Any]]:
    """Each dataset: what it is, whether it is at hand, and where."""
    described = []
    for entry in DATASETS.values():
        found = None if entry.name == "digits" else locate(entry.name, data_dir)
        at_hand = found is None or bool(found.file or found.keras_folder)
        described.append(
            {
                "name": entry.name,
                "shape": list(entry.shape),
                "classes": entry.classes,
                "train": entry.train,
                "test": entry.test,
                "source": entry.source,
                "at_hand": at_hand,
                "where": "bundled" if found is None else str(found.file or found.keras_folder or ""),
                "otherwise": "" if at_hand else where_to_put(entry.name, data_dir),
            }
        )
    return described


def datasets_table(described: list[dict[str, Any]], data_dir: Path | None) -> RenderableType:
    made = table(*DATASET_COLUMNS, right=("classes", "train", "test"), folded=["where"])
    for one in described:
        made.add_row(
            cell(one["name"], "bold"),
            cell("×".join(map(str, one["shape"]))),
            *(cell(one[key]) for key in ("classes", "train", "test")),
            cell("yes" if one["at_hand"] else "no"),
            cell(one["where"] or "downloads on use"),
        )
    own = "your own: x_train, y_train, x_test, y_test"
    made.add_row(cell("npz:FILE", "bold"), *(cell("") for _ in range(5)), cell(own))
    searched = ", ".join(map(str, folders(data_dir)))
    offline = f"Offline, put NAME.npz into one of: {searched}; --data-dir DIR puts another first."
    return Group(made, cell(offline, "dim"))


def _store(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {"path": str(path), "exists": path.exists()}
    if not path.exists():
        return facts | {"health": "none yet; it is made with the first run"}
    try:
        with Store.open(path) as store:
            return facts | _health(store)
    except InvalidInputError as error:
        return facts | {"health": str(error)}


def _health(store: Store) -> dict[str, Any]:
    report = check_store(store)
    return {"health": report} if isinstance(report, str) else asdict(report)


def page(report: dict[str, Any], data_dir: Path | None) -> RenderableType:
    """The report for people."""
    facts = table("", "", folded=[""])
    for name, value in _facts(report):
        facts.add_row(cell(name, "dim"), cell(value))
    verdict = "; ".join(report["amiss"]) or "ready: networks can be trained here"
    return Group(cell(verdict, "bold"), cell(""), facts, cell(""), datasets_table(report["datasets"], data_dir))


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("versions", _pairs(report["versions"])),
        ("platform", report["platform"]),
        *_devices(report["tensorflow"], report["gpus"]),
        ("cores", f"{report['cores']}, {report['memory_available'] / 1e9:.1f} GB of memory free"),
        ("workers", ", ".join(f"{name}: {value}" for name, value in report["plan"].items())),
        *_store_facts(report["store"]),
        ("terminal", _terminal(report["terminal"])),
    ]


def _devices(tensorflow: dict[str, Any], gpus: list[str]) -> Iterable[tuple[str, str]]:
    devices = tensorflow.get("devices", [])
    for device in devices:
        refusal = f"XLA does not compile, runs go as graph: {device.get('xla_error')}"
        yield "device", f"{device['name']}: {'XLA compiles' if device['xla'] else refusal}"
    if gpus and not any(":GPU:" in device["device"] for device in devices):
        yield "gpu", "there is one that TensorFlow does not see: pip install 'initlab-tui[gpu]'"


def _store_facts(store: dict[str, Any]) -> Iterable[tuple[str, str]]:
    yield "store", f"{store['path']}: {store['health']}"
    if "schema" in store:
        yield (
            "",
            f"schema {store['schema']}, journal {store['journal']}, mode {store['mode'].removeprefix('0o')}, "
            f"{store['megabytes']} MB, {store['workers_alive']} workers alive",
        )
        yield "runs", ", ".join(f"{count} {status}" for status, count in store["runs"].items()) or "none"


def _terminal(terminal: dict[str, Any]) -> str:
    columns, rows = terminal["size"]
    shown = f"{columns}x{rows}, colours: {terminal['colours']}, TERM {terminal['TERM'] or 'not set'}"
    return (
        shown + (", NO_COLOR" if terminal["NO_COLOR"] else "") + ("" if terminal["is_terminal"] else ", not a terminal")
    )


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
