from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from initlab_tui.domain.events import Evaluated, Started, Stepped
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store import edits, progress, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.run_cache import Change, RunCache
from initlab_tui.store.runs import list_runs

PLACEMENT = Requirements("cpu", 1, None, Path("/"))
STARTED = Started(0, 100, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {"tensorflow": "2"})
NOTHING: frozenset[int] = frozenset()


@pytest.fixture(params=["its own connection", "another"])
def writer(store: Store, request: pytest.FixtureRequest) -> Iterator[Store]:
    """Who writes what the mirror of `store` is to see."""
    with Store.open(store.path) as other:
        yield store if request.param == "its own connection" else other


def enqueue(store: Store, count: int) -> list[int]:
    return queue.enqueue(store, None, [RunSpec(seed=seed) for seed in range(count)], PLACEMENT)


def a_worker(store: Store) -> int:
    return workers.register(store, "cpu", 1)


def seen(mirror: RunCache, store: Store) -> Change | None:
    """What the mirror sees; what it has is checked against the store."""
    change = mirror.refresh()
    assert list(mirror.runs.items()) == [(run.id, run) for run in list_runs(store)]
    assert mirror.refresh() is None
    return change


def test_everything_that_is_done_to_runs_is_seen_and_nothing_else(store: Store, writer: Store) -> None:
    mirror = RunCache(store)
    assert seen(mirror, writer) is None
    one, two, three = enqueue(writer, 3)
    assert seen(mirror, writer) == Change(frozenset({one, two, three}), NOTHING, True)
    worker = a_worker(writer)
    assert seen(mirror, writer) is None
    steps: list[tuple[int, Callable[[], object]]] = [
        (one, lambda: queue.claim(writer, worker)),
        (two, lambda: queue.stop(writer, [two])),
        (three, lambda: queue.pause(writer, [three])),
        (one, lambda: queue.pause(writer, [one])),
        (three, lambda: queue.resume(writer, [three])),
        (one, lambda: workers.mark_dead(writer, worker, "gone")),
        (three, lambda: supervisor.fail_queued(writer, WorkerPlan(1, 1, "cpu"), "none lives")),
        (two, lambda: edits.rename(writer, [two], "the second")),
        (two, lambda: edits.tag(writer, [two], "odd")),
    ]
    for run_id, act in steps:
        act()
        change = seen(mirror, writer)
        assert change is not None and (change.changed, change.removed) == (frozenset({run_id}), NOTHING)
    assert [run.status for run in mirror.runs.values()] == ["crashed", "stopped", "failed"]


def test_what_is_deleted_leaves_and_what_is_restored_comes_back_to_its_place(store: Store, writer: Store) -> None:
    mirror = RunCache(store)
    ids = enqueue(writer, 3)
    queue.stop(writer, ids)
    mirror.refresh()
    edits.delete(writer, ids[:2])
    assert seen(mirror, writer) == Change(NOTHING, frozenset(ids[:2]), True)
    edits.restore(writer, ids[:1])
    assert seen(mirror, writer) == Change(frozenset(ids[:1]), NOTHING, True)
    assert list(mirror.runs) == [ids[0], ids[2]]
    # Deleted and purged between two looks: no event of the run is left to tell of it.
    edits.delete(writer, ids[2:])
    edits.purge(writer, 0)
    assert seen(mirror, writer) == Change(NOTHING, frozenset(ids[2:]), True)


def test_the_steps_of_a_run_are_seen_and_rank_nothing_anew(store: Store) -> None:
    mirror = RunCache(store)
    with Store.open(store.path) as writer:
        (run_id,) = enqueue(writer, 1)
        run = queue.claim(writer, a_worker(writer))
        assert run is not None
        mirror.refresh()
        progress.record_started(writer, run, STARTED, {})
        change = seen(mirror, writer)
        assert change is not None and change.ranked  # the data are known now
        progress.record(writer, run, [Stepped(1, (1.0,), (0.5,), 0.1, 10)])
        assert seen(mirror, writer) == Change(frozenset({run_id}), NOTHING, False)
        progress.record(writer, run, [Evaluated(1, 0.9, 0.6)])
        assert seen(mirror, writer) == Change(frozenset({run_id}), NOTHING, False)
        progress.release(writer, run, RunStatus.DONE)
        assert seen(mirror, writer) == Change(frozenset({run_id}), NOTHING, True)


def test_ten_thousand_runs_are_read_at_once_and_each_kind_of_spec_only_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    specs = [RunSpec(seed=number % 50, batch_size=1 + number // 50) for number in range(10_000)]
    queue.enqueue(store, None, specs, PLACEMENT)
    parsed: list[str] = []
    read = RunSpec.from_json

    def counted(text: str) -> RunSpec:
        parsed.append(text)
        return read(text)

    monkeypatch.setattr(RunSpec, "from_json", counted)
    mirror = RunCache(store)
    assert mirror.refresh()
    assert parsed == []
    assert [run.spec for run in mirror.runs.values()] == specs
    assert len(parsed) == 200
