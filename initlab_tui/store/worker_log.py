"""Reads the end of a worker's log, which is stored with a failed run."""

from __future__ import annotations

import re
from pathlib import Path

LOG_TAIL_LINES = 20
LOG_TAIL_BYTES = 8_192
# Messages that TensorFlow logs on every start.
_NOISE = re.compile(r"[IW]\d{4} |WARNING: All log messages|To enable the following instructions|E\d{4} .*cuInit")


def log_tail(log: Path) -> str:
    """Return the last lines of a log without TensorFlow's startup messages; empty if the file does not exist."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join([line for line in lines if not _NOISE.match(line)][-LOG_TAIL_LINES:])
