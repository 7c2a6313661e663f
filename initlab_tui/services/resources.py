"""The resources requested for training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """The requested device, workers and threads; None means that the program chooses."""

    device: str | None = None
    workers: int | None = None
    threads: int | None = None
