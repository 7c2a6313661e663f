"""The groups and columns of the results pane, and their order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from initlab_tui.domain.statistics.leaderboard import leaderboard
from initlab_tui.store import edits
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.tui.leaderboard_columns import headings, ordered
from initlab_tui.tui.leaderboard_view import Choice, Group, groups
from tests.tui.conftest import ESCAPED, HOSTILE, Bench, Result, by_initializer, comparison

BEST_FIRST = ["he_normal", "glorot_uniform", "zeros", "ones"]


def leaderboard_groups(bench: Bench) -> tuple[Group, ...]:
    runs = {run.id: run for run in list_runs(bench.store)}
    return groups(leaderboard(run.outcome for run in runs.values()), runs)


def names(found: list[Group] | tuple[Group, ...]) -> list[str]:
    return [group.name for group in found]


def shown(found: list[Group] | tuple[Group, ...], column: str) -> list[str]:
    heading = next(heading for heading in headings(found) if heading.key == column)
    return [heading.group_text(group) for group in found]


def columns(found: list[Group] | tuple[Group, ...]) -> list[str]:
    return [heading.key for heading in headings(found)]


@pytest.fixture
def four(bench: Bench) -> Bench:
    """Four initializers; `ones` diverged and has no value to sort by."""
    bench.train(comparison("zeros", "ones", "glorot_uniform", "he_normal"), by_initializer)
    return bench


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("", BEST_FIRST),
        ("NORM", ["he_normal"]),
        ("DONE 256 t_uni", ["glorot_uniform"]),
        ("diverged", ["ones"]),
        ("thesis", ["glorot_uniform"]),
        ("thesis he_normal", []),
        ("relu adam digits he_", ["he_normal"]),
    ],
)
def test_the_filter_keeps_groups_that_contain_every_word(four: Bench, words: str, kept: list[str]) -> None:
    ids = [run.id for run in list_runs(four.store) if run.spec.initializer.name == "glorot_uniform"]
    edits.tag(four.store, ids, "Thesis odd")
    assert names(ordered(leaderboard_groups(four), Choice(words=words))) == kept


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("#", BEST_FIRST),
        ("acc %", BEST_FIRST),
        ("loss", BEST_FIRST),
        ("initializer", ["glorot_uniform", "he_normal", "ones", "zeros"]),
    ],
)
def test_each_column_sorts_best_first_or_in_reverse(four: Bench, sort: str, order: list[str]) -> None:
    assert names(ordered(leaderboard_groups(four), Choice(sort))) == order
    reversed_names = names(ordered(leaderboard_groups(four), Choice(sort, reverse=True)))
    without_value = ["ones"] if sort in ("acc %", "loss") else []
    assert reversed_names == [name for name in reversed(order) if name not in without_value] + without_value


def test_every_column_can_be_sorted_by_in_both_directions(four: Bench) -> None:
    four.train(comparison("zeros", learning_rate=0.1, hidden="64", epochs=2), by_initializer)
    found = leaderboard_groups(four)
    for heading in headings(found):
        for reverse in (False, True):
            assert len(ordered(found, Choice(heading.key, reverse))) == 5


def test_numbers_are_sorted_as_numbers(bench: Bench) -> None:
    for rate in (0.1, 0.0005, 0.02):
        bench.train(comparison("zeros", seeds=1, learning_rate=rate), by_initializer)
    assert shown(ordered(leaderboard_groups(bench), Choice("learning_rate")), "learning_rate") == [
        "0.0005",
        "0.02",
        "0.1",
    ]


def test_sorting_by_a_column_that_no_longer_exists_keeps_the_ranking(four: Bench) -> None:
    assert names(ordered(leaderboard_groups(four), Choice("learning_rate"))) == BEST_FIRST


def test_only_fields_that_differ_have_a_column(bench: Bench) -> None:
    bench.train(comparison("he_normal", "zeros"), by_initializer)
    assert columns(leaderboard_groups(bench))[:3] == ["#", "initializer", "acc %"]
    assert not {"status", "tags", "data"} & set(columns(leaderboard_groups(bench)))
    bench.train(comparison("he_normal", learning_rate=0.1), by_initializer)
    assert columns(leaderboard_groups(bench))[:3] == ["#", "initializer", "learning_rate"]
    assert (
        columns(ordered(leaderboard_groups(bench), Choice(words="zeros")))
        == columns(leaderboard_groups(bench))[:2] + columns(leaderboard_groups(bench))[3:]
    )


def test_status_and_tags_columns_appear_only_if_needed(four: Bench) -> None:
    assert "status" in columns(leaderboard_groups(four))
    assert "status" not in columns(ordered(leaderboard_groups(four), Choice(words="he_normal")))
    edits.tag(four.store, [list_runs(four.store)[0].id], "odd")
    assert columns(leaderboard_groups(four))[-1] == "tags"


def accuracy(better: str) -> Callable[[Run], Result]:
    return lambda run: Result(0.9 if run.spec.initializer.name == better else 0.5)


def test_datasets_are_ranked_separately(bench: Bench) -> None:
    bench.train(comparison("zeros", "ones"), accuracy("ones"), "a" * 16)
    bench.train(comparison("zeros", "ones", dataset="mnist"), accuracy("zeros"), "b" * 16)
    found = leaderboard_groups(bench)
    assert shown(found, "dataset") == ["digits", "digits", "mnist", "mnist"]
    assert shown(found, "#") == ["1", "2", "1", "2"]
    assert names(found) == ["ones", "zeros", "zeros", "ones"]
    assert columns(found)[2] == "dataset"


def test_datasets_of_one_name_with_different_contents_are_ranked_separately(bench: Bench) -> None:
    for fingerprint in ("a1" * 8, "b2" * 8):
        bench.train(comparison("zeros", seeds=1), by_initializer, fingerprint)
    found = leaderboard_groups(bench)
    assert [group.row.rank for group in found] == [1, 1]
    assert shown(found, "data") == ["a1a1a1", "b2b2b2"]
    assert len({group.key for group in found}) == 2


def test_a_group_shows_the_name_of_its_runs_unless_they_have_several(bench: Bench) -> None:
    ids = bench.train(comparison("zeros", seeds=2), by_initializer)
    edits.rename(bench.store, ids[:1], "mine")
    assert names(leaderboard_groups(bench)) == ["zeros “mine”"]
    edits.rename(bench.store, ids[1:], "yours")
    assert names(leaderboard_groups(bench)) == ["zeros"]


def test_hostile_names_tags_and_files_are_escaped(bench: Bench) -> None:
    ids = bench.train(comparison("zeros", seeds=1, dataset=f"npz:/{HOSTILE}.npz"), by_initializer)
    bench.set(ids[0], name=HOSTILE, tags=HOSTILE)
    bench.train(comparison("zeros", seeds=1), by_initializer)
    group = leaderboard_groups(bench)[1]
    assert group.name == f"zeros “{ESCAPED}”"
    assert group.tags == (ESCAPED,)
    assert shown(leaderboard_groups(bench), "dataset")[1] == f"npz:/{ESCAPED}.npz"
    run = group.runs[0]
    cells = [
        cell
        for heading in headings(leaderboard_groups(bench))
        for cell in (heading.group_text(group), heading.run_text(run))
    ]
    assert all(cell.isprintable() for cell in cells)


def test_filtering_keeps_the_order(four: Bench) -> None:
    choice = Choice("initializer", reverse=True)
    assert names(ordered(leaderboard_groups(four), replace(choice, words="o"))) == [
        "zeros",
        "ones",
        "he_normal",
        "glorot_uniform",
    ]
