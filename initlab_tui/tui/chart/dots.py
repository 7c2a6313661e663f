"""Lines and bands as the dots of braille characters, and the positions for a line's sign."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from initlab_tui.tui.chart.axes import Viewport
from initlab_tui.tui.chart.curves import Array, Points

Dots = NDArray[np.bool_]

# A braille character has two by four dots, one bit for each.
ACROSS, DOWN = 2, 4
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def line_dots(x: Array, y: Array, viewport: Viewport, columns: int, rows: int) -> Dots:
    """Return the dots of a line without gaps, on a plot of this many characters; the topmost row first."""
    across, down = _pixels(x, y, viewport, columns, rows)
    sides = np.interp(np.arange(ACROSS * columns + 1), across, down, np.nan, np.nan)
    highest, lowest = np.fmin(sides[:-1], sides[1:]), np.fmax(sides[:-1], sides[1:])
    inside = (across >= 0) & (across < ACROSS * columns)
    # A line may bend or end within a column of dots.
    np.fmin.at(highest, across[inside].astype(int), down[inside])
    np.fmax.at(lowest, across[inside].astype(int), down[inside])
    level = np.arange(DOWN * rows)[:, None]
    dots: Dots = (level >= np.floor(highest)) & (level <= np.floor(lowest))
    return dots


def band_dots(x: Array, low: Array, high: Array, viewport: Viewport, columns: int, rows: int) -> Dots:
    """Return the dots that shade the area between two lines, thinly enough that other lines show through."""
    across, floor = _pixels(x, low, viewport, columns, rows)
    _, ceiling = _pixels(x, high, viewport, columns, rows)
    column = np.arange(ACROSS * columns)
    lowest = np.interp(column + 0.5, across, floor, np.nan, np.nan)
    highest = np.interp(column + 0.5, across, ceiling, np.nan, np.nan)
    level = np.arange(DOWN * rows)[:, None]
    dots: Dots = (level >= highest) & (level <= lowest) & ((level + DOWN // 2 * column) % DOWN == 0)
    return dots


def _pixels(x: Array, y: Array, viewport: Viewport, columns: int, rows: int) -> Points:
    across = (x - viewport.left) * (ACROSS * columns / viewport.width)
    with np.errstate(over="ignore"):
        down = (viewport.top - y) * (DOWN * rows / viewport.height)
    # Clip far values, so that no infinities meet in the interpolation.
    return across, np.clip(down, -1e6, 1e6)


def braille(dots: Dots) -> Iterator[tuple[int, int, str]]:
    """Yield column, row and character of every cell that has a dot."""
    cells = np.zeros((dots.shape[0] // DOWN, dots.shape[1] // ACROSS), np.uint8)
    for down, bits in enumerate(BITS):
        for across, bit in enumerate(bits):
            cells |= np.where(dots[down::DOWN, across::ACROSS], np.uint8(bit), np.uint8(0))
    rows, columns = np.nonzero(cells)
    for row, column, cell in zip(rows.tolist(), columns.tolist(), cells[rows, columns].tolist(), strict=True):
        yield column, row, chr(0x2800 + cell)


def sign_places(x: Array, y: Array, viewport: Viewport, columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield cells (column, row) for a line's sign: past its end, then backwards along it, then further past it."""
    across, down = _pixels(x, y, viewport, columns, rows)
    inside = np.flatnonzero((across >= 0) & (across < ACROSS * columns) & (down >= 0) & (down < DOWN * rows))
    if not len(inside):
        return
    last = int(across[inside[-1]] // ACROSS)
    end = int(down[inside[-1]] // DOWN)
    yield min(last + 1, columns - 1), end
    along = np.arange(last, int(across[inside[0]] // ACROSS), -1)
    heights = np.interp(ACROSS * (along + 0.5), across, down) // DOWN
    yield from (
        (column, int(row)) for column, row in zip(along.tolist(), heights.tolist(), strict=True) if 0 <= row < rows
    )
    yield from ((column, end) for column in range(last + 2, columns))
