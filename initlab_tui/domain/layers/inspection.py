"""One initializer before training: predicted and measured values for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.diagnosis import Diagnosis, diagnose, diagnose_prediction
from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.layers.measurement import Measurement, relative_rms
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.theory.composition import Prediction
from initlab_tui.domain.theory.mean_field import (
    correlations,
    predict,
)

PREDICTED = (
    *("preactivation_std", "relative_rms", "activation_mean", "activation_std"),
    *("preactivation_grad_rms", "input_correlation", "chi1"),
)


@dataclass(frozen=True)
class Inspection:
    """The layers of one initializer's network, measured and predicted, and the diagnosis of each.

    `predicted` has for each layer a value for every name in PREDICTED, None if there is no prediction. Gradients are
    predicted relative to the one measured at the logits, correlations from the one measured in the first layer.
    """

    initializer: Initializer
    measurement: Measurement
    diagnosis: Diagnosis
    predicted_diagnosis: Diagnosis
    predicted: tuple[Mapping[str, float | None], ...]


def inspection(spec: RunSpec, graph: LayerGraph, measurement: Measurement) -> Inspection:
    """Compare a measurement of the network of `spec` with the prediction for the same data."""
    square = measurement.network.value("input_rms") ** 2
    prediction = predict(spec.initializer, graph, square) if square else None
    return Inspection(
        spec.initializer,
        measurement,
        diagnose(measurement),
        diagnose_prediction(spec.initializer, graph, prediction, square),
        _predicted(graph, prediction, measurement)
        if prediction
        else tuple(dict.fromkeys(PREDICTED) for _ in graph.layers),
    )


def _predicted(
    graph: LayerGraph, prediction: Prediction, measurement: Measurement
) -> tuple[Mapping[str, float | None], ...]:
    input_rms = measurement.network.value("input_rms")
    at_logits = measurement.layers[-1].value("preactivation_grad_rms")
    correlated: Sequence[float | None] = [None] * len(prediction.layers)
    if graph.is_chain:
        first = measurement.layers[0].value("input_correlation")
        correlated = correlations(graph.layers[0].activation, prediction, first)
    return tuple(
        {
            "preactivation_std": layer.preactivation_std,
            "relative_rms": relative_rms(layer.activation_mean, layer.activation_std, input_rms),
            "activation_mean": layer.activation_mean,
            "activation_std": layer.activation_std,
            "preactivation_grad_rms": layer.relative_grad_rms * at_logits,
            "input_correlation": correlation,
            "chi1": layer.chi1,
        }
        for layer, correlation in zip(prediction.layers, correlated, strict=True)
    )
