"""The chart in a pilot: the effect of its keys on the drawing and the texts."""

from __future__ import annotations

import asyncio
import gc
import math
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Static
from textual_plot.plot_widget import LinePlot, ScatterPlot

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store.curves import Curve
from initlab_tui.tui.chart.curve_cache import NOTHING
from initlab_tui.tui.chart.series import Series
from initlab_tui.tui.keys import CHART
from initlab_tui.tui.screens.chart import ChartScreen
from initlab_tui.tui.widgets.curve_plot import Band, CurvePlot, PlotCanvas
from initlab_tui.tui.widgets.footer import KeyFooter

pytestmark = pytest.mark.asyncio

SIZES = [(80, 24), (120, 36), (200, 50)]
HE, GLOROT = Series("he_normal", (1, 2)), Series("glorot [red]σ[/red]", (3,))


def line(*values: float) -> Curve:
    """Return a curve with a point every ten steps; its accuracies are a tenth of its losses."""
    return Curve(tuple(range(0, 10 * len(values), 10)), values, tuple(value / 10 for value in values))


class CurveSource:
    """A source of curves in memory that records which of them were read."""

    def __init__(self, **curves: Curve) -> None:
        self.curves = {(int(name[1:]), split): curve for name, curve in curves.items() for split in ("test", "train")}
        self.requested: list[tuple[int, str]] = []

    async def load(self, run_id: int, split: str) -> Curve:
        self.requested.append((run_id, split))
        return self.curves[run_id, split]


def three_curves() -> CurveSource:
    return CurveSource(_1=line(2, 4, 8), _2=line(2, 6, 9), _3=line(1, 5, 7))


class ShownChart:
    """The chart in a pilot: its texts, its drawing and its keys."""

    def __init__(self, pilot: Pilot[None]) -> None:
        self.pilot = pilot

    @property
    def screen(self) -> ChartScreen:
        assert isinstance(self.pilot.app.screen, ChartScreen)
        return self.pilot.app.screen

    @property
    def plot(self) -> CurvePlot:
        return self.screen.query_one(CurvePlot)

    def text(self, id_: str) -> str:
        return str(self.screen.query_one(id_, Static).render())

    @property
    def title(self) -> str:
        return self.text("#chart-title")

    @property
    def reading(self) -> list[str]:
        return [row.rstrip() for row in self.text("#chart-reading").splitlines()]

    def drawn(self, kind: type = LinePlot) -> list[list[float]]:
        return [
            data.y.round(6).tolist()
            for data in self.plot._datasets
            if isinstance(data, kind) and (kind is Band or not isinstance(data, Band))
        ]

    @property
    def canvas(self) -> list[str]:
        return ["".join(row) for row in self.screen.query_one("#plot", PlotCanvas)._buffer]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        await self.pilot.app.workers.wait_for_complete()
        await self.pilot.pause()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await self.pilot.pause(0.01)


@asynccontextmanager
async def chart(
    source: CurveSource, *series: Series, size: tuple[int, int] = (120, 36), theme: str = "textual-dark"
) -> AsyncIterator[ShownChart]:
    app: App[None] = App()
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        await app.push_screen(ChartScreen(series, source.load))
        shown = ShownChart(pilot)
        await shown.settle()
        yield shown


@pytest.mark.parametrize("size", SIZES)
async def test_the_chart_opens_with_the_test_accuracy_and_the_values_at_the_last_step(size: tuple[int, int]) -> None:
    async with chart(three_curves(), HE, GLOROT, size=size) as shown:
        assert shown.title == "test accuracy % · 2 groups · 95% band"
        assert shown.drawn() == [[20, 50, 85], [10, 50, 70]]
        assert shown.reading[0] == "step 20 · mean ± 95% interval"
        legend = " ".join(shown.reading[1:])
        assert "1━ he_normal" in legend
        assert "85.0 ± 63.5" in legend
        assert "2━ glorot [red]σ[/red]" in legend
        assert legend.index("he_normal") < legend.index("glorot")
        rows = shown.canvas
        assert any("1" in row for row in rows)
        assert any("2" in row for row in rows)
        assert sum("│" in row for row in rows) > len(rows) / 2


async def test_keys_switch_the_metric_the_split_and_the_logarithmic_axis() -> None:
    source = three_curves()
    source.curves[3, "train"] = line(10, 0, 100)
    async with chart(source, GLOROT) as shown:
        await shown.press("l")
        assert shown.title == "test loss · 1 run"
        assert shown.drawn() == [[1, 5, 7]]
        await shown.press("t")
        assert shown.title == "train loss · 1 run"
        assert shown.drawn() == [[10, 0, 100]]
        await shown.press("y")
        assert shown.title == "train loss · 1 run · log"
        assert shown.drawn() == []
        assert shown.drawn(ScatterPlot) == [[1], [2]]
        assert shown.reading[1].endswith("100")
        await shown.press("y", "a")
        assert shown.title == "train accuracy % · 1 run"


async def test_smoothing_increases_and_decreases_within_its_limits() -> None:
    async with chart(three_curves(), GLOROT) as shown:
        await shown.press("m")
        assert shown.title == "test accuracy % · 1 run · smoothing 0.5"
        assert shown.drawn() == [[10, 36.666667, 55.714286]]
        await shown.press(*"mmmmmm")
        assert "smoothing 0.99" in shown.title
        await shown.press(*"nnnnnn")
        assert "smoothing" not in shown.title
        assert shown.drawn() == [[10, 50, 70]]


async def test_seeds_are_drawn_as_a_band_as_thin_lines_or_as_a_mean() -> None:
    async with chart(three_curves(), HE) as shown:
        assert len(shown.drawn(Band)) == 1
        await shown.press("b")
        assert "seeds" in shown.title
        assert shown.drawn(Band) == []
        assert shown.drawn() == [[20, 40, 80], [20, 60, 90], [20, 50, 85]]
        await shown.press("b")
        assert "mean" in shown.title
        assert shown.drawn() == [[20, 50, 85]]


async def test_a_line_does_not_bridge_a_gap() -> None:
    async with chart(CurveSource(_3=line(1, 2, math.nan, 4, 5)), GLOROT) as shown:
        assert shown.drawn() == [[10, 20], [40, 50]]
        await shown.press("comma", "comma")
        assert shown.reading[0] == "step 10"


@pytest.mark.parametrize("size", SIZES)
async def test_a_single_point_is_visible(size: tuple[int, int]) -> None:
    async with chart(CurveSource(_3=line(5)), GLOROT, size=size) as shown:
        assert shown.drawn(ScatterPlot) == [[50]]
        assert any("●" in row for row in shown.canvas)


async def test_signs_of_coinciding_points_are_drawn_side_by_side() -> None:
    coinciding = CurveSource(_1=line(5), _2=line(5.01), _3=line(4.99))
    async with chart(coinciding, *(Series("he", (number,)) for number in (1, 2, 3))) as shown:
        assert any(all(sign in row for sign in "●123") for row in shown.canvas)


async def test_the_axis_labels_of_a_huge_loss_are_readable() -> None:
    async with chart(CurveSource(_3=line(1, 1e30, 4e120)), GLOROT, size=(80, 24)) as shown:
        await shown.press("l")
        margin = ["".join(row).strip() for row in shown.screen.query_one("#margin-left", PlotCanvas)._buffer]
        assert "4.0e120" in margin
        assert "0" in margin
        await shown.press("y")
        margin = ["".join(row).strip() for row in shown.screen.query_one("#margin-left", PlotCanvas)._buffer]
        assert "1e100" in margin
        assert "1" in margin


async def test_moving_the_cursor_shows_values_without_rereading_or_redrawing() -> None:
    source = three_curves()
    async with chart(source, HE, GLOROT) as shown:
        requested, datasets = list(source.requested), list(shown.plot._datasets)
        await shown.press("comma")
        assert shown.reading[0].startswith("step 10")
        assert "50.0 ± 127.1" in shown.reading[1]
        await shown.press("less_than_sign")
        assert shown.reading[0].startswith("step 0")
        at_start = [row.index("│") for row in shown.canvas[1:-1] if "│" in row]
        await shown.press("greater_than_sign")
        assert shown.reading[0].startswith("step 20")
        at_end = [row.index("│") for row in shown.canvas[1:-1] if "│" in row]
        assert max(at_start) < min(at_end)
        assert len(set(at_end)) == 1
        assert source.requested == requested
        assert all(now is before for now, before in zip(shown.plot._datasets, datasets, strict=True))


async def test_the_view_is_zoomed_panned_fitted_and_reset() -> None:
    async with chart(three_curves(), HE, GLOROT) as shown:
        home = shown.plot._viewport
        await shown.press("plus")
        near = shown.plot._viewport
        assert near.right - near.left == pytest.approx(0.7 * (home.right - home.left))
        assert near.top - near.bottom == pytest.approx(0.7 * (home.top - home.bottom))
        assert shown.title.endswith("zoomed")
        await shown.press("left", "up")
        moved = shown.plot._viewport
        assert moved.left < near.left
        assert moved.top > near.top
        await shown.press("minus", "0")
        assert shown.plot._viewport == home
        assert not shown.title.endswith("zoomed")
        await shown.press("z")
        assert (shown.plot._viewport.bottom, shown.plot._viewport.top) == (home.bottom, home.top)
        await shown.press("home", "f")
        assert shown.plot._viewport.top < 90
        await shown.press("l")
        assert shown.plot._viewport.top < 10


async def test_no_key_moves_the_curves_out_of_view() -> None:
    async with chart(three_curves(), HE) as shown:
        home = shown.screen.axes.home
        assert home is not None
        for action in ("pan(0, 1)", "pan(1, 0)", "zoom(1)", "zoom(-1)", "pan(-1, -1)"):
            for _ in range(40):
                await shown.screen.run_action(action)
            assert shown.plot._viewport.is_readable_in(home)


async def test_the_view_follows_the_cursor() -> None:
    async with chart(CurveSource(_3=line(*range(100))), GLOROT) as shown:
        await shown.press("z", "z", "z", *["less_than_sign"] * 9)
        assert shown.reading[0] == "step 90"
        assert shown.plot._viewport.left <= 90 <= shown.plot._viewport.right


async def test_curves_grow_while_a_chosen_view_stays() -> None:
    source = three_curves()
    async with chart(source, HE, GLOROT) as shown:
        source.curves[3, "test"] = line(1, 5, 7, 9)
        shown.screen.refresh_runs({3, 99})
        await shown.until(lambda: len(shown.drawn()[1]) == 4)
        assert shown.reading[0] == "step 30"
        await shown.press("plus")
        held = shown.plot._viewport
        source.curves[3, "test"] = line(1, 5, 7, 9, 9)
        shown.screen.refresh_runs([3])
        await shown.until(lambda: len(shown.drawn()[1]) == 5)
        assert shown.plot._viewport == held


async def test_growing_runs_are_read_at_most_twice_a_second() -> None:
    source = three_curves()
    async with chart(source, GLOROT) as shown:
        started, before = asyncio.get_running_loop().time(), len(source.requested)
        while len(source.requested) < before + 2:
            shown.screen.refresh_runs([3])
            await shown.pilot.pause()
        assert asyncio.get_running_loop().time() - started >= 0.5


async def test_each_split_is_read_once_and_again_only_after_a_change() -> None:
    source = three_curves()
    async with chart(source, HE, GLOROT) as shown:
        await shown.press("t", "t", "t")
        assert sorted(source.requested) == [(run, split) for run in (1, 2, 3) for split in ("test", "train")]
        shown.screen.refresh_runs([1])
        await shown.until(lambda: source.requested[6:] == [(1, "train")])
        await shown.press("t")
        assert source.requested[6:] == [(1, "train"), (1, "test")]


async def test_the_title_shows_the_progress_of_reading() -> None:
    source, gate = three_curves(), asyncio.Event()

    async def load(run_id: int, split: str) -> Curve:
        if run_id == 2:
            await gate.wait()
        return await source.load(run_id, split)

    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.push_screen(ChartScreen([HE, GLOROT], load))
        shown = ShownChart(pilot)
        await shown.until(lambda: shown.title.endswith("reading 2 of 3 curves"))
        gate.set()
        await shown.settle()
        assert "reading" not in shown.title
        assert shown.drawn()


async def test_an_empty_chart_shows_the_reason_and_a_key_that_helps() -> None:
    source = three_curves()
    source.curves[3, "test"] = NOTHING
    async with chart(source, GLOROT) as shown:
        assert shown.text("#chart-empty") == "nothing recorded yet on test: press t for train"
        assert not shown.plot.display
        await shown.press("t")
        assert shown.plot.display
        assert shown.drawn() == [[10, 50, 70]]


async def test_values_that_cannot_be_drawn_are_explained() -> None:
    async with chart(CurveSource(_3=line(math.nan, math.nan)), GLOROT) as shown:
        assert "is finite" in shown.text("#chart-empty")
    async with chart(CurveSource(_3=line(0, 0)), GLOROT) as shown:
        await shown.press("y")
        assert "press y" in shown.text("#chart-empty")
    async with chart(CurveSource()) as shown:
        assert "mark groups" in shown.text("#chart-empty")


async def test_seeds_without_data_are_counted_in_the_legend() -> None:
    source = three_curves()
    source.curves[2, "test"] = NOTHING
    async with chart(source, HE) as shown:
        assert "he_normal 1 of 2" in shown.reading[1]


async def test_a_run_that_cannot_be_read_is_named_with_the_error() -> None:
    source = three_curves()

    async def load(run_id: int, split: str) -> Curve:
        if run_id == 3:
            raise InvalidInputError.of("store", "store lab.db was removed")
        return await source.load(run_id, split)

    app: App[None] = App()
    async with app.run_test() as pilot:
        await app.push_screen(ChartScreen([HE, GLOROT], load))
        shown = ShownChart(pilot)
        await shown.settle()
        assert shown.title.endswith("run 3 cannot be read: store lab.db was removed")
        assert shown.drawn() == [[20, 50, 85]]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (60, 15)])
async def test_names_that_do_not_fit_can_be_paged_through(size: tuple[int, int]) -> None:
    names = [f"random_normal with a very long name σ=0.{number:02}" for number in range(50)]
    source = CurveSource(**{f"_{number}": line(1, number / 5) for number in range(50)})
    async with chart(source, *(Series(name, (number,)) for number, name in enumerate(names)), size=size) as shown:
        seen: set[str] = set()
        while seen != set(names):
            assert max(map(len, shown.reading)) <= size[0] - 2
            seen |= {name for name in names if name[-4:] in shown.text("#chart-reading")}
            await shown.press("g")
            assert "more: press g" in shown.text("#chart-reading")


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark"])
async def test_the_chart_is_drawn_in_every_theme_and_without_colours(
    theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with chart(three_curves(), HE, GLOROT, theme=theme) as shown:
        assert shown.drawn()
    monkeypatch.setenv("NO_COLOR", "1")
    async with chart(three_curves(), HE, GLOROT, theme=theme) as shown:
        assert sum(row.count("2") for row in shown.canvas) == 2


async def test_the_chart_fits_a_resized_terminal() -> None:
    async with chart(three_curves(), HE, GLOROT) as shown:
        for size in [(80, 24), (200, 50), (40, 10), (120, 36)]:
            await shown.pilot.resize_terminal(*size)
            await shown.settle()
            assert shown.screen.query_one("#chart-reading").region.right <= size[0]
            assert any("2" in row for row in shown.canvas)


@pytest.mark.parametrize("key", ["escape", "q", "c"])
async def test_the_chart_closes(key: str) -> None:
    async with chart(three_curves(), HE) as shown:
        await shown.pilot.press(key)
        await shown.pilot.pause()
        assert not isinstance(shown.pilot.app.screen, ChartScreen)


async def test_a_closed_chart_is_released_from_memory() -> None:
    async with chart(three_curves(), HE) as shown:
        screen = weakref.ref(shown.screen)
        await shown.pilot.press("escape")
        await shown.until(lambda: not isinstance(shown.pilot.app.screen, ChartScreen))
        await shown.until(lambda: gc.collect() is not None and screen() is None)


async def test_the_footer_fits_eighty_columns() -> None:
    async with chart(three_curves(), HE, size=(80, 24)) as shown:
        labels = [key for key in CHART if key.show]
        assert sum(len(key.label) + len(key.shown.split(", ")[0]) + 2 for key in labels) <= 80
        assert shown.screen.query_one(KeyFooter).region.width == 80
