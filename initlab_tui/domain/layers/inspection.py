"""A start before any training: what theory foretells of each layer beside what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initlab_tui.domain.layers.diagnosis import Diagnosis, LayerStatistics, Measurement, diagnose, diagnose_prediction
from initlab_tui.domain.spec import Initializer, LayerShape, RunSpec
from initlab_tui.domain.theory.mean_field import LayerPrediction, correlations, predict


@dataclass(frozen=True)
class Inspection:
    """One start's layers, measured and foretold (None where theory is silent), and both verdicts.

    The foretold `correlations` of two inputs set out from the one measured in the first layer.
    """

    initializer: Initializer
    health: Measurement
    verdict: Diagnosis
    foretold: Diagnosis
    predictions: tuple[LayerPrediction | None, ...]
    correlations: tuple[float | None, ...]

    @property
    def layers(self) -> list[tuple[LayerStatistics, LayerPrediction | None, float | None]]:
        return list(zip(self.health.layers, self.predictions, self.correlations, strict=True))


def inspection(spec: RunSpec, kernels: Sequence[LayerShape], health: Measurement) -> Inspection:
    """Put what was measured of `spec`'s network beside what theory foretells for the same data."""
    square = health.network.input_rms**2
    prediction = predict(spec.initializer, kernels, spec.activation, square) if square else None
    first, silent = health.layers[0].correlation, (None,) * len(kernels)
    return Inspection(
        spec.initializer,
        health,
        diagnose(health),
        diagnose_prediction(spec.initializer, kernels, prediction, spec.activation, square),
        prediction.layers if prediction else silent,
        correlations(spec.activation, prediction, first) if prediction else silent,
    )
