from __future__ import annotations

import dataclasses

import pytest

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import estimate
from initlab_tui.domain.statistics.leaderboard import Outcome, leaderboard, varying


def outcome(
    run_id: int,
    initializer: str,
    seed: int,
    accuracy: float | None,
    status: RunStatus = RunStatus.DONE,
    dataset: str = "digits",
    fingerprint: str | None = "f",
) -> Outcome:
    spec = RunSpec(dataset=dataset, initializer=Initializer.parse(initializer), seed=seed)
    loss = None if accuracy is None else 1 - accuracy
    return Outcome(run_id, spec, spec.spec_hash, status, accuracy, loss, 1.0, 100.0, 44, fingerprint)


@pytest.mark.parametrize(("groups", "seeds"), [(2000, 5), (10_000, 1)])
def test_ten_thousand_runs_are_ranked(groups: int, seeds: int) -> None:
    estimate([1, 2])  # imports the t quantile
    template = outcome(0, "zeros", 0, 0.5)
    outcomes = [
        dataclasses.replace(
            template,
            run_id=group * seeds + seed,
            spec=template.spec.model_copy(update={"seed": seed}),
            spec_hash=str(group),
            test_accuracy=group / groups,
        )
        for group in range(groups)
        for seed in range(seeds)
    ]
    rows = leaderboard(outcomes)
    assert (len(rows), rows[0].n, rows[0].run_ids[0]) == (groups, seeds, (groups - 1) * seeds)


def test_groups_are_ranked_by_mean_accuracy_over_seeds() -> None:
    rows = leaderboard(
        [
            outcome(1, "zeros", 0, 0.1),
            outcome(2, "he_normal", 0, 0.9),
            outcome(3, "zeros", 1, 0.1),
            outcome(4, "he_normal", 1, 0.8),
        ]
    )
    assert [(row.rank, str(row.spec.initializer), row.n) for row in rows] == [(1, "he_normal", 2), (2, "zeros", 2)]
    assert rows[0].test_accuracy.mean == pytest.approx(0.85)
    assert rows[0].run_ids == (2, 4)


def test_groups_without_a_result_rank_last_but_are_kept() -> None:
    rows = leaderboard(
        [
            outcome(1, "ones", 0, 0.99, RunStatus.DIVERGED),
            outcome(2, "he_normal", 0, 0.95),
            outcome(3, "he_normal", 1, 0.99, RunStatus.DIVERGED),
            outcome(4, "zeros", 0, 0.1),
            outcome(5, "orthogonal", 0, None, RunStatus.QUEUED),
        ]
    )
    assert [str(row.spec.initializer) for row in rows] == ["zeros", "he_normal", "orthogonal", "ones"]
    assert [row.status for row in rows] == [RunStatus.DONE, RunStatus.DIVERGED, RunStatus.QUEUED, RunStatus.DIVERGED]
    # The mean covers the one seed that finished, and n and the statuses say so.
    assert (rows[1].n, rows[1].test_accuracy.mean, rows[1].statuses) == (
        1,
        0.95,
        ((RunStatus.DIVERGED, 1), (RunStatus.DONE, 1)),
    )
    assert (rows[3].n, rows[3].test_accuracy.mean) == (0, None)


def test_a_crash_does_not_lower_the_rank_of_an_initializer() -> None:
    rows = leaderboard(
        [
            outcome(1, "he_normal", 0, 0.97),
            outcome(2, "he_normal", 1, 0.5, RunStatus.CRASHED),
            outcome(3, "zeros", 0, 0.1),
            outcome(4, "zeros", 1, 0.1),
            outcome(5, "orthogonal", 0, 0.4, RunStatus.FAILED),
            outcome(6, "ones", 0, 0.4, RunStatus.STOPPED),
        ]
    )
    assert [str(row.spec.initializer) for row in rows] == ["he_normal", "zeros", "ones", "orthogonal"]
    assert (rows[0].n, rows[0].status) == (1, RunStatus.CRASHED)
    assert rows[1].versus_first is not None and rows[1].versus_first.verdict == "too_few_seeds"


def test_a_seed_run_twice_counts_once() -> None:
    (row,) = leaderboard(
        [outcome(1, "zeros", 0, 0.2), outcome(2, "zeros", 0, 0.3), outcome(3, "zeros", 0, None, RunStatus.QUEUED)]
    )
    assert (row.n, row.test_accuracy.values, row.test_accuracy.ci_low) == (1, (0.3,), None)


def test_a_stopped_rerun_does_not_hide_that_the_seed_diverged() -> None:
    (row,) = leaderboard(
        [outcome(1, "zeros", 0, 0.1, RunStatus.DIVERGED), outcome(2, "zeros", 0, 0.4, RunStatus.STOPPED)]
    )
    assert row.status == RunStatus.DIVERGED


def test_seconds_are_averaged_over_finished_runs() -> None:
    (row,) = leaderboard([outcome(1, "zeros", 0, 0.1), outcome(2, "zeros", 1, None, RunStatus.QUEUED)])
    assert row.seconds == 1.0


def test_the_difference_is_paired_by_seed() -> None:
    # Seeds matter more than initializers here: unpaired intervals overlap widely, the paired one excludes 0.
    first, second = (0.9, 0.7, 0.5), (0.89, 0.69, 0.49)
    rows = leaderboard(
        [outcome(seed, "he_normal", seed, accuracy) for seed, accuracy in enumerate(first)]
        + [outcome(9 + seed, "zeros", seed, accuracy) for seed, accuracy in enumerate(second)]
        + [outcome(20, "zeros", 7, 0.2)]
    )
    low, high = rows[0].test_accuracy, rows[1].test_accuracy
    assert low.ci_low is not None and high.ci_high is not None and low.ci_low < high.ci_high
    assert rows[0].versus_first is None
    versus = rows[1].versus_first
    assert versus is not None and versus.verdict == "behind"
    assert versus.accuracy.n == 3
    assert versus.accuracy.mean == pytest.approx(-0.01)


def test_an_interval_that_contains_zero_is_undecided() -> None:
    rows = leaderboard(
        [outcome(seed, "he_normal", seed, accuracy) for seed, accuracy in enumerate((0.9, 0.5))]
        + [outcome(9 + seed, "zeros", seed, accuracy) for seed, accuracy in enumerate((0.5, 0.8))]
        + [outcome(20, "ones", 0, 0.1)]
    )
    verdicts = [row.versus_first.verdict if row.versus_first else None for row in rows]
    assert verdicts == [None, "undecided", "too_few_seeds"]


def test_runs_on_different_data_are_ranked_separately() -> None:
    rows = leaderboard(
        [
            outcome(1, "zeros", 0, 0.1, dataset="mnist", fingerprint="a"),
            outcome(2, "he_normal", 0, 0.9, dataset="digits", fingerprint="b"),
            outcome(3, "zeros", 0, 0.2, dataset="mnist", fingerprint="c"),
        ]
    )
    assert [row.rank for row in rows] == [1, 1, 1]


def test_queued_runs_join_the_leaderboard_of_their_dataset() -> None:
    rows = leaderboard([outcome(1, "zeros", 0, 0.1), outcome(2, "zeros", 1, None, RunStatus.QUEUED, fingerprint=None)])
    assert [(row.n, row.statuses) for row in rows] == [(1, ((RunStatus.QUEUED, 1), (RunStatus.DONE, 1)))]


def test_varying_names_only_the_fields_that_differ() -> None:
    specs = [RunSpec(seed=1), RunSpec(seed=2, activation="tanh", initializer=Initializer("zeros"))]
    assert varying(specs) == ["activation", "initializer"]
    assert varying(specs[:1]) == []
