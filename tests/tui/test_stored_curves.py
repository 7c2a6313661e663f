"""The chart of a long run, drawn from its stored points and from every step."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from initlab_tui.domain.events import Stepped
from initlab_tui.store import progress
from initlab_tui.store.curves import Curve, read_curve, read_trend, trend
from initlab_tui.store.database import Store
from initlab_tui.store.point_codec import to_float32
from initlab_tui.tui.chart import curves as curves_of_chart
from initlab_tui.tui.chart.axes import SMALLEST_SHARE, Axes
from initlab_tui.tui.chart.curves import segments
from initlab_tui.tui.chart.dots import braille, line_dots
from initlab_tui.tui.chart.options import Options
from initlab_tui.tui.lab_backend import CHART_POINTS
from initlab_tui.tui.screens.chart import ZOOM
from tests.store.test_thinning import start

STEPS = 50_000
SMALL_SHARE = 0.01  # of the width and height: at a larger magnification, the rounding to float32 may be visible
ZOOMS = math.ceil(math.log(SMALLEST_SHARE, ZOOM))
PLOTS = ((68, 17), (70, 32), (128, 46))  # columns and rows of the plot at the usual sizes of a terminal
VIEWS = (
    Options("loss", "train"),
    Options("loss", "train", log=True),
    Options("loss", "train", smoothing=0.9),
    Options("accuracy", "train"),
)


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> tuple[Curve, Curve]:
    """The recorded curve of a long run, and the curve with every step."""
    chance = random.Random(1)
    losses = tuple(to_float32(2 * chance.gammavariate(4, 0.25) / (1 + step / 3000)) for step in range(STEPS))
    accuracies = tuple(max(0, 32 - int(chance.expovariate(1) * 10 / (1 + step / 9000))) / 32 for step in range(STEPS))
    with Store.open(Path(tmp_path_factory.mktemp("store")) / "lab.db") as store:
        run = start(store, STEPS)
        for first in range(0, STEPS, 700):
            part = slice(first, first + 700)
            progress.record(store, run, [Stepped(first + 1, losses[part], accuracies[part], 0.1, 1)])
        stored = read_curve(store, run.id, "train")
        assert read_trend(store, run.id, "train", CHART_POINTS) == trend(stored, CHART_POINTS)
    return stored, Curve(tuple(range(1, STEPS + 1)), losses, accuracies)


@pytest.mark.parametrize("plot", PLOTS, ids=str)
@pytest.mark.parametrize("options", VIEWS, ids=("loss", "log", "smoothed", "accuracy"))
def test_the_stored_curve_looks_like_that_of_every_step_at_any_zoom(
    curves: tuple[Curve, Curve], options: Options, plot: tuple[int, int]
) -> None:
    stored, every_step = curves
    reduced = [trend(stored, CHART_POINTS), trend(every_step, CHART_POINTS, stored.stride)]
    assert reduced[0].steps == reduced[1].steps and len(reduced[0].steps) == CHART_POINTS
    drawn = different = 0
    for zoom, (one, other) in enumerate(zip(*(pictures(curve, options, plot) for curve in reduced), strict=True)):
        if ZOOM**zoom >= SMALL_SHARE:
            assert one == other and len(one) > plot[0] / 2
        drawn += len(one)
        different += len(one ^ other)
    assert different <= drawn / 1000


def pictures(curve: Curve, options: Options, plot: tuple[int, int]) -> Iterator[set[tuple[int, int, str]]]:
    """Yield the characters of a plot of the curve at every zoom around its middle."""
    line = curves_of_chart.line([curve], options.metric, options.smoothing)
    values = options.on_axis(line.mean)
    axes = Axes.around([(line.steps, values)], {}, options.value_limits)
    for _ in range(ZOOMS):
        viewport = axes.viewport
        assert viewport
        parts = segments(line.steps, values)
        yield {cell for x, y in parts for cell in braille(line_dots(x, y, viewport, *plot))}
        middle = (viewport.left + viewport.right) / 2
        anchor = viewport.anchor(middle, options.on_axis(np.array([line.at(middle)[0]])))
        axes = axes.holding(viewport.zoomed(ZOOM, *anchor))
