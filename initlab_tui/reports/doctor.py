"""The results of `doctor` and `datasets` as pages and JSON documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.reports.escape import cell
from initlab_tui.reports.tables import table
from initlab_tui.services.doctor import DatasetStatus, Examination, StoreStatus
from initlab_tui.store.file_system import FileSystem
from initlab_tui.store.repair import Repaired

DATASET_COLUMNS = ("name", "image", "classes", "train", "test", "here", "where")


@dataclass(frozen=True)
class Terminal:
    """The terminal that the command prints to."""

    columns: int
    rows: int
    is_terminal: bool
    colours: str
    term: str
    no_color: bool

    def __str__(self) -> str:
        facts = [f"{self.columns}x{self.rows}", f"colours: {self.colours}", f"TERM {self.term or 'not set'}"]
        facts += ["NO_COLOR"] if self.no_color else []
        facts += [] if self.is_terminal else ["not a terminal"]
        return ", ".join(facts)


def datasets_table(statuses: Iterable[DatasetStatus], searched: Sequence[Path]) -> RenderableType:
    """Return the catalogue of datasets, with the places of their files."""
    made = table(*DATASET_COLUMNS, right=("classes", "train", "test"), folded=["where"])
    for status in statuses:
        entry = status.entry
        made.add_row(
            cell(entry.name, "bold"),
            cell("×".join(map(str, entry.shape))),
            *(cell(count) for count in (entry.classes, entry.train, entry.test)),
            cell("yes" if status.is_here else "no"),
            cell(status.where or "downloaded on first use"),
        )
    custom = "a custom file with x_train, y_train, x_test and y_test"
    made.add_row(cell("npz:FILE", "bold"), *(cell("") for _ in range(5)), cell(custom))
    places = ", ".join(map(str, searched))
    offline = f"Without a network connection, put NAME.npz into one of: {places}. --data-dir DIR is searched first."
    return Group(made, cell(offline, "dim"))


def dataset_documents(statuses: Iterable[DatasetStatus]) -> list[dict[str, Any]]:
    """Return the catalogue of datasets for JSON."""
    return [
        {
            "name": status.entry.name,
            "shape": list(status.entry.shape),
            "classes": status.entry.classes,
            "train": status.entry.train,
            "test": status.entry.test,
            "source": status.entry.source,
            "at_hand": status.is_here,
            "where": status.where,
            "otherwise": status.advice,
        }
        for status in statuses
    ]


def doctor_page(found: Examination, terminal: Terminal) -> RenderableType:
    """Return the result of the examination: the problems, or that there are none, and the details."""
    facts = table("", "", folded=[""])
    for name, value in _facts(found, terminal):
        facts.add_row(cell(name, "dim"), cell(value))
    result = "; ".join(found.problems) or "ready: networks can be trained here"
    return Group(cell(result, "bold"), Text(), facts, Text(), datasets_table(found.datasets, found.dataset_folders))


def _facts(found: Examination, terminal: Terminal) -> Iterator[tuple[str, str]]:
    yield "versions", _pairs(found.versions)
    yield "platform", found.platform
    yield from _devices(found.tensorflow, found.gpus)
    yield "cores", f"{found.cores}, {found.memory_available / 1e9:.1f} GB of memory available"
    yield "workers", ", ".join(f"{name}: {value}" for name, value in found.plan.items())
    yield from _store_facts(found.store)
    yield "terminal", str(terminal)


def _devices(tensorflow: Mapping[str, Any], gpus: Sequence[str]) -> Iterator[tuple[str, str]]:
    devices = tensorflow.get("devices", [])
    for device in devices:
        refusal = f"XLA does not compile, so runs are executed as graphs: {device.get('xla_error')}"
        yield "device", f"{device['name']}: {'XLA compiles' if device['xla'] else refusal}"
    if gpus and not any(":GPU:" in device["device"] for device in devices):
        yield "gpu", "this machine has a GPU that TensorFlow does not see: pip install 'initlab-tui[gpu]'"


def _store_facts(store: StoreStatus) -> Iterator[tuple[str, str]]:
    yield "store", f"{store.path}: {store.message}"
    health = store.health
    if health:
        file = f"mode {health.mode.removeprefix('0o')}, {health.megabytes} MB"
        unused = f", of which {health.unused_megabytes} MB are unused" if health.unused_megabytes >= 1 else ""
        yield (
            "",
            f"schema {health.schema}, journal {health.journal}, {file}{unused}, {health.workers_alive} workers alive",
        )
        if health.file_system.is_network:
            yield "", network_note(health.file_system)
        if health.backups:
            yield "backups", ", ".join(map(str, health.backups))
        yield "runs", ", ".join(f"{count} {status}" for status, count in health.runs.items()) or "none"
        yield from (("unreadable", row) for row in health.unreadable)


def network_note(file_system: FileSystem) -> str:
    """Return what a network file system means for a store, and what to do."""
    return (
        f"{file_system.mounted} is a network file system ({file_system.kind}): the store is slower there, reading "
        "waits for writing, and one host at a time can train. Name a file on a local disk with --store"
    )


def repair_sentence(repaired: Repaired | None) -> str:
    """Return the result of a repair as a sentence."""
    if repaired is None:
        return "the store is not damaged; nothing was repaired"
    saved = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in repaired.saved.items() if count)
    lost = f"; not everything could be read of: {', '.join(repaired.incomplete)}" if repaired.incomplete else ""
    return f"repaired the store: saved {saved or 'nothing'}{lost}; the damaged file is kept: {repaired.damaged_file}"


def repair_document(repaired: Repaired | None) -> dict[str, Any] | None:
    """Return the result of a repair for JSON; None if there was nothing to repair."""
    if repaired is None:
        return None
    return {
        "saved": dict(repaired.saved),
        "incomplete": list(repaired.incomplete),
        "damaged_file": str(repaired.damaged_file),
    }


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())


def doctor_document(found: Examination, terminal: Terminal) -> dict[str, Any]:
    """Return the result of the examination for JSON."""
    return {
        "problems": list(found.problems),
        "versions": dict(found.versions),
        "platform": found.platform,
        "tensorflow": dict(found.tensorflow),
        "cores": found.cores,
        "gpus": list(found.gpus),
        "memory_available": found.memory_available,
        "plan": dict(found.plan),
        "datasets": dataset_documents(found.datasets),
        "store": _store_document(found.store),
        "terminal": {
            "size": [terminal.columns, terminal.rows],
            "is_terminal": terminal.is_terminal,
            "colours": terminal.colours,
            "TERM": terminal.term,
            "NO_COLOR": terminal.no_color,
        },
    }


def _store_document(store: StoreStatus) -> dict[str, Any]:
    document: dict[str, Any] = {"path": str(store.path), "exists": store.exists, "health": store.message}
    if store.health:
        document |= {
            "schema": store.health.schema,
            "journal": store.health.journal,
            "mode": store.health.mode,
            "megabytes": store.health.megabytes,
            "runs": dict(store.health.runs),
            "workers_alive": store.health.workers_alive,
            "file_system": store.health.file_system.kind,
            "is_network": store.health.file_system.is_network,
            "unused_megabytes": store.health.unused_megabytes,
            "backups": list(map(str, store.health.backups)),
            "unreadable": list(store.health.unreadable),
        }
    return document
