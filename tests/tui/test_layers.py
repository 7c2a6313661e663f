"""Layer statistics on the screen: live in the training pane, as a heat map, on the leaderboard and in run details."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from initlab_tui.domain.events import LayersMeasured, Stepped
from initlab_tui.domain.layers.diagnosis import Diagnosis
from initlab_tui.domain.layers.measurement import Measurement
from initlab_tui.domain.layers.metrics import LAYER_METRICS
from initlab_tui.reports.layers import layer_lines
from initlab_tui.store import progress
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.store.runs import Run
from initlab_tui.tui.heatmap import heat_map
from initlab_tui.tui.screens.layers import LayersScreen
from tests.store.test_layer_statistics import measured
from tests.tui.conftest import NARROW, VERY_WIDE, WIDE, Bench, Lab, Result, by_initializer, comparison, open_lab

STD, DEAD = LAYER_METRICS["activation_std"], LAYER_METRICS["dead_share"]


def at(step: int, measurement: Measurement) -> StoredMeasurement:
    return StoredMeasurement(step, measurement, Diagnosis("healthy", ""))


def test_a_heat_map_has_layers_by_steps_on_a_logarithmic_scale() -> None:
    found = heat_map([at(0, measured(0.01)), at(5, measured(0.1)), at(9, measured(1.0))], STD)
    assert (found.layers, found.steps) == (("dense_1", "dense_2", "logits"), (0, 5, 9))
    assert found.values[1] == (0.01, 0.1, 1.0)
    assert found.bounds == (0.01, 1.0)
    assert [found.place(1, column) for column in range(3)] == pytest.approx([0, 0.5, 1])


def test_values_that_cannot_be_drawn_leave_a_gap_and_shares_have_a_fixed_scale() -> None:
    found = heat_map([at(0, measured(0.0)), at(5, measured(math.nan)), at(9, measured(math.inf))], STD)
    assert [found.place(1, column) for column in range(3)] == [None, None, None]
    shares = heat_map([at(0, measured(dead_share=0.25))], DEAD)
    assert shares.bounds == (0, 1)
    assert [shares.place(row, 0) for row in range(3)] == [0.1, 0.25, None]
    assert heat_map([], STD).values == ()


def record(bench: Bench, run: Run, *relative_rms: float) -> None:
    for number, value in enumerate(relative_rms):
        progress.record(bench.store, run, [LayersMeasured(3 * number, measured(value), 0.01)])


@pytest.mark.asyncio
async def test_the_training_pane_shows_layers_live_and_marks_a_problem(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=1))
    run = bench.begin(0.3)
    record(bench, run, 1.0)
    async with open_lab(bench.store, WIDE) as lab:
        await lab.until(lambda: "signal" in lab.training and "✓ healthy (step 0)" in lab.training)
        progress.record(
            bench.store, run, [Stepped(7, (2.0,), (0.1,), 0.1, 128), LayersMeasured(7, measured(0.001), 0.01)]
        )
        await lab.until(lambda: "▽ vanishing forward (dense_2, step 7)" in lab.training)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [NARROW, WIDE, VERY_WIDE], ids=str)
async def test_the_heat_map_shows_any_metric_and_the_value_under_the_cursor(
    bench: Bench, size: tuple[int, int]
) -> None:
    bench.queue(comparison("zeros", seeds=1))
    run = bench.begin(0.5)
    record(bench, run, 1.0, 0.5, 0.25)
    async with open_lab(bench.store, size) as lab:
        await open_layers(lab)
        assert "dense_1, step 6: 1" in lab.text  # the cursor starts on the last measurement
        await lab.press("down", "m", "m")
        assert "standard deviation of the activations" in lab.text
        assert "dense_2, step 6: 0.25" in lab.text
        await lab.press("left", "left", "left")
        assert "dense_2, step 0: 1" in lab.text
        await lab.press("n", "n", "n")
        assert "mean of the pre-activations" in lab.text
        await lab.press("n")
        assert "correlation of two inputs" in lab.text
        progress.record(bench.store, run, [LayersMeasured(9, measured(0.125), 0.01)])
        await lab.press("m", "m", "m", "m", "right", "right", "right", "right")
        await lab.until(lambda: "dense_2, step 6: 0.25" in lab.text or "dense_2, step 9: 0.125" in lab.text)
        await lab.press("escape")
        assert lab.is_at_home


async def open_layers(lab: Lab) -> None:
    await lab.press("2", "l")
    assert isinstance(lab.app.screen, LayersScreen)
    await lab.until(lambda: "standard deviation of the pre-activations" in lab.text)


@pytest.mark.asyncio
async def test_the_layers_screen_explains_that_a_run_was_not_measured_yet(bench: Bench) -> None:
    bench.train(comparison("zeros", seeds=1), lambda _: Result(0.1))
    async with open_lab(bench.store, NARROW) as lab:
        await lab.press("3", "l")
        await lab.until(lambda: "The layers of this run have not been measured yet." in lab.text)


@pytest.mark.asyncio
async def test_the_diagnosis_at_step_0_is_shown_with_the_accuracy_where_it_differs(bench: Bench) -> None:
    wanted = comparison("he_normal", "zeros", seeds=2)
    bench.queue(wanted)
    for _ in wanted.runs():
        run = bench.begin()
        record(bench, run, 1.0 if str(run.spec.initializer) == "he_normal" else 0.001)
        bench.end(run, by_initializer(run))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until(lambda: "signal at init" in lab.results)
        assert "vanishing forward" in lab.results
        await lab.press("3", "enter", "down", "enter")
        await lab.until("layers at step 0")
        await lab.press("l")
        await lab.until(lambda: "standard deviation of the pre-activations" in lab.text)
    for size in (NARROW, WIDE):
        async with open_lab(bench.store, size) as lab:
            await lab.press("3")
            await lab.until(lambda: " init " in lab.results)
            assert "1 he_normal ✓ 95.5" in lab.results
            assert "2 zeros ▽ 10.5" in lab.results


@pytest.mark.asyncio
async def test_a_large_terminal_shows_a_line_for_each_layer_and_marks_problems(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=1))
    record(bench, bench.begin(0.3), 0.001)
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until(lambda: "ΔW/W" in lab.training)
        figures = {line.split()[0]: line.split()[1:] for line in lab.text_of("#by-layer").splitlines() if line.strip()}
        assert list(figures) == ["layer", "dense_1", "dense_2"]
        assert figures["dense_2"][0] == "0.0010"
        assert figures["dense_2"][-1] == "▽"
        assert figures["dense_1"][-1] != "▽"
    async with open_lab(bench.store, WIDE) as lab:
        await lab.until(lambda: "signal" in lab.training)
        assert "ΔW/W" not in lab.training


def test_if_not_all_layers_fit_the_first_the_last_and_the_diagnosed_one_are_shown() -> None:
    one = measured(1.0)
    deep = Measurement(tuple(replace(one.layers[0], layer=f"dense_{n}") for n in range(1, 201)), one.network)
    for diagnosed in ("dense_77", "dense_1", "dense_199"):
        shown = [line.plain.split()[0] for line in layer_lines(deep, Diagnosis("dead", "", diagnosed), 12)]
        assert len(shown) == 13
        assert {"dense_1", diagnosed, "dense_199"} <= set(shown)  # the last of 200 is the logits
        assert shown[1:] == sorted(shown[1:], key=lambda name: int(name[6:]))
