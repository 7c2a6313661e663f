from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from initlab_tui.domain.events import Evaluated, Started, Stepped
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.recorder import Recorder
from initlab_tui.store import progress, queue, worker_deaths, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run

STARTED = Started(0, 1000, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {"tensorflow": "2"})


@pytest.fixture
def run(store: Store) -> Run:
    """A running run."""
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    worker = workers.register(store, "cpu", 1)
    claimed = queue.claim(store, worker)
    assert claimed is not None
    progress.record_started(store, claimed, STARTED, {})
    return claimed


def stepped(step: int) -> Stepped:
    return Stepped(step, (1 / step,), (0.5,), 0.001, 128)


def test_many_small_events_are_written_in_few_transactions(
    store: Store, run: Run, pass_time: Callable[[float], None]
) -> None:
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    with Recorder(store, run) as recording:
        for step in range(1, 401):  # two seconds of 400 events a second
            recording.add(stepped(step))
            pass_time(0.0025)
            recording.add(Evaluated(step, 0.5, step / 1000))
            pass_time(0.0025)
    store._connection.set_trace_callback(None)
    assert 10 <= statements.count("COMMIT") <= 30
    assert read_curve(store, run.id, "train").steps == read_curve(store, run.id, "test").steps == tuple(range(1, 401))
    found = find_run(store, run.id)
    assert found is not None
    assert (found.step, found.samples, found.test_accuracy) == (400, 400 * 128, 0.4)
    assert found.train_seconds == pytest.approx(0.4)


def test_an_event_as_long_as_a_chunk_is_written_immediately(
    store: Store, run: Run, pass_time: Callable[[float], None]
) -> None:
    with Recorder(store, run) as recording:
        for step in (1, 2, 3):
            recording.add(stepped(step))
            assert read_curve(store, run.id, "train").steps[-1] == step
            pass_time(0.1)


def test_a_request_is_noticed_at_the_next_write(store: Store, run: Run, pass_time: Callable[[float], None]) -> None:
    with Recorder(store, run) as recording, Store.open(store.path) as other:
        assert recording.add(stepped(1)) is None
        queue.pause(other, [run.id])
        assert recording.add(stepped(2)) is None
        pass_time(0.1)
        assert recording.add(stepped(3)) == "pause"
        assert recording.add(Evaluated(3, 0.5, 0.5)) == "pause"


@pytest.mark.usefixtures("pass_time")
def test_events_before_an_error_in_training_are_written(store: Store, run: Run) -> None:
    with pytest.raises(RuntimeError, match="training broke"), Recorder(store, run) as recording:
        for step in (1, 2, 3):
            recording.add(stepped(step))
        raise RuntimeError("training broke")
    assert read_curve(store, run.id, "train").steps == (1, 2, 3)


def test_a_run_lost_by_its_worker_is_not_written_to(store: Store, run: Run, pass_time: Callable[[float], None]) -> None:
    assert run.worker_id is not None
    with pytest.raises(progress.LostRunError), Recorder(store, run) as recording:
        recording.add(stepped(1))
        worker_deaths.mark_dead(store, run.worker_id, "gone")
        pass_time(0.1)
        recording.add(stepped(2))
    assert read_curve(store, run.id, "train").steps == (1,)
