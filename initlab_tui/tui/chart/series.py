"""What a chart is asked to draw."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One entry of the chart: a group of runs that differ in the seed alone, or one run."""

    label: str
    runs: tuple[int, ...]
