"""Measurements in the store: writing, reading and replacing them."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace

import pytest

from initlab_tui.domain.events import LayersMeasured, Stepped
from initlab_tui.domain.layers.measurement import LayerStatistics, Measurement, NetworkStatistics
from initlab_tui.domain.layers.metrics import LAYER_METRICS
from initlab_tui.store import layer_statistics, migrations, progress
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.runs import Run, find_run
from initlab_tui.store.sql import connection as connection_of
from tests.store.test_database import STARTED, claimed

HEALTHY = {
    "preactivation_mean": 0.0,
    "preactivation_std": 1.0,
    "activation_mean": 0.0,
    "activation_std": 1.0,
    "dead_share": 0.1,
    "saturated_share": None,
    "kernel_grad_norm": 1.0,
    "kernel_grad_std": 0.1,
    "preactivation_grad_rms": 0.1,
    "update_ratio": None,
    "max_cosine": 0.2,
    "duplicate_units": 0.0,
    "input_correlation": 0.5,
}
NETWORK = {
    "input_rms": 1.0,
    "loss": 2.3,
    "chance_loss": math.log(10),
    "gradient_ratio": 1.0,
    "jacobian_mean_square": 1.0,
    "jacobian_condition": 2.0,
}


@pytest.fixture
def run(store: Store) -> Run:
    return claimed(store)


def with_metrics(layer: LayerStatistics, **metrics: float | None) -> LayerStatistics:
    return replace(layer, metrics={**layer.metrics, **metrics})


def measured(relative_rms: float = 1.0, **metrics: float | None) -> Measurement:
    """Return a measurement of two hidden layers and the logits; the second has `relative_rms` times the signal."""
    healthy = LayerStatistics("dense_1", HEALTHY)
    second = LayerStatistics("dense_2", {**HEALTHY, "activation_std": relative_rms, **metrics})
    logits = LayerStatistics("logits", {**HEALTHY, "dead_share": None})
    return Measurement((healthy, second, logits), NetworkStatistics(NETWORK))


def test_measurements_and_their_diagnoses_are_read_back_as_stored(store: Store, run: Run) -> None:
    events = [LayersMeasured(0, measured(0.001), 0.01), LayersMeasured(7, measured(0.5, update_ratio=0.01), 0.01)]
    for event in events:
        progress.record(store, run, [event])
    found = layer_statistics.read(store, run.id)
    assert [(each.step, each.diagnosis.name) for each in found] == [(0, "vanishing_forward"), (7, "healthy")]
    assert [each.measurement for each in found] == [event.measurement for event in events]
    assert found[0].diagnosis.layer == "dense_2"
    assert layer_statistics.read(store, run.id, last_only=True) == found[1:]


def test_the_diagnosis_at_step_0_is_kept_with_the_run(store: Store, run: Run) -> None:
    progress.record(store, run, [LayersMeasured(0, measured(0.001), 0.01)])
    progress.record(store, run, [LayersMeasured(7, measured(), 0.01)])
    kept = find_run(store, run.id)
    assert kept is not None and kept.diagnosis == kept.outcome.diagnosis == "vanishing_forward"
    assert any(
        kind == "measured" and "before the first step" in detail for _, kind, detail in read_events(store, run.id)
    )


def test_a_value_that_is_not_finite_is_read_back_as_none(store: Store, run: Run) -> None:
    progress.record(store, run, [LayersMeasured(0, measured(math.inf, kernel_grad_norm=math.nan), 0.01)])
    (found,) = layer_statistics.read(store, run.id)
    layer = found.measurement.layers[1]
    assert found.diagnosis.name == "exploding"
    assert layer["activation_std"] is None and math.isnan(layer.value("activation_std"))
    assert layer["kernel_grad_norm"] is layer["saturated_share"] is layer["update_ratio"] is None


def test_a_new_metric_is_stored_without_a_migration(store: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    progress.record(store, run, [LayersMeasured(0, measured(), 0.01)])
    monkeypatch.setattr(
        "initlab_tui.domain.layers.measurement.LAYER_METRICS",
        {**LAYER_METRICS, "spectral_norm": replace(LAYER_METRICS["max_cosine"], name="spectral_norm")},
    )
    new = measured(spectral_norm=1.5)
    progress.record(store, run, [LayersMeasured(5, new, 0.01)])
    old, found = layer_statistics.read(store, run.id)
    assert [layer["spectral_norm"] for layer in found.measurement.layers] == [None, 1.5, None]
    assert [layer["spectral_norm"] for layer in old.measurement.layers] == [None, None, None]
    assert found.measurement.layers[1] == new.layers[1]


def test_any_sqlite_tool_reads_the_metrics_by_name(store: Store, run: Run) -> None:
    progress.record(store, run, [LayersMeasured(0, measured(0.25), 0.01)])
    query = "SELECT layer, activation_std FROM layer_statistics WHERE run_id = ? AND step = 0 ORDER BY number"
    assert connection_of(store).execute(query, (run.id,)).fetchall() == [
        ("dense_1", 1),
        ("dense_2", 0.25),
        ("logits", 1),
    ]


def test_measurements_of_an_older_store_are_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    with monkeypatch.context() as then:
        then.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:3])
        migrations.migrate(connection)
    connection.execute(
        "INSERT INTO layer_health VALUES (1, 0, 0, 'dense_1', 1, 2, 3, 4, 5, NULL, 6, 7, 8, 9, 10, 11, 12)"
    )
    connection.execute("INSERT INTO network_health VALUES (1, 0, 'dead', 'why', 'dense_1', 1, 2, 3, 4, 5, NULL)")
    migrations.migrate(connection)
    cursor = connection.execute("SELECT * FROM layer_statistics")
    row = dict(zip([name for name, *_ in cursor.description], cursor.fetchone(), strict=True))
    assert {name: row[name] for name in LAYER_METRICS} == dict(
        zip(LAYER_METRICS, [1, 2, 3, 4, 5, None, 6, 7, 8, 9, 10, 11, 12], strict=True)
    )
    assert connection.execute("SELECT diagnosis, layer, loss, jacobian_condition FROM measurements").fetchall() == [
        ("dead", "dense_1", 2, None)
    ]


def test_measurements_after_a_checkpoint_are_replaced(store: Store, run: Run) -> None:
    for step in (0, 5, 9):
        progress.record(store, run, [Stepped(step + 1, (1.0,), (0.5,), 0.1, 1), LayersMeasured(step, measured(), 0.01)])
    progress.record_started(store, run, STARTED.__class__(**{**vars(STARTED), "step": 5}), {})
    assert [each.step for each in layer_statistics.read(store, run.id)] == [0, 5]


def test_a_run_that_was_not_measured_has_no_measurements(store: Store, run: Run) -> None:
    assert layer_statistics.read(store, run.id) == []
    kept = find_run(store, run.id)
    assert kept is not None and kept.diagnosis == ""
