"""The results pane with simulated runs: order, filter, marks, details, names, tags, deleting."""

from __future__ import annotations

import re
from functools import partial

import pytest
from textual.widgets import Input, OptionList

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import progress
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.tui.screens.chart import ChartScreen
from initlab_tui.tui.screens.details import DetailsScreen
from initlab_tui.tui.screens.dialogs import Ask, Choose
from tests.tui.conftest import (
    ESCAPED,
    HOSTILE,
    VERY_WIDE,
    WIDE,
    Bench,
    Lab,
    Result,
    by_initializer,
    comparison,
    open_lab,
)

pytestmark = pytest.mark.asyncio

INITIALIZERS = ("random_normal:stddev=1.0", "glorot_uniform", "he_normal")

LONG = "random_uniform:minval=-0.5,maxval=0.5"


@pytest.fixture
def three(bench: Bench) -> Store:
    """One finished comparison of three initializers over three seeds."""
    bench.train(comparison(*INITIALIZERS), by_initializer)
    return bench.store


def names(lab: Lab) -> list[str]:
    """Return the initializers in the table, from the top."""
    known = ("he_normal", "glorot_uniform", "random_normal", "zeros", "ones")
    words = [line.split() for line in lab.text_of("#leaderboard").splitlines()[1:]]
    return [word for line in words for word in line if word in known]


def line_of(lab: Lab, text: str) -> str:
    return next((line for line in lab.text_of("#leaderboard").splitlines() if text in line), "")


def has_words(lab: Lab, words: str) -> bool:
    return words in lab.results


async def test_the_leaderboard_shows_ranks_differences_and_diverged_groups(bench: Bench) -> None:
    bench.train(comparison(*INITIALIZERS, "ones"), by_initializer)
    async with open_lab(bench.store, VERY_WIDE) as lab:
        assert names(lab) == ["he_normal", "glorot_uniform", "random_normal", "ones"]
        assert "1 he_normal 96.0 ± 2.5 3 " in lab.results
        assert "-25.0 ± 0.0" in line_of(lab, "random_normal σ=1.0")
        assert "diverged" in line_of(lab, "ones")
        assert "#1 he_normal is better than #2 glorot_uniform by 5.0 ± 0.0 points" in lab.results
        await lab.until(lambda: all("█" in line_of(lab, name) for name in names(lab)))


async def test_n_grows_as_seeds_finish_and_the_cursor_stays_on_its_row(bench: Bench) -> None:
    bench.train(comparison("zeros", "glorot_uniform"), by_initializer)
    async with open_lab(bench.store) as lab:
        await lab.press("3", "down")
        bench.queue(comparison("he_normal"))
        for measured in ("95.0 1 ", "95.5 ± 6.4 2 ", "96.0 ± 2.5 3 "):
            run = bench.begin()
            bench.end(run, by_initializer(run))
            await lab.until(partial(has_words, lab, measured))
        assert names(lab) == ["he_normal", "glorot_uniform", "zeros"]
        assert lab.app.lab.results.leaderboard.cursor == 2


async def test_the_leaderboard_is_sorted_by_dialog_or_header_and_in_reverse(three: Store) -> None:
    async with open_lab(three) as lab:
        await lab.press("3", "s")
        assert isinstance(lab.app.screen, Choose)
        assert lab.app.screen.query_one(OptionList).get_option_at_index(1).id == "initializer"
        await lab.press("down", "enter")
        assert names(lab) == ["glorot_uniform", "he_normal", "random_normal"]
        assert "initializer▼" in lab.results
        board = lab.app.lab.results.leaderboard
        title = lab.text_of("#leaderboard").splitlines()[0].index("initializer")
        await lab.click(board, (title, 0))
        assert names(lab) == ["random_normal", "he_normal", "glorot_uniform"]
        assert "initializer▲" in lab.results
        await lab.press("s", "escape")
        assert names(lab) == ["random_normal", "he_normal", "glorot_uniform"]
        await lab.click(board, (lab.text_of("#leaderboard").splitlines()[0].index("acc %"), 0))
        assert names(lab) == ["he_normal", "glorot_uniform", "random_normal"]


async def test_retry_queues_all_marked_runs_again_that_can_be_retried(bench: Bench) -> None:
    bench.queue(comparison("he_normal", "zeros", "ones", seeds=1))
    progress.release(bench.store, bench.begin(), RunStatus.FAILED, "the disk is full")
    bench.end(bench.begin(), Result())
    progress.release(bench.store, bench.begin(), RunStatus.STOPPED)
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.press("3", "home", "R")
        await lab.until(lambda: "Run 2 is done: only failed, crashed and stopped" in lab.notifications)
        await lab.press("space", "space", "space")
        await lab.until("3 marked")
        await lab.press("R")
        await lab.until(lambda: "Queued 2 runs again. 1 run left out: only failed, crashed and" in lab.notifications)
        assert bench.statuses() == ["failed", "done", "stopped", "queued", "queued"]


async def test_the_filter_applies_while_typing_and_escape_clears_it(three: Store) -> None:
    async with open_lab(three) as lab:
        await lab.press("3", "slash", *"alqx")
        assert names(lab) == []
        assert "No group contains all of “alqx”. Esc shows all 3 groups again." in lab.results
        assert lab.is_at_home
        assert len(list_runs(three)) == 9
        await lab.press("backspace", "backspace")
        assert names(lab) == ["he_normal", "random_normal"]
        assert "2 of 3 groups" in lab.results
        await lab.press("enter", "down")
        assert lab.app.lab.results.leaderboard.has_focus
        assert "Filter" in lab.results
        await lab.press("escape")
        assert len(names(lab)) == 3
        assert "Filter" not in lab.results
        await lab.press("slash", "q", "enter")
        assert names(lab) == []
        await lab.press("escape")
        assert len(names(lab)) == 3


async def test_enter_opens_a_group_into_its_runs_and_a_run_into_its_details(three: Store) -> None:
    async with open_lab(three) as lab:
        board = lab.app.lab.results.leaderboard
        await lab.click(board, (10, 2))
        assert board.cursor == 1
        assert "seed" not in lab.text_of("#leaderboard")
        await lab.click(board, (10, 2))
        assert all(f"seed {seed}" in lab.results for seed in range(3))
        assert "90.0" in line_of(lab, "seed 0")
        await lab.press("3", "down", "down", "enter")
        assert isinstance(lab.app.screen, DetailsScreen)
        await lab.until("run 5: done")
        await lab.press("right")
        await lab.until("run 6: done")
        await lab.press("left", "left")
        await lab.until("run 4: done")
        await lab.press("escape", "up", "up", "enter")
        assert "seed" not in lab.text_of("#leaderboard")
        await lab.press("i")
        await lab.until("run 2: done")


async def test_the_chart_draws_the_marked_groups_or_all_without_marks(three: Store) -> None:
    async with open_lab(three) as lab:
        await lab.press("3", "space", "down", "space")
        assert "2 marked" in lab.results
        assert line_of(lab, "he_normal").split()[0].startswith("●")
        await lab.press("c")
        assert isinstance(lab.app.screen, ChartScreen)
        assert [series.label for series in lab.app.screen.series] == ["he_normal", "random_normal σ=1.0"]
        assert lab.app.screen.series[0].runs == (3, 6, 9)
        await lab.until("96.0 ± 2.5")
        await lab.press("escape", "escape")
        assert "marked" not in lab.results
        await lab.press("c")
        assert isinstance(lab.app.screen, ChartScreen)
        assert len(lab.app.screen.series) == 3


async def test_deleted_runs_can_be_restored(three: Store) -> None:
    async with open_lab(three) as lab:
        await lab.press("3", "down", "d")
        await lab.until(lambda: names(lab) == ["he_normal", "random_normal"])
        assert len(list_runs(three)) == 6
        assert "Deleted 3 runs" in lab.notifications
        await lab.press("space", "delete")
        await lab.until(lambda: names(lab) == ["he_normal"])
        await lab.press("u")
        await lab.until(lambda: len(names(lab)) == 2)
        await lab.press("ctrl+z")
        await lab.until(lambda: len(names(lab)) == 3)
        assert len(list_runs(three)) == 9
        await lab.press("u")
        await lab.until(lambda: "There are no deleted runs" in lab.notifications)
        await lab.press("space", "space", "space", "d")
        await lab.until(lambda: names(lab) == [])
        await lab.press("u")
        await lab.until(lambda: len(names(lab)) == 3)


async def test_deleting_a_running_run_is_refused_with_a_reason(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=1))
    bench.begin()
    async with open_lab(bench.store) as lab:
        await lab.press("3", "d")
        await lab.until(lambda: "cannot delete run 1: stop it first" in lab.notifications)
        assert bench.statuses() == ["running"]
        assert names(lab) == ["zeros"]


async def test_names_and_tags_can_be_given_and_filtered_by(three: Store) -> None:
    async with open_lab(three, VERY_WIDE) as lab:
        await lab.press("3", "n")
        box = lab.app.screen.query_one(Input)
        box.value = "n" * 61
        await lab.until("name must be at most 60 printable characters, got 61")
        await lab.press("enter")
        assert isinstance(lab.app.screen, Ask)
        await lab.retype("Mine")
        await lab.press("enter")
        await lab.until(lambda: line_of(lab, "Mine"))
        assert {run.name for run in list_runs(three)} == {"", "Mine"}
        await lab.press("t", *"b, a b", "enter")
        await lab.until(lambda: line_of(lab, "Mine").endswith(" b a"))
        await lab.clear()
        await lab.press("slash", *"A mine", "enter")
        assert "1 of 3 groups" in lab.results
        await lab.press("n")
        assert lab.app.screen.query_one(Input).value == "Mine"
        await lab.press("escape")


@pytest.fixture
def hostile(bench: Bench) -> Store:
    """Two custom initializers with names, tags and parameters that contain control characters."""
    wanted = comparison(*(f"import:a.{name}:note={HOSTILE}" for name in "BC"), seeds=2)
    accuracies = iter((0.9, 0.5, 0.91, 0.51))
    ids = bench.train(wanted, lambda run: Result(next(accuracies)))
    for run_id in ids[::2]:
        bench.set(run_id, name=HOSTILE, tags=HOSTILE)
    return bench.store


async def test_hostile_names_tags_and_parameters_are_shown_as_plain_text(hostile: Store) -> None:
    async with open_lab(hostile, VERY_WIDE) as lab:
        await lab.until(lambda: f"#1 a.B note={ESCAPED} is better than" in lab.results)
        await lab.press("3", "enter")
        assert f"a.B note={ESCAPED[:20]}" in lab.results
        assert line_of(lab, f"seed 0 {ESCAPED}")
        await lab.press("c")
        await lab.until(lambda: f"1━ a.B note={ESCAPED[:12]}" in lab.text)
        assert lab.control_characters == set()
        await lab.press("escape")
        for key in ("n", "t"):
            await lab.press("3", key)
            assert "[red]x[/red]" in lab.text_of(lab.app.screen.query_one(Input))
            assert lab.control_characters == set()
            await lab.press("escape")
        await lab.press("slash")
        lab.app.lab.results.query_one(Input).value = HOSTILE[3:]
        await lab.pilot.pause()
        assert "No group contains all of" in lab.results
        assert lab.control_characters == set()


async def test_the_columns_up_to_the_curves_fit_into_120_columns_and_vs_shows_its_question_mark(bench: Bench) -> None:
    accuracies = dict(zip(("glorot_uniform", "random_normal:stddev=0.05", LONG), (0.9, 0.895, 0.6), strict=True))
    change = (0.0, 0.031, -0.024)

    def result(run: Run) -> Result:
        initializer = str(run.spec.initializer)
        sign = -1 if initializer == "glorot_uniform" else 1
        return Result(accuracies[initializer] + sign * change[run.spec.seed])

    bench.train(comparison(*accuracies), result)
    async with open_lab(bench.store, WIDE) as lab:
        await lab.until(lambda: "random_uni…maxval=0.5 " in lab.text_of("#leaderboard"))
        heading, *rows = lab.text_of("#leaderboard").splitlines()
        assert heading.split()[-6:] == ["vs", "#1", "train", "loss", "train", "acc"]
        assert "random_normal σ=0.05 " in rows[1]
        assert re.search(r"± \d+\.\d \?( |$)", rows[1])
        await lab.pilot.resize_terminal(*VERY_WIDE)
        await lab.until(lambda: "random_uniform minval=-0.5,maxval=0.5 " in lab.text_of("#leaderboard"))
