"""The resources that a request to train asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """The device, workers and threads that were asked for; None leaves the choice to the program."""

    device: str | None = None
    workers: int | None = None
    threads: int | None = None
