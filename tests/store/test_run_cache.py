from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from initlab_tui.domain.events import Evaluated, Started, Stepped
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store import edits, progress, queue, worker_deaths, workers
from initlab_tui.store.database import Store
from initlab_tui.store.purge import purge
from initlab_tui.store.queue import Requirements
from initlab_tui.store.run_cache import Change, RunCache
from initlab_tui.store.runs import list_runs

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
STARTED = Started(0, 100, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {"tensorflow": "2"})
NOTHING: frozenset[int] = frozenset()


@pytest.fixture(params=["the cache's connection", "another connection"])
def writer(store: Store, request: pytest.FixtureRequest) -> Iterator[Store]:
    """The connection that makes the changes that the cache of `store` has to notice."""
    with Store.open(store.path) as other:
        yield store if request.param == "the cache's connection" else other


def enqueue(store: Store, count: int) -> list[int]:
    return queue.enqueue(store, None, [RunSpec(seed=seed) for seed in range(count)], REQUIREMENTS)


def register_worker(store: Store) -> int:
    return workers.register(store, "cpu", 1)


def reported_change(cache: RunCache, store: Store) -> Change | None:
    """Return the change that the cache reports, after comparing its runs with the store."""
    change = cache.refresh()
    assert list(cache.runs.items()) == [(run.id, run) for run in list_runs(store)]
    assert cache.refresh() is None
    return change


def test_every_change_of_a_run_is_reported_and_nothing_else(store: Store, writer: Store) -> None:
    cache = RunCache(store)
    assert reported_change(cache, writer) is None
    one, two, three = enqueue(writer, 3)
    assert reported_change(cache, writer) == Change(frozenset({one, two, three}), NOTHING, True)
    worker = register_worker(writer)
    assert reported_change(cache, writer) is None
    steps: list[tuple[int, Callable[[], object]]] = [
        (one, lambda: queue.claim(writer, worker)),
        (two, lambda: queue.stop(writer, [two])),
        (three, lambda: queue.pause(writer, [three])),
        (one, lambda: queue.pause(writer, [one])),
        (three, lambda: queue.resume(writer, [three])),
        (one, lambda: worker_deaths.mark_dead(writer, worker, "gone")),
        (three, lambda: supervisor.hold_queued(writer, WorkerPlan(1, 1, "cpu"))),
        (two, lambda: edits.rename(writer, [two], "the second")),
        (two, lambda: edits.tag(writer, [two], "odd")),
    ]
    for run_id, act in steps:
        act()
        change = reported_change(cache, writer)
        assert change is not None and (change.changed, change.removed) == (frozenset({run_id}), NOTHING)
    assert [run.status for run in cache.runs.values()] == ["crashed", "stopped", "queued"]


def test_deleted_runs_are_removed_and_restored_runs_return_to_their_place(store: Store, writer: Store) -> None:
    cache = RunCache(store)
    ids = enqueue(writer, 3)
    queue.stop(writer, ids)
    cache.refresh()
    edits.delete(writer, ids[:2])
    assert reported_change(cache, writer) == Change(NOTHING, frozenset(ids[:2]), True)
    edits.restore(writer, ids[:1])
    assert reported_change(cache, writer) == Change(frozenset(ids[:1]), NOTHING, True)
    assert list(cache.runs) == [ids[0], ids[2]]
    # Deleted and purged between two refreshes: the run has no events left.
    edits.delete(writer, ids[2:])
    purge(writer, 0)
    assert reported_change(cache, writer) == Change(NOTHING, frozenset(ids[2:]), True)


def test_training_steps_are_reported_but_do_not_change_the_ranking(store: Store) -> None:
    cache = RunCache(store)
    with Store.open(store.path) as writer:
        (run_id,) = enqueue(writer, 1)
        run = queue.claim(writer, register_worker(writer))
        assert run is not None
        cache.refresh()
        progress.record_started(writer, run, STARTED, {})
        change = reported_change(cache, writer)
        assert change is not None and change.ranked  # the data fingerprint is known now
        progress.record(writer, run, [Stepped(1, (1.0,), (0.5,), 0.1, 10)])
        assert reported_change(cache, writer) == Change(frozenset({run_id}), NOTHING, False)
        progress.record(writer, run, [Evaluated(1, 0.9, 0.6)])
        assert reported_change(cache, writer) == Change(frozenset({run_id}), NOTHING, False)
        progress.release(writer, run, RunStatus.DONE)
        assert reported_change(cache, writer) == Change(frozenset({run_id}), NOTHING, True)


def test_ten_thousand_runs_are_read_quickly_and_equal_specs_are_parsed_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [RunSpec(seed=number % 50, batch_size=1 + number // 50) for number in range(10_000)]
    queue.enqueue(store, None, specs, REQUIREMENTS)
    parsed: list[str] = []
    read = RunSpec.from_json

    def counted(text: str) -> RunSpec:
        parsed.append(text)
        return read(text)

    monkeypatch.setattr(RunSpec, "from_json", counted)
    cache = RunCache(store)
    assert cache.refresh()
    assert len(parsed) == 200
    assert [run.spec for run in cache.runs.values()] == specs
    assert len(parsed) == 200
