"""A store written by version 0.1.0 (schema 3) opens with all of its contents.

`schema-3-store.gz` was written by that version on the digits: `compare` of he_normal and ones over two seeds, a `run`
with `--l2 0.001`, and a long `run` of zeros that was paused. Then run 1 was named, runs 1 and 3 were tagged and run 4
was deleted. Names of the host and of folders were replaced, and the middle of the paused run's metrics removed.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.statistics.leaderboard import leaderboard
from initlab_tui.store import edits, layer_statistics, queue
from initlab_tui.store.comparisons import last_comparison
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import find_run, list_runs
from tests.database import execute

WRITTEN = Path(__file__).with_name("schema-3-store.gz")


@pytest.fixture
def old(tmp_path: Path) -> Store:
    path = tmp_path / "lab.db"
    path.write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    return Store.open(path)


def test_runs_keep_their_results_names_and_tags(old: Store) -> None:
    runs = list_runs(old)
    assert [run.id for run in runs] == [1, 2, 3, 5, 6]
    assert [run.status for run in runs] == [*[RunStatus.DONE] * 4, RunStatus.PAUSED]
    assert [(run.name, run.tags) for run in runs[:3]] == [("first", "thesis he"), ("", ""), ("", "thesis he")]
    assert [str(run.spec.initializer) for run in runs] == ["he_normal", "ones", "he_normal", "glorot_uniform", "zeros"]
    assert runs[0].test_loss == pytest.approx(2.484, abs=1e-3)


def test_groups_are_unchanged_and_a_new_run_of_a_spec_joins_its_group(old: Store) -> None:
    assert [row.seeds for row in leaderboard(run.outcome for run in list_runs(old))] == [(0, 1), (0,), (0,), (0,)]
    (spec,) = {run.spec.model_copy(update={"seed": 7}) for run in list_runs(old) if run.id in (1, 3)}
    queue.enqueue(old, None, [spec], Requirements("cpu", 1, None, Path("/")))
    by_initializer = {str(row.spec.initializer): row for row in leaderboard(run.outcome for run in list_runs(old))}
    assert by_initializer["he_normal"].seeds == (0, 1, 7)


def test_curves_and_events_are_kept(old: Store) -> None:
    assert read_curve(old, 1, "train").steps == tuple(range(1, 12))
    assert read_curve(old, 1, "test").steps == (0, 11)
    assert [kind for _, kind, _ in read_events(old, 1)] == [
        *("queued", "claimed", "started", "measured", "done"),
        *("renamed", "tagged"),
    ]
    found = last_comparison(old)
    assert found is not None and [str(each) for each in found[0].initializers] == ["zeros"]
    ((stored,),) = execute(old, "SELECT comparison FROM comparisons ORDER BY id DESC LIMIT 1")
    assert json.loads(found[0].to_json()) == json.loads(stored)


def test_layer_statistics_are_migrated_to_the_registrys_names(old: Store) -> None:
    first, *_, last = layer_statistics.read(old, 2)
    assert (first.step, first.diagnosis.name, last.step) == (0, "symmetric", 11)
    assert [layer.layer for layer in first.measurement.layers] == ["dense_1", "dense_2", "logits"]
    assert first.measurement.layers[0]["duplicate_units"] == 1
    assert first.measurement.layers[0]["update_ratio"] is None and last.measurement.layers[0]["update_ratio"]
    assert first.measurement.network["chance_loss"] == pytest.approx(2.3026, abs=1e-4)
    run = find_run(old, 2)
    assert run is not None and run.diagnosis == "symmetric"


def test_a_deleted_run_can_still_be_restored(old: Store) -> None:
    assert edits.restore_newest(old) == [4]
    assert find_run(old, 4) is not None
