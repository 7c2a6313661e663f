from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlab_tui.domain.statistics.intervals import estimate, t_quantile
from initlab_tui.domain.statistics.paired import paired_differences


def test_the_interval_is_students_t_interval() -> None:
    # Five values 1..5: mean 3, s = 1.5811, t(0.975, 4) = 2.7764, so 3 ± 1.9632 (any table of t).
    measured = estimate([1, 2, 3, 4, 5])
    assert measured.mean == 3
    assert measured.ci_low == pytest.approx(1.0368, abs=1e-4)
    assert measured.ci_high == pytest.approx(4.9632, abs=1e-4)
    assert measured.half_width == pytest.approx(1.9632, abs=1e-4)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_standard_deviation_matches_the_exact_one(values: list[float]) -> None:
    measured = estimate(values)
    assert measured.stddev == pytest.approx(statistics.stdev(values), rel=1e-12, abs=1e-300)
    assert measured.mean == pytest.approx(statistics.fmean(values), rel=1e-12)


def test_equal_values_have_zero_standard_deviation_and_width() -> None:
    measured = estimate([0.1] * 7)
    assert (measured.stddev, measured.half_width) == (0.0, 0.0)


def test_one_value_has_no_interval() -> None:
    measured = estimate([0.5])
    assert (measured.mean, measured.n, measured.ci_low, measured.ci_high) == (0.5, 1, None, None)
    assert estimate([]).mean is None


def test_the_t_quantile_matches_the_table() -> None:
    # Two-sided 95 % values from any table of t, by degrees of freedom n - 1.
    assert [t_quantile(n) for n in (2, 3, 10, 31)] == pytest.approx([12.7062, 4.3027, 2.2622, 2.0423], abs=1e-4)


def test_differences_are_paired_by_seed() -> None:
    assert paired_differences({0: 0.75, 1: 0.5, 5: 0.25}, {1: 0.25, 0: 0.5, 9: 0.0}) == [0.25, 0.25]
    assert paired_differences({0: 0.75}, {1: 0.25}) == []
