from __future__ import annotations

import math
from typing import Any

import pytest

from initlab_tui.domain.events import LayersMeasured, Stepped
from initlab_tui.domain.layers.diagnosis import LayerStatistics, Measurement, NetworkStatistics
from initlab_tui.store import layer_statistics, progress
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.runs import Run, find_run
from tests.store.test_database import STARTED, claimed


@pytest.fixture
def run(store: Store) -> Run:
    return claimed(store)


def health(level: float = 1.0, **layer: Any) -> Measurement:
    """Two hidden layers and the logits, the second hidden one with `level` times the input's signal."""
    sound = LayerStatistics("dense_1", 0.0, 1.0, 0.0, 1.0, 0.1, None, 1.0, 0.1, 0.1, None, 0.2, 0.0, 0.5)
    ill = sound._replace(layer="dense_2", activation_std=level)._replace(**layer)
    logits = sound._replace(layer="logits", dead=None)
    return Measurement((sound, ill, logits), NetworkStatistics(1.0, 2.3, math.log(10), 1.0, 1.0, 2.0))


def test_what_was_measured_is_kept_judged_and_given_back(store: Store, run: Run) -> None:
    measured = [LayersMeasured(0, health(0.001), 0.01), LayersMeasured(7, health(0.5, update_ratio=0.01), 0.01)]
    for event in measured:
        progress.record(store, run, [event])
    found = layer_statistics.read(store, run.id)
    assert [(checkup.step, checkup.verdict.name) for checkup in found] == [(0, "vanishing_forward"), (7, "healthy")]
    assert [checkup.health for checkup in found] == [event.health for event in measured]
    assert found[0].verdict.layer == "dense_2"
    assert layer_statistics.read(store, run.id, last_only=True) == found[1:]
    kept = find_run(store, run.id)
    assert kept is not None and kept.verdict == "vanishing_forward"
    assert kept.outcome.diagnosis == "vanishing_forward"
    assert any(
        kind == "measured" and "before the first step" in detail for _, kind, detail in read_events(store, run.id)
    )


def test_what_is_beyond_floats_comes_back_as_no_number_and_what_there_is_not_as_none(store: Store, run: Run) -> None:
    progress.record(store, run, [LayersMeasured(0, health(math.inf, gradient_norm=math.nan), 0.01)])
    (found,) = layer_statistics.read(store, run.id)
    layer = found.health.layers[1]
    assert found.verdict.name == "exploding"
    assert math.isnan(layer.activation_std) and math.isnan(layer.gradient_norm)
    assert layer.saturated is None and layer.update_ratio is None


def test_what_comes_after_a_checkpoint_is_measured_again(store: Store, run: Run) -> None:
    for step in (0, 5, 9):
        progress.record(store, run, [Stepped(step + 1, (1.0,), (0.5,), 0.1, 1), LayersMeasured(step, health(), 0.01)])
    progress.record_started(store, run, STARTED.__class__(**{**vars(STARTED), "step": 5}), {})
    assert [checkup.step for checkup in layer_statistics.read(store, run.id)] == [0, 5]


def test_a_run_that_was_not_measured_has_nothing(store: Store, run: Run) -> None:
    assert layer_statistics.read(store, run.id) == []
    kept = find_run(store, run.id)
    assert kept is not None and kept.verdict == ""
