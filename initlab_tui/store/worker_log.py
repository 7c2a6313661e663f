"""Reads the end of a worker's log, which is stored with a failed run."""

from __future__ import annotations

import os
import re

from initlab_tui.store.database import Store
from initlab_tui.store.files import log_name

LOG_TAIL_LINES = 20
LOG_TAIL_BYTES = 8_192
# Messages that TensorFlow logs on every start.
_NOISE = re.compile(r"[IW]\d{4} |WARNING: All log messages|To enable the following instructions|E\d{4} .*cuInit")


def log_tail(store: Store, worker_id: int) -> str:
    """Return the last lines of a worker's log without TensorFlow's startup messages; empty if there is none."""
    try:
        with store.files.opened(log_name(worker_id)) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join([line for line in lines if not _NOISE.match(line)][-LOG_TAIL_LINES:])
