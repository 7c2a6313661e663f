"""Paused, stopped, crashed and failed runs of version 0.1.0 can be resumed or retried."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.statistics.leaderboard import leaderboard
from initlab_tui.services import control_runs
from initlab_tui.store import queue, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.files import checkpoint_name
from initlab_tui.store.runs import list_runs
from tests.old_runs import open_unfinished


@pytest.fixture
def old(tmp_path: Path) -> Store:
    return open_unfinished(tmp_path)


def test_unfinished_runs_open_with_their_status_reason_and_curve(old: Store) -> None:
    runs = list_runs(old)
    assert [(run.id, run.status, run.step) for run in runs] == [
        (1, RunStatus.PAUSED, 660),
        (2, RunStatus.STOPPED, 1672),
        (3, RunStatus.CRASHED, 440),
        (4, RunStatus.FAILED, 0),
    ]
    assert runs[1].reason == "on request" and "SIGKILL" in runs[2].reason
    assert runs[3].reason == "batch_size must be <= 1437, the training images, got 5000"
    assert read_curve(old, 1, "test").steps[-1] == 660
    (compared,) = [row for row in leaderboard(run.outcome for run in runs) if row.spec.batch_size == 32]
    assert (compared.seeds, compared.status, compared.n) == ((0, 1, 2), RunStatus.CRASHED, 0)


def test_all_of_them_can_be_resumed(old: Store) -> None:
    assert queue.resume(old, [4, 3, 2, 1]) == [4, 3, 2, 1]
    runs = list_runs(old)
    assert {(run.status, run.reason, run.log_tail, run.ended) for run in runs} == {(RunStatus.QUEUED, "", "", None)}
    claimed = queue.claim(old, workers.register(old, "cpu", 1))
    assert claimed is not None and claimed.id == 1


def test_only_the_runs_that_have_ended_are_retried(old: Store) -> None:
    assert queue.resume(old, [1]) == [1]
    retried = queue.retry(old, [1, 2, 3, 4])
    assert retried == [5, 6, 7]
    by_id = {run.id: run for run in list_runs(old)}
    for before, after in zip((2, 3, 4), retried, strict=True):
        assert (by_id[after].spec, by_id[after].spec_hash) == (by_id[before].spec, by_id[before].spec_hash)
        assert by_id[after].comparison_id == by_id[before].comparison_id
    claimed = queue.claim(old, workers.register(old, "cpu", 1))
    assert claimed is not None and (claimed.id, claimed.step) == (1, 660)


def test_retrying_the_wrong_runs_is_refused_with_the_reason(old: Store) -> None:
    with pytest.raises(InvalidInputError, match="run 1 is paused: only failed, crashed and stopped runs"):
        control_runs.retry(old, [1, 2])
    assert len(list_runs(old)) == 4 and list_runs(old)[0].status is RunStatus.PAUSED


def test_stopping_the_paused_run_keeps_its_checkpoint(old: Store) -> None:
    assert queue.stop(old, [1]) == [1]
    assert [file.name for file in old.files.folder.iterdir()] == [checkpoint_name(1)]
