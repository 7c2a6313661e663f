"""A retry queues the spec of a run again in its comparison, and leaves the run itself unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import edits, progress, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_runs

REQUIREMENTS = Requirements("cpu", 2, Path("/data/mine.npz"), Path("/code"))
COMPARISON = Comparison.checked(initializers=["zeros", "he_normal"], seeds=[0, 1])


@pytest.fixture
def ids(store: Store) -> list[int]:
    """The runs of a comparison, all queued."""
    return queue.enqueue(store, COMPARISON, list(COMPARISON.runs()), REQUIREMENTS)


def end(store: Store, status: RunStatus) -> int:
    """Claim and release the next queued run, and return its id."""
    run = queue.claim(store, workers.register(store, "cpu", 2))
    assert run is not None
    progress.release(store, run, status, "as the test wants")
    return run.id


def get(store: Store, run_id: int) -> Run:
    run = find_run(store, run_id)
    assert run is not None
    return run


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CRASHED, RunStatus.STOPPED])
def test_a_retry_has_the_spec_the_requirements_the_comparison_the_name_and_the_tags(
    store: Store, ids: list[int], status: RunStatus
) -> None:
    ended = end(store, status)
    edits.rename(store, [ended], "first")
    edits.tag(store, [ended], "thesis")
    before = get(store, ended)
    (retried,) = queue.retry(store, [ended])
    assert retried == max(ids) + 1
    old, new = get(store, ended), get(store, retried)
    assert old == before
    assert (new.status, new.step, new.reason, new.started) == (RunStatus.QUEUED, 0, "", None)
    for field in ("spec", "spec_hash", "seed", "comparison_id", "data_file", "import_folder", "device", "threads"):
        assert getattr(new, field) == getattr(old, field), field
    assert (new.name, new.tags) == ("first", "thesis")
    assert [(kind, detail) for _, kind, detail in read_events(store, ended)][-1] == ("retried", f"as run {retried}")
    assert [(kind, detail) for _, kind, detail in read_events(store, retried)] == [
        ("queued", f"retry of run {ended}"),
    ]


def test_runs_that_are_active_or_have_a_result_are_left_out(store: Store, ids: list[int]) -> None:
    done, diverged = end(store, RunStatus.DONE), end(store, RunStatus.DIVERGED)
    paused = end(store, RunStatus.PAUSED)
    assert queue.retry(store, [done, diverged, paused, ids[3]]) == []
    assert [run.id for run in list_runs(store)] == ids


@pytest.mark.usefixtures("ids")
def test_a_run_is_not_queued_again_while_its_retry_is_active(store: Store) -> None:
    failed = end(store, RunStatus.FAILED)
    (retried,) = queue.retry(store, [failed, failed])
    assert queue.retry(store, [failed]) == []
    queue.stop(store, [retried])
    # Both are retries of one spec and seed: one new run is enough.
    assert len(queue.retry(store, [retried, failed])) == 1


@pytest.mark.usefixtures("ids")
def test_retries_are_queued_in_the_order_of_the_ids(store: Store) -> None:
    first, second = end(store, RunStatus.FAILED), end(store, RunStatus.STOPPED)
    later, earlier = queue.retry(store, [second, first])
    assert (get(store, later).spec, get(store, earlier).spec) == (get(store, second).spec, get(store, first).spec)
    assert later < earlier


def test_nothing_is_queued_if_one_id_is_unknown(store: Store, ids: list[int]) -> None:
    failed = end(store, RunStatus.FAILED)
    with pytest.raises(InvalidInputError, match="no run 99"):
        queue.retry(store, [failed, 99])
    assert [run.id for run in list_runs(store)] == ids
