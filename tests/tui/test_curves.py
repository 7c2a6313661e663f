"""The data of a chart, compared with values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlab_tui.domain.statistics.intervals import estimate
from initlab_tui.store.curves import Curve
from initlab_tui.tui.chart import curves
from initlab_tui.tui.chart.axes import Axes, Viewport, enclosing
from initlab_tui.tui.chart.cursor import Cursor
from initlab_tui.tui.chart.dots import band_dots, braille, line_dots, sign_places
from initlab_tui.tui.chart.options import Options
from initlab_tui.tui.chart.ticks import log_ticks, nice_ticks

NAN = math.nan
PLANE = Viewport(0, 10, 0, 8)


def curve(steps: list[int], losses: list[float]) -> Curve:
    return Curve(tuple(steps), tuple(losses), tuple(loss / 10 for loss in losses))


def test_smoothing_is_the_debiased_average_of_tensorboard() -> None:
    # Debiased with weight w: (x0, (w·x0 + x1)/(1 + w), ...)
    assert curves.smooth(np.array([1.0, 4.0, 4.0]), 0.5) == pytest.approx([1, 3, (1 + 2 * 4 + 4 * 4) / 7])


def test_smoothing_keeps_a_gap_and_continues_after_it() -> None:
    smoothed = curves.smooth(np.array([2.0, NAN, math.inf, 2.0]), 0.9)
    assert smoothed.tolist() == pytest.approx([2, NAN, NAN, 2], nan_ok=True)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1), st.sampled_from([0.0, 0.5, 0.9, 0.99]))
def test_smoothed_values_stay_between_the_extremes(values: list[float], weight: float) -> None:
    smoothed = curves.smooth(np.array(values), weight)
    assert smoothed.min() >= min(values) - 1e-3
    assert smoothed.max() <= max(values) + 1e-3


def test_a_group_has_its_mean_and_the_same_interval_as_the_leaderboard() -> None:
    line = curves.line([curve([0, 10], [1, 3]), curve([0, 10], [2, 5]), curve([0, 10], [3, 7])], "loss")
    assert line.mean.tolist() == [2, 5]
    mean, half = line.at(10)
    assert (mean, half) == pytest.approx((5, estimate([3.0, 5.0, 7.0]).half_width))


def test_a_single_run_has_no_interval_and_accuracies_are_in_percent() -> None:
    line = curves.line([curve([0, 10], [1, 3])], "accuracy")
    assert line.half is None
    assert line.at(5) == pytest.approx((20, None))
    assert math.isnan(line.at(11)[0])


def test_seeds_recorded_at_different_steps_are_interpolated_over_their_common_range() -> None:
    line = curves.line([curve([0, 10, 20], [0, 10, 20]), curve([5, 15], [105, 115])], "loss")
    assert line.steps.tolist() == [5, 10, 15]
    assert line.mean.tolist() == [55, 60, 65]


def test_a_seed_without_data_is_left_out_and_a_diverged_seed_ends_the_mean() -> None:
    line = curves.line([curve([], []), curve([0, 1, 2], [1, 1, 1]), curve([0, 1, 2], [3, NAN, NAN])], "loss")
    assert len(line.runs) == 2
    assert line.mean.tolist() == pytest.approx([2, NAN, NAN], nan_ok=True)


def test_an_empty_curve_has_nothing_to_draw() -> None:
    line = curves.line([curve([], [])], "loss")
    assert math.isnan(line.at(0)[0])
    assert not len(curves.cursor_steps([line]))
    assert enclosing([(line.steps, line.mean)]) is None


def test_a_value_without_a_logarithm_becomes_a_gap() -> None:
    logged = curves.logged(np.array([100, 0, -1, NAN, math.inf, 0.1]))
    assert logged.tolist() == pytest.approx([2, NAN, NAN, NAN, NAN, -1], nan_ok=True)


def test_a_line_is_split_at_its_gaps() -> None:
    parts = curves.segments(np.arange(6.0), np.array([NAN, 1, 2, NAN, NAN, 5]))
    assert [(x.tolist(), y.tolist()) for x, y in parts] == [([1, 2], [1, 2]), ([5], [5])]
    assert not list(curves.segments(np.arange(2.0), np.array([NAN, NAN])))


def test_the_cursor_moves_over_the_steps_at_which_any_line_has_a_value() -> None:
    lines = [curves.line([curve([0, 2], [1, NAN])], "loss"), curves.line([curve([1], [1])], "loss")]
    assert curves.cursor_steps(lines).tolist() == [0, 1]


def test_a_viewport_encloses_all_points_and_has_an_extent_even_for_one() -> None:
    view = enclosing([(np.array([0.0, 100.0]), np.array([1.0, 3.0]))])
    assert view is not None
    assert (view.left, view.right, view.bottom, view.top) == pytest.approx((0, 105, 0.9, 3.1))
    single = enclosing([(np.array([5.0]), np.array([0.0]))])
    assert single is not None
    assert single.left < single.right
    assert single.bottom < single.top


@given(st.floats(0, 10), st.floats(0, 8))
def test_zooming_keeps_the_anchor_in_place_and_can_be_undone(x: float, y: float) -> None:
    zoomed = PLANE.zoomed(0.5, x, y)
    assert (x - zoomed.left) / (zoomed.right - zoomed.left) == pytest.approx(x / 10)
    back = zoomed.zoomed(2, x, y)
    assert (back.left, back.right, back.bottom, back.top) == pytest.approx((0, 10, 0, 8), abs=1e-9)


def test_panning_moves_and_zooming_steps_keeps_the_values() -> None:
    assert PLANE.panned(0.1, -0.5) == Viewport(1, 11, -4, 4)
    assert PLANE.zoomed(0.5, 10, 4, steps_only=True) == Viewport(5, 10, 0, 8)


def test_a_viewport_outside_the_data_or_of_an_extreme_size_is_not_readable() -> None:
    assert PLANE.panned(0.9, 0.9).is_readable_in(PLANE)
    assert not PLANE.panned(1.1, 0).is_readable_in(PLANE)
    assert not PLANE.zoomed(1e-5, 5, 4).is_readable_in(PLANE)
    assert not PLANE.zoomed(5, 5, 4).is_readable_in(PLANE)


def test_a_sloping_line_is_a_diagonal_of_dots() -> None:
    dots = line_dots(np.array([0.0, 10.0]), np.array([0.0, 8.0]), PLANE, columns=4, rows=2)
    assert dots.shape == (8, 8)
    assert np.array_equal(np.argmax(dots, axis=0), np.arange(7, -1, -1))


def test_a_peak_between_two_columns_of_dots_is_drawn() -> None:
    x, y = np.array([0.0, 5.1, 5.2, 5.3, 10.0]), np.array([0.5, 0.5, 7.5, 0.5, 0.5])
    assert line_dots(x, y, PLANE, columns=4, rows=2)[0].any()


def test_points_outside_the_viewport_leave_no_dots() -> None:
    outside = line_dots(np.array([0.0, 10.0]), np.array([90.0, 1e300]), PLANE, columns=4, rows=2)
    assert not outside.any()
    assert not line_dots(np.array([-5.0, -1.0]), np.array([4.0, 4.0]), PLANE, columns=4, rows=2).any()


def test_a_band_fills_the_area_between_its_limits_down_to_the_edge_without_a_lower_logarithm() -> None:
    x = np.array([0.0, 10.0])
    half = band_dots(x, np.array([4.0, 4.0]), np.array([8.0, 8.0]), PLANE, columns=4, rows=2)
    assert half[:4].any()
    assert not half[5:].any()
    whole = band_dots(x, np.array([-np.inf] * 2), np.array([8.0, 8.0]), PLANE, columns=4, rows=2)
    assert whole[6].any()


def test_dots_become_braille_characters() -> None:
    dots = np.zeros((4, 4), bool)
    dots[0, 0] = dots[3, 3] = True
    assert list(braille(dots)) == [(0, 0, "⠁"), (1, 0, "⢀")]


def test_a_sign_is_placed_after_the_end_of_its_line_or_along_it() -> None:
    places = list(sign_places(np.array([0.0, 5.0]), np.array([1.0, 1.0]), PLANE, columns=10, rows=8))
    assert places[:3] == [(6, 7), (5, 7), (4, 7)]
    assert places[-2:] == [(8, 7), (9, 7)]
    assert not list(sign_places(np.array([20.0]), np.array([1.0]), PLANE, columns=10, rows=8))


def test_ticks_are_round_numbers() -> None:
    assert nice_ticks(-2, 103) == [0, 20, 40, 60, 80, 100]
    assert nice_ticks(0, 3, smallest=1) == [0, 1, 2, 3]
    assert log_ticks(-3.5, 2.5) == [-3, -2, -1, 0, 1, 2]
    assert log_ticks(-3, 42) == [0, 10, 20, 30, 40]
    assert [10**tick for tick in log_ticks(-0.5, 0.8)] == pytest.approx([0.5, 1, 2, 5])


@given(st.floats(-300, 300), st.floats(1e-3, 300))
def test_every_logarithmic_axis_has_ticks_within_its_limits(low: float, extent: float) -> None:
    ticks = log_ticks(low, low + extent)
    assert 1 <= len(ticks) <= 12
    assert all(low - 1e-6 <= tick <= low + extent + 1e-6 for tick in ticks)


ACCURACY = Options(metric="accuracy")
WHOLE = Axes.around([(np.array([0.0, 100.0]), np.array([10.0, 95.0]))], {}, ACCURACY.value_limits)


def test_an_accuracy_axis_shows_0_to_100_percent_with_a_margin() -> None:
    assert WHOLE.home is not None
    assert (WHOLE.home.bottom, WHOLE.home.top) == (-2, 103)


@given(
    st.lists(st.sampled_from([(0.7, 0.0, 0.0), (1 / 0.7, 0.0, 0.0), (1.0, 0.0, 0.1), (1.0, 0.1, -0.1)]), max_size=40)
)
def test_zooming_and_panning_never_move_an_accuracy_axis_beyond_0_to_100_percent(
    moves: list[tuple[float, float, float]],
) -> None:
    axes = WHOLE
    for factor, across, up in moves:
        assert axes.viewport is not None
        axes = axes.holding(axes.viewport.zoomed(factor, 100, 20).panned(across, up))
    assert axes.viewport is not None
    assert -2 - 1e-9 <= axes.viewport.bottom < axes.viewport.top <= 103 + 1e-9


def test_a_logarithmic_accuracy_axis_has_no_lower_limit() -> None:
    assert Options(log=True).value_limits == pytest.approx((-math.inf, math.log10(103)))
    moved = Viewport(0, 1, 0, 2).with_values_within(-math.inf, math.log10(103))
    assert (moved.bottom, moved.top) == (0, 2)


def test_changing_the_metric_keeps_the_chosen_steps_but_not_the_chosen_values() -> None:
    axes = WHOLE.holding(Viewport(10, 20, 30, 40))
    assert axes.with_values_released().held == {"left": 10, "right": 20}


def test_the_cursor_follows_the_last_step_until_it_is_moved() -> None:
    cursor = Cursor(np.array([0.0, 10.0]))
    assert cursor.step == 10
    assert Cursor(np.array([0.0, 10.0, 20.0]), cursor.chosen).step == 20
    assert cursor.moved(-1).step == 0
    assert cursor.moved(-5).moved(9).chosen is None
    assert Cursor().moved(1).step is None
