"""Draws the lines of a chart on its plot: intervals, single seeds, means and signs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from textual.app import App
from textual_plot import HiResMode

from initlab_tui.tui.chart.curves import Array, Line, segments
from initlab_tui.tui.chart.options import Options
from initlab_tui.tui.widgets.curve_plot import CurvePlot, Tag
from initlab_tui.tui.widgets.legend import sign

# Six colours that differ in 256 and in 16 colours too: light ones for dark themes, dark ones for light themes, and
# the terminal's own colours for its own theme.
PALETTES = {
    "dark": ("#0087ff", "#ffaf00", "#5fd75f", "#ff5f5f", "#d75fd7", "#5fd7d7"),
    "light": ("#005fd7", "#af5f00", "#008700", "#d70000", "#8700af", "#008787"),
    "ansi": ("blue", "yellow", "green", "red", "magenta", "cyan"),
}


def line_colours(app: App[object], count: int) -> list[str]:
    """Return a colour for each of `count` lines, repeating after six, that suits the theme."""
    palette = PALETTES["ansi" if app.native_ansi_color else "dark" if app.current_theme.dark else "light"]
    return [palette[index % len(palette)] for index in range(count)]


def draw_lines(plot: CurvePlot, lines: Sequence[Line], options: Options, colours: Sequence[str]) -> None:
    """Draw all lines, the means on top."""
    for line, colour in zip(lines, colours, strict=True):
        _draw_band(plot, line, options, colour)
    for line, colour in zip(lines, colours, strict=True):
        _draw_seeds(plot, line, options, colour)
    for index, (line, colour) in enumerate(zip(lines, colours, strict=True)):
        values = options.on_axis(line.mean)
        _draw_parts(plot, line.steps, values, colour)
        finite = np.isfinite(values)
        plot.tag(Tag(sign(index), f"bold {colour}", line.steps[finite], values[finite]))


def _draw_band(plot: CurvePlot, line: Line, options: Options, colour: str) -> None:
    if options.spread == "band" and line.half is not None:
        low, high = (options.on_axis(line.mean + side * line.half) for side in (-1, 1))
        if options.log:
            low = np.where(np.isfinite(high) & np.isnan(low), -np.inf, low)
        plot.band(line.steps, low, high, f"dim {colour}")


def _draw_seeds(plot: CurvePlot, line: Line, options: Options, colour: str) -> None:
    if options.spread == "seeds" and len(line.runs) > 1:
        for steps, values in line.runs:
            _draw_parts(plot, steps, options.on_axis(values), f"dim {colour}")


def _draw_parts(plot: CurvePlot, steps: Array, values: Array, style: str) -> None:
    for x, y in segments(steps, values):
        if len(x) > 1:
            plot.plot(x, y, style, HiResMode.BRAILLE)
        else:
            plot.scatter(x, y, "●", style)
