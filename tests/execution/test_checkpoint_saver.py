"""When a checkpoint is due, and what is noted when a run continues."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from initlab_tui.domain.events import Started
from initlab_tui.execution.checkpoint_saver import (
    COST_SHARE,
    EPOCH_SECONDS,
    SAVE_BYTES_PER_SECOND,
    SAVE_SECONDS,
    CheckpointSchedule,
    SavingCost,
    version_note,
)
from initlab_tui.store.runs import find_run
from tests.old_runs import open_unfinished


def test_the_end_of_a_short_epoch_is_skipped(pass_time: Callable[[float], None]) -> None:
    schedule = CheckpointSchedule(60.0, cost=0.01)
    saved = []
    for epoch in range(1, 101):  # of 0.1 s
        pass_time(0.1)
        if schedule.is_due(epoch_ended=True):
            saved.append(epoch)
            schedule.record(0.01)
    assert saved == pytest.approx([50, 100], abs=1)
    assert EPOCH_SECONDS == 5.0


def test_a_long_epoch_has_checkpoints_before_its_end(pass_time: Callable[[float], None]) -> None:
    schedule = CheckpointSchedule(60.0, cost=0.01)
    pass_time(59.0)
    assert not schedule.is_due(epoch_ended=False)
    pass_time(1.0)
    assert schedule.is_due(epoch_ended=False)
    schedule.record(0.01)
    pass_time(EPOCH_SECONDS)
    assert schedule.is_due(epoch_ended=True) and not schedule.is_due(epoch_ended=False)


@pytest.mark.parametrize("cost", [0.001, 0.05, 0.5, 2.0])
def test_saving_takes_at_most_its_share_of_the_time(pass_time: Callable[[float], None], cost: float) -> None:
    schedule = CheckpointSchedule(60.0, cost)
    saving = 0.0
    for _ in range(6000):  # ten minutes of training in epochs of 0.1 s
        pass_time(0.1)
        if schedule.is_due(epoch_ended=True):
            pass_time(cost)
            saving += cost
            schedule.record(cost)
    assert 0 < saving <= COST_SHARE * 600 + cost


def test_where_saving_takes_long_the_interval_is_longer_than_the_one_asked_for(
    pass_time: Callable[[float], None],
) -> None:
    schedule = CheckpointSchedule(60.0, cost=1.5)  # 100 s for a share of 1.5 %
    pass_time(99.0)
    assert not schedule.is_due(epoch_ended=True)
    pass_time(2.0)
    assert schedule.is_due(epoch_ended=True)


def test_the_first_checkpoint_of_a_run_is_expected_to_cost_what_that_of_the_run_before_did() -> None:
    cost, size = SavingCost(), 120e6
    usual = SAVE_SECONDS + size / SAVE_BYTES_PER_SECOND
    assert cost.estimate(size) == usual
    cost.record(size, 4 * usual)
    assert cost.estimate(size) == pytest.approx(4 * usual)
    assert cost.estimate(0.0) == pytest.approx(4 * SAVE_SECONDS)


def test_a_short_interval_also_applies_to_the_ends_of_epochs(pass_time: Callable[[float], None]) -> None:
    schedule = CheckpointSchedule(1.0, cost=0.001)
    pass_time(1.0)
    assert schedule.is_due(epoch_ended=True) and schedule.is_due(epoch_ended=False)


def test_none_is_due_without_an_interval(pass_time: Callable[[float], None]) -> None:
    schedule = CheckpointSchedule(None, cost=0.001)
    pass_time(100_000.0)
    assert not schedule.is_due(epoch_ended=True)


def test_other_versions_than_before_are_noted(tmp_path: Path) -> None:
    with open_unfinished(tmp_path) as store:
        run = find_run(store, 1)
        assert run is not None
        versions = dict(run.record["versions"])
        started = Started(660, 1760, 44, 10, "CPU", "xla", "", 0.5, "f" * 16, versions)
        assert version_note(run, started) == ""
        later = dataclasses.replace(started, versions=versions | {"tensorflow": "99.0"})
        assert "Resumed with tensorflow 99.0 instead of 2" in version_note(run, later)
        assert version_note(run, dataclasses.replace(later, step=0)) == ""
