"""The words of a chart: its title, and why there is nothing to draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from initlab_tui.tui.chart.curves import Line
from initlab_tui.tui.chart.options import SPREADS, Options
from initlab_tui.tui.chart.series import Series


def title(options: Options, series: Sequence[Series], *, zoomed: bool, status: str) -> str:
    """Return `test accuracy % · 2 groups · 95% band`, then the other choices that differ from the default."""
    several = any(len(each.runs) > 1 for each in series)
    kind = "group" if several else "run"
    words = [
        f"{options.split} {options.metric}{' %' if options.metric == 'accuracy' else ''}",
        f"{len(series)} {kind}{'s' if len(series) != 1 else ''}",
        SPREADS[options.spread] if several else "",
        f"smoothing {options.smoothing}" if options.smoothing else "",
        "log" if options.log else "",
        "zoomed" if zoomed else "",
        status,
    ]
    return " · ".join(word for word in words if word)


def why_empty(options: Options, series: Sequence[Series], lines: Sequence[Line]) -> str:
    """Return why nothing can be drawn, and which key changes that; empty until the curves were read."""
    if not series:
        return "nothing to draw: mark groups or runs with space, then press c"
    if not lines:
        return ""
    if not any(line.runs for line in lines):
        return f"nothing recorded yet on {options.split}: press t for {options.other_split}"
    if not any(np.isfinite(values).any() for line in lines for _, values in line.runs):
        return f"no {options.metric} on {options.split} is finite: press t for {options.other_split}"
    if not any(np.isfinite(line.mean).any() for line in lines):
        return "the seeds have no finite step in common: press b to draw each seed"
    return "no value above zero for a logarithmic axis: press y for a linear one"
