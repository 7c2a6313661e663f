"""How training was requested to be done: resources and checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

from initlab_tui.domain.checkpoint_interval import DEFAULT_SECONDS


@dataclass(frozen=True)
class Resources:
    """The requested device, workers and threads, where None means that the program chooses.

    `checkpoint_every` is the longest time in seconds between two checkpoints; with None there are checkpoints only when
    a run is paused or stopped.
    """

    device: str | None = None
    workers: int | None = None
    threads: int | None = None
    checkpoint_every: float | None = DEFAULT_SECONDS
