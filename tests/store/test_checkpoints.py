"""Checkpoints are read exactly as they were written, or refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from initlab_tui.domain.events import Checkpointed, Evaluated, Started, Stepped
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import checkpoints, progress, queue, worker_deaths, workers
from initlab_tui.store.checkpoints import Found
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.files import checkpoint_name, previous_checkpoint_name
from initlab_tui.store.progress import Totals
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run

TOTALS = Totals(1.5, 1.25, 640, None, 0.5)


@pytest.fixture
def run(store: Store) -> Run:
    """A running run."""
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    claimed = queue.claim(store, workers.register(store, "cpu", 1))
    assert claimed is not None
    return claimed


def at(step: int) -> Checkpointed:
    weights = np.arange(12, dtype=np.float32).reshape(3, 4) + step
    weights[0, 0] = np.nan
    return Checkpointed(step, {"model/logits/kernel": weights, "optimizer/iteration": np.array(step)})


def contents(found: Found) -> tuple[int, dict[str, tuple[str, bytes]], Totals | None] | None:
    if found.checkpoint is None:
        return None
    state = found.checkpoint.at.state.items()
    described = {name: (f"{array.dtype} {array.shape}", array.tobytes()) for name, array in state}
    return found.checkpoint.at.step, described, found.checkpoint.totals


def test_a_checkpoint_is_read_as_it_was_written(store: Store, run: Run) -> None:
    checkpoints.write(store, run, at(5), TOTALS)
    found = checkpoints.read(store, run)
    kernel = ("float32 (3, 4)", at(5).state["model/logits/kernel"].tobytes())
    iteration = ("int64 ()", np.array(5).tobytes())
    assert contents(found) == (5, {"model/logits/kernel": kernel, "optimizer/iteration": iteration}, TOTALS)
    assert found.refused == {}
    assert (store.files.folder / checkpoint_name(run.id)).stat().st_mode & 0o777 == 0o600


def test_the_last_two_are_kept(store: Store, run: Run) -> None:
    for step in (5, 6, 7):
        checkpoints.write(store, run, at(step), TOTALS)
    assert {file.name for file in store.files.folder.iterdir()} == {"run-1.npz", "run-1.previous.npz"}
    store.files.remove(checkpoint_name(run.id))
    found = checkpoints.read(store, run)
    assert found.checkpoint is not None and found.checkpoint.at.step == 6


def test_without_checkpoints_there_is_nothing_to_refuse(store: Store, run: Run) -> None:
    assert checkpoints.read(store, run) == Found(None, {})


def test_a_change_anywhere_in_a_checkpoint_is_noticed(store: Store, run: Run) -> None:
    checkpoints.write(store, run, at(5), TOTALS)
    previous = contents(checkpoints.read(store, run))
    checkpoints.write(store, run, at(6), TOTALS)
    intact = contents(checkpoints.read(store, run))
    path = store.files.folder / checkpoint_name(run.id)
    content = path.read_bytes()
    noticed = 0
    for position in range(0, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x10]) + content[position + 1 :])
        found = checkpoints.read(store, run)
        if found.refused:
            assert contents(found) == previous
            assert "run-1.npz is damaged" in found.refused[path.name]
            noticed += 1
        else:
            assert contents(found) == intact  # such as the time in an entry of the archive
    assert noticed > len(content) / 7 / 3


def test_a_truncated_checkpoint_is_refused(store: Store, run: Run) -> None:
    checkpoints.write(store, run, at(5), TOTALS)
    path = store.files.folder / checkpoint_name(run.id)
    content = path.read_bytes()
    for length in range(0, len(content), 50):
        path.write_bytes(content[:length])
        found = checkpoints.read(store, run)
        assert found.checkpoint is None and path.name in found.refused


def test_a_compressed_archive_is_refused_before_it_is_unpacked(store: Store, run: Run) -> None:
    with store.files.replaced(checkpoint_name(run.id)) as file:
        np.savez_compressed(file, owner=np.zeros(10_000_000))
    found = checkpoints.read(store, run)
    assert "it is compressed" in found.refused[checkpoint_name(run.id)]


def test_the_checkpoint_of_another_run_is_refused(store: Store, run: Run) -> None:
    checkpoints.write(store, run, at(5), TOTALS)
    other = dataclasses.replace(run, spec_hash="another")
    refused = {"run-1.npz": "run-1.npz is the checkpoint of another run"}
    assert checkpoints.read(store, other) == Found(None, refused)


def test_a_checkpoint_stays_usable_when_a_migration_changes_the_hash(store: Store, run: Run) -> None:
    checkpoints.write(store, run, at(5), TOTALS)
    progress.record_checkpoint(store, run)
    recorded = find_run(store, run.id)
    assert recorded is not None
    later = dataclasses.replace(recorded, spec_hash="of a later version")
    assert checkpoints.read(store, later).refused == {}


def test_a_failed_write_leaves_the_earlier_checkpoints(store: Store, run: Run) -> None:
    for step in (5, 6):
        checkpoints.write(store, run, at(step), TOTALS)
    before = {file.name: file.read_bytes() for file in store.files.folder.iterdir()}
    with (
        pytest.raises(OSError, match="no room"),
        store.files.replaced("run-1.npz", keep_as="run-1.previous.npz") as file,
    ):
        file.write(b"half")
        raise OSError("no room")
    assert {file.name: file.read_bytes() for file in store.files.folder.iterdir()} == before
    assert previous_checkpoint_name(run.id) in before


def test_the_metrics_before_a_checkpoint_are_brought_to_the_disk(store: Store, run: Run) -> None:
    started = Started(0, 100, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {})
    progress.record_started(store, run, started, {})
    progress.record(store, run, [Stepped(1, (0.5, 0.25), (0.5, 1.0), 0.125, 256), Evaluated(2, 0.5, 0.75)])
    statements: list[str] = []
    store._connection.set_trace_callback(statements.append)
    totals = progress.settle(store, run)
    store._connection.set_trace_callback(None)
    changes = [statement for statement in statements if not statement.startswith("SELECT")]
    assert [statement.split(" SET ")[0] for statement in changes] == [
        *("PRAGMA synchronous", "PRAGMA synchronous = FULL", "BEGIN IMMEDIATE", "UPDATE runs", "COMMIT"),
        "PRAGMA synchronous = 1",  # NORMAL
    ]
    assert (totals.train_seconds, totals.samples, totals.test_loss, totals.test_accuracy) == (0.125, 256, 0.5, 0.75)
    settled = find_run(store, run.id)
    assert settled is not None and 0 < totals.busy_seconds <= settled.seconds < totals.busy_seconds + 5


def test_a_run_that_belongs_to_another_worker_saves_nothing(store: Store, run: Run) -> None:
    assert run.worker_id is not None
    worker_deaths.mark_dead(store, run.worker_id, "gone")
    with pytest.raises(progress.LostRunError):
        progress.settle(store, run)


def test_totals_and_metrics_after_the_checkpoint_are_not_counted_twice(store: Store, run: Run) -> None:
    started = Started(0, 100, 50, 10, "CPU", "xla", "", 0.5, "f" * 16, {})
    progress.record_started(store, run, started, {})
    progress.record(store, run, [Stepped(1, (0.5, 0.25), (0.5, 1.0), 0.125, 256), Evaluated(2, 0.5, 0.75)])
    totals = progress.settle(store, run)
    progress.record_checkpoint(store, run)
    progress.record(store, run, [Stepped(3, (0.1,), (1.0,), 10.0, 128), Evaluated(3, 0.1, 0.875)])
    progress.release(store, run, RunStatus.STOPPED, "on request")
    queue.resume(store, [run.id])
    again = queue.claim(store, workers.register(store, "cpu", 1))
    assert again is not None and again.samples == 384
    progress.record_started(store, again, dataclasses.replace(started, step=2), {}, totals)
    resumed = find_run(store, run.id)
    assert resumed is not None
    assert (resumed.step, resumed.samples, resumed.train_seconds, resumed.test_loss) == (2, 256, 0.125, 0.5)
    assert resumed.busy_seconds == totals.busy_seconds
    assert (read_curve(store, run.id, "train").steps, read_curve(store, run.id, "test").steps) == ((1, 2), (2,))
