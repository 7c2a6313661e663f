"""The end of a worker's log, for the record of a run that failed."""

from __future__ import annotations

import re
from pathlib import Path

LOG_TAIL_LINES = 20
LOG_TAIL_BYTES = 8_192
# What TensorFlow logs on every start.
_CHATTER = re.compile(r"[IW]\d{4} |WARNING: All log messages|To enable the following instructions|E\d{4} .*cuInit")


def log_tail(log: Path) -> str:
    """Return the last lines of a log, without what TensorFlow logs on every start; empty if there is no such file."""
    if not log.is_file():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join([line for line in lines if not _CHATTER.match(line)][-LOG_TAIL_LINES:])
