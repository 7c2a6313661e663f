"""What is recorded about a run when it starts, so that it can be repeated."""

from __future__ import annotations

import hashlib
import platform
import sys
from pathlib import Path
from typing import Any

import initlab_tui
from initlab_tui.domain.events import Started
from initlab_tui.domain.initializer import IMPORT_PREFIX, Initializer
from initlab_tui.store.runs import Run


def run_record(run: Run, event: Started, threads: int, note: str) -> dict[str, Any]:
    """Return versions, device, data and code of a run that has started with so many threads, ready for JSON."""
    return {
        "versions": {
            "initlab-tui": initlab_tui.__version__,
            "python": platform.python_version(),
            **event.versions,
        },
        "platform": platform.platform(),
        "host": platform.node(),
        "device": event.device,
        "threads": threads,
        "execution": event.execution,
        "note": note,
        **_custom_source(run.spec.initializer),
        **({"initialization": event.initialization} if event.initialization else {}),
        "weights": event.weights,
        "multiplications": event.multiplications,
        "compile_seconds": event.compile_seconds,
        "data_file": run.data_file,
        "data_fingerprint": event.fingerprint,
        "resumed_at_step": event.step or None,
    }


def _custom_source(initializer: Initializer) -> dict[str, str]:
    """Return the file of a custom initializer and its fingerprint; nothing for one of the catalogue."""
    if not initializer.is_imported:
        return {}
    module = sys.modules[initializer.name.removeprefix(IMPORT_PREFIX).rpartition(".")[0]]
    file = Path(module.__file__ or "")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""
    return {"initializer_file": str(file), "initializer_fingerprint": digest}
