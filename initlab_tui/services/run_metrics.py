"""Reads the observables of claims from the store."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

from initlab_tui.domain.claims.evaluation import RunMetrics
from initlab_tui.store import layer_statistics
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run


def run_metrics(store: Store, experiment: str, runs: Iterable[Run]) -> list[RunMetrics]:
    """Return the observables of the runs of the named experiment."""
    return [RunMetrics(experiment, run.spec, _by_epoch(store, run)) for run in runs]


def _by_epoch(store: Store, run: Run) -> Mapping[str, Sequence[float]]:
    """Return each observable before the first epoch and after each epoch, up to the first value that is not finite."""
    if not run.steps_per_epoch:
        return {}
    curve = read_curve(store, run.id, "test")
    at_step = dict(zip(curve.steps, zip(curve.losses, curve.accuracies, strict=True), strict=True))
    steps = range(0, run.spec.epochs * run.steps_per_epoch + 1, run.steps_per_epoch)
    measured = [at_step[step] for step in itertools.takewhile(at_step.__contains__, steps)]
    return {
        "test_loss": list(itertools.takewhile(math.isfinite, (loss for loss, _ in measured))),
        "test_accuracy": list(itertools.takewhile(math.isfinite, (accuracy for _, accuracy in measured))),
        **_layer_ratios(layer_statistics.read(store, run.id)[:1]),
    }


def _layer_ratios(measured: Sequence[layer_statistics.StoredMeasurement]) -> Mapping[str, Sequence[float]]:
    """Return the ratios between the first and the last hidden layer before the first step."""
    if not measured or measured[0].step or len(measured[0].measurement.layers) < 3:
        return {}
    first, *_, last, _ = measured[0].measurement.layers
    ratios = {
        "activation_ratio": _ratio(last["activation_std"], first["activation_std"]),
        "backprop_ratio": _ratio(first["preactivation_grad_rms"], last["preactivation_grad_rms"]),
    }
    return {name: [value] for name, value in ratios.items() if math.isfinite(value)}


def _ratio(value: float | None, other: float | None) -> float:
    return value / other if value is not None and other else math.nan
