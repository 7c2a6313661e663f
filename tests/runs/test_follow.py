from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.experiments.spec import RunSpec
from initlab_tui.runs import follow as following
from initlab_tui.runs import supervisor
from initlab_tui.runs.follow import follow
from initlab_tui.runs.store import Placement, Store


def test_runs_that_no_worker_lives_for_are_failed_and_not_waited_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def dies_at_once(store: Store, worker_id: int) -> None:
        started.append(worker_id)
        store.connection.execute(
            "UPDATE workers SET watcher_pid = 999999999, watcher_born = 0 WHERE id = ?", (worker_id,)
        )

    monkeypatch.setattr(supervisor, "_spawn_watcher", dies_at_once)
    monkeypatch.setattr(following, "LIVENESS_SECONDS", 0.0)
    ids = store.enqueue(None, [RunSpec()], Placement("cpu", 1, None, Path("/")))
    *_, last = follow(store, ids)
    assert {run.status for run in last.runs} == {"failed"}
    assert "no worker could be started" in last.runs[0].reason
    assert len(started) == following.RESTARTS
