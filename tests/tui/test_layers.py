"""The layers on the screen: live in the training pane, as a heat map, on the board and on a run's page."""

from __future__ import annotations

import math

import pytest

from initlab_tui.domain.events import LayersMeasured, Stepped
from initlab_tui.domain.layers.diagnosis import Diagnosis, Measurement
from initlab_tui.reports.layers import layer_lines
from initlab_tui.store import progress
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.store.runs import Run
from initlab_tui.tui.heatmap import FIGURES, heat_map
from initlab_tui.tui.screens.layers import LayersScreen
from tests.store.test_layer_statistics import health
from tests.tui.conftest import NARROW, VERY_WIDE, WIDE, Bench, Lab, Result, by_start, comparison, opened

STD, DEAD = FIGURES[1], next(figure for figure in FIGURES if "dead" in figure.title)


def at(step: int, measured: Measurement) -> StoredMeasurement:
    return StoredMeasurement(step, measured, Diagnosis("healthy", ""))


def test_a_map_is_of_layers_by_steps_on_a_logarithmic_scale() -> None:
    found = heat_map([at(0, health(0.01)), at(5, health(0.1)), at(9, health(1.0))], STD)
    assert (found.layers, found.steps) == (("dense_1", "dense_2", "logits"), (0, 5, 9))
    assert found.values[1] == (0.01, 0.1, 1.0)
    assert found.bounds == (0.01, 1.0)
    assert [found.place(1, column) for column in range(3)] == pytest.approx([0, 0.5, 1])


def test_what_cannot_be_drawn_has_no_place_and_a_share_a_scale_of_its_own() -> None:
    found = heat_map([at(0, health(0.0)), at(5, health(math.nan)), at(9, health(math.inf))], STD)
    assert [found.place(1, column) for column in range(3)] == [None, None, None]
    shares = heat_map([at(0, health(dead=0.25))], DEAD)
    assert shares.bounds == (0, 1)
    assert [shares.place(row, 0) for row in range(3)] == [0.1, 0.25, None]
    assert heat_map([], STD).values == ()


def measure(bench: Bench, run: Run, *levels: float) -> None:
    for number, level in enumerate(levels):
        progress.record(bench.store, run, [LayersMeasured(3 * number, health(level), 0.01)])


@pytest.mark.asyncio
async def test_the_layers_are_live_and_what_is_ill_is_marked(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=1))
    run = bench.begin(0.3)
    measure(bench, run, 1.0)
    async with opened(bench.store, WIDE) as lab:
        await lab.until(lambda: "signal" in lab.training and "✓ healthy (step 0)" in lab.training)
        progress.record(
            bench.store, run, [Stepped(7, (2.0,), (0.1,), 0.1, 128), LayersMeasured(7, health(0.001), 0.01)]
        )
        await lab.until(lambda: "▽ vanishing forward (dense_2, step 7)" in lab.training)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [NARROW, WIDE, VERY_WIDE], ids=str)
async def test_the_heat_map_shows_any_figure_and_the_value_under_the_cursor(
    bench: Bench, size: tuple[int, int]
) -> None:
    bench.queue(comparison("zeros", seeds=1))
    run = bench.begin(0.5)
    measure(bench, run, 1.0, 0.5, 0.25)
    async with opened(bench.store, size) as lab:
        await open_layers(lab)
        assert "dense_1, step 6: 1" in lab.text  # the last measurement first
        await lab.press("down", "m")
        assert "deviation of the activations" in lab.text
        assert "dense_2, step 6: 0.25" in lab.text
        await lab.press("left", "left", "left")
        assert "dense_2, step 0: 1" in lab.text
        await lab.press("n", "n")
        assert "largest |cosine|" in lab.text
        progress.record(bench.store, run, [LayersMeasured(9, health(0.125), 0.01)])
        await lab.press("m", "m", "right", "right", "right", "right")
        await lab.until(lambda: "dense_2, step 6: 0.25" in lab.text or "dense_2, step 9: 0.125" in lab.text)
        await lab.press("escape")
        assert lab.is_at_home


async def open_layers(lab: Lab) -> None:
    await lab.press("2", "l")
    assert isinstance(lab.app.screen, LayersScreen)
    await lab.until(lambda: "deviation of the pre-activations" in lab.text)


@pytest.mark.asyncio
async def test_a_run_without_measurements_says_so(bench: Bench) -> None:
    bench.train(comparison("zeros", seeds=1), lambda _: Result(0.1))
    async with opened(bench.store, NARROW) as lab:
        await lab.press("3", "l")
        await lab.until(lambda: "Nothing was measured of this run's layers yet." in lab.text)


@pytest.mark.asyncio
async def test_step_0_stands_beside_the_accuracy_reached_where_it_differs(bench: Bench) -> None:
    wanted = comparison("he_normal", "zeros", seeds=2)
    bench.queue(wanted)
    for _ in wanted.runs():
        run = bench.begin()
        measure(bench, run, 1.0 if str(run.spec.initializer) == "he_normal" else 0.001)
        bench.end(run, by_start(run))
    async with opened(bench.store, VERY_WIDE) as lab:
        await lab.until(lambda: "signal at init" in lab.results)
        assert "vanishing forward" in lab.results
        await lab.press("3", "enter", "down", "enter")
        await lab.until("layers at step 0")
        await lab.press("l")
        await lab.until(lambda: "deviation of the pre-activations" in lab.text)
    for size in (NARROW, WIDE):
        async with opened(bench.store, size) as lab:
            await lab.press("3")
            await lab.until(lambda: " init " in lab.results)
            assert "1 he_normal ✓ 95.5" in lab.results
            assert "2 zeros ▽ 10.5" in lab.results


@pytest.mark.asyncio
async def test_where_there_is_room_every_layer_has_its_figures_and_the_ill_one_its_sign(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=1))
    measure(bench, bench.begin(0.3), 0.001)
    async with opened(bench.store, VERY_WIDE) as lab:
        await lab.until(lambda: "ΔW/W" in lab.training)
        figures = {line.split()[0]: line.split()[1:] for line in lab.text_of("#by-layer").splitlines() if line.strip()}
        assert list(figures) == ["layer", "dense_1", "dense_2"]
        assert figures["dense_2"][0] == "0.0010"
        assert figures["dense_2"][-1] == "▽"
        assert figures["dense_1"][-1] != "▽"
    async with opened(bench.store, WIDE) as lab:
        await lab.until(lambda: "signal" in lab.training)
        assert "ΔW/W" not in lab.training


def test_of_more_layers_than_lines_the_first_the_last_and_the_ill_one_are_told() -> None:
    one = health(1.0)
    deep = Measurement(tuple(one.layers[0]._replace(layer=f"dense_{n}") for n in range(1, 201)), one.network)
    for ill in ("dense_77", "dense_1", "dense_199"):
        told = [line.plain.split()[0] for line in layer_lines(deep, Diagnosis("dead", "", ill), 12)]
        assert len(told) == 13
        assert {"dense_1", ill, "dense_199"} <= set(told)  # of 200 the last makes the logits
        assert told[1:] == sorted(told[1:], key=lambda name: int(name[6:]))
