from __future__ import annotations

import io
import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import estimate
from initlab_tui.domain.statistics.leaderboard import Outcome, Row, leaderboard
from initlab_tui.reports.escape import cell, plain
from initlab_tui.reports.format import about, conclusion, initializer_name, percent_interval, seconds
from initlab_tui.reports.sparkline import sparkline


@given(st.text())
def test_escaped_text_has_no_control_characters(text: str) -> None:
    shown = plain(text).replace("\n", "")
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Cs") for character in shown)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert plain(text) == text


def test_escape_sequences_and_markup_are_shown_literally() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, color_system="truecolor", width=80)
    console.print(cell("[bold red]\x1b[2J\x9b31m\u202eevil"))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "[bold red]\\x1b[2J\\x9b31m\\u202eevil\n"


def make_leaderboard(first: list[float], second: list[float], from_seed: int = 0) -> list[Row]:
    def outcomes(name: str, accuracies: list[float], seed: int) -> list[Outcome]:
        specs = [RunSpec(initializer=Initializer(name), seed=seed + index) for index in range(len(accuracies))]
        return [
            Outcome(index, spec, spec.spec_hash, RunStatus.DONE, accuracy, 1.0, 1.0, 1.0, 1, "f")
            for index, (spec, accuracy) in enumerate(zip(specs, accuracies, strict=True))
        ]

    return leaderboard([*outcomes("he_normal", first, 0), *outcomes("zeros", second, from_seed)])


def test_the_conclusion_claims_no_more_than_the_seeds_show() -> None:
    assert "he_normal is better than #2 zeros by 50" in conclusion(make_leaderboard([0.91, 0.9, 0.9], [0.4, 0.4, 0.4]))
    assert "undecided" in conclusion(make_leaderboard([0.9, 0.5, 0.7], [0.5, 0.8, 0.6]))
    assert "not enough shared seeds yet" in conclusion(make_leaderboard([0.9], [0.4]))
    assert "not enough shared seeds yet" in conclusion(make_leaderboard([0.9, 0.9], [0.4, 0.4], from_seed=5))
    # he_normal has the higher mean because of a seed that zeros lacks; over the shared seeds it is behind.
    assert "#2 zeros is better than #1" in conclusion(make_leaderboard([1.0, 0.3, 0.3], [0.4, 0.41], from_seed=1))
    assert conclusion(make_leaderboard([0.9, 0.9], [])) == ""


def test_numbers_are_formatted_for_reading() -> None:
    assert percent_interval(estimate([0.95, 0.97])) == "96.0 ± 12.7"
    assert percent_interval(estimate([0.95])) == "95.0"
    assert percent_interval(estimate([])) == "–"
    assert [seconds(value) for value in (75.2, 59.96, 119.7, 3600 * 47 + 640)] == [
        "1 min 15 s",
        "1 min 0 s",
        "2 min 0 s",
        "47 h 10 min",
    ]
    assert [about(value) for value in (0.3, 42, 59, 3500, 3590, 171_000)] == [
        "1 s",
        "40 s",
        "1 min",
        "58 min",
        "1.0 h",
        "48 h",
    ]
    assert initializer_name(Initializer.parse("random_normal")) == "random_normal σ=0.05"


def test_non_finite_values_are_gaps_in_a_sparkline() -> None:
    assert sparkline([0, 1, float("nan"), 3, float("inf")]) == "▁▃ █ "
    assert sparkline([2, 2, 2]) == "▁▁▁"
    assert sparkline([float("nan")]) == " "
    assert len(sparkline(list(range(1000)), width=40)) == 40
