"""What must be true of a store and its runs whatever was killed."""

from __future__ import annotations

from initlab_tui.store import layer_statistics
from initlab_tui.store.curves import Curve, read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.point_codec import decode
from initlab_tui.store.runs import list_runs
from initlab_tui.store.thinning import is_open
from tests.conftest import worker_processes
from tests.database import execute
from tests.execution.test_worker import get_run, wait_until


def assert_same_metrics(store: Store, run_id: int, whole_id: int) -> None:
    """Check that two runs have the same metrics, bit by bit, and counted the same samples."""
    for split in ("train", "test"):
        assert read_curve(store, run_id, split) == read_curve(store, whole_id, split)
    # When the layers are measured depends on the time that is left for it, but not what is measured.
    measured, expected = (
        {each.step: each.measurement for each in layer_statistics.read(store, each_id)}
        for each_id in (run_id, whole_id)
    )
    assert {0, max(expected)} <= measured.keys() & expected.keys()
    assert all(measured[step] == expected[step] for step in measured.keys() & expected.keys())
    run, whole = get_run(store, run_id), get_run(store, whole_id)
    for field in ("status", "step", "samples", "test_loss", "test_accuracy", "diagnosis"):
        assert getattr(run, field) == getattr(whole, field), field


def assert_prefix(store: Store, run_id: int, whole_id: int) -> int:
    """Check that a run has the metrics of an unbroken one, each once, up to its last step; return their number.

    The test metrics of the last step may be missing, because they are recorded after it.
    """
    rows, whole = metrics_of(store, run_id), metrics_of(store, whole_id)
    last = get_run(store, run_id).step
    expected = [row for row in whole if row[1] <= last]
    missing = set(expected) - set(rows)
    assert rows == [row for row in expected if row not in missing]
    assert all((split, step) == ("test", last) for split, step, *_ in missing)
    return len(rows)


def assert_all_steps(curve: Curve, total_steps: int) -> None:
    """Check that a curve of training has each point of a run of this length once."""
    steps = range(1, total_steps + 1)
    assert curve.steps == tuple(step for step in steps if step == total_steps or not is_open(step))


def metrics_of(store: Store, run_id: int) -> list[tuple[str, int, float, float]]:
    """Return split, step, loss and accuracy of all that was recorded; a step that was stored twice is there twice."""
    blocks = execute(store, "SELECT split, points FROM curves WHERE run_id = ? ORDER BY split, step", (run_id,))
    return [
        (split, *point)
        for split, content in blocks
        for points in [decode(content)]
        for point in zip(points.steps, points.losses, points.accuracies, strict=True)
    ]


def assert_intact(store: Store) -> None:
    """Check a store whose runs are all done: the file, the times of the runs, the files next to it, the processes."""
    assert execute(store, "PRAGMA integrity_check") == [("ok",)]
    assert execute(store, "PRAGMA foreign_key_check") == []
    for run in list_runs(store):
        assert run.status == "done" and run.started is not None and run.ended is not None
        assert 0 < run.train_seconds <= run.busy_seconds <= run.ended - run.started
    wait_until(lambda: not worker_processes(store.path), 30)
    left = [file.name for file in store.files.folder.iterdir() if file.suffix != ".log"]
    assert left == [], "files are left over"
