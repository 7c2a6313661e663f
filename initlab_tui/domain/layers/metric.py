"""The form of an entry in the registry of layer metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from initlab_tui.domain.layers.thresholds import Outside


@dataclass(frozen=True)
class NetworkMetric:
    """One number about a whole network.

    - `name`: the key in JSON and in the store; `also`: other names to look it up by.
    - `summary`: one line of description; `reading`: how to interpret it; `title`: the label in tables and pages.
    - `unit`: "" for a number without one; a "share" is shown in percent.
    - `problem`: the values that are a problem; None if the metric alone does not decide a diagnosis.
    """

    name: str
    symbol: str
    title: str
    summary: str
    formula: str
    reading: str
    source: str
    unit: str = ""
    problem: Outside | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class LayerMetric(NetworkMetric):
    """One number about each layer: `heading` is its column in tables, `scale` the scale of its heat map."""

    heading: str = ""
    scale: Literal["log", "linear"] = "log"
