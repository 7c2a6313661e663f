"""The series of a chart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """One entry of the chart: a group of runs that differ only in the seed, or one run."""

    label: str
    runs: tuple[int, ...]
