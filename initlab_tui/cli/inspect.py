"""The command that looks inside the layers before any training: inspect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from initlab_tui.cli import context as here
from initlab_tui.cli import options
from initlab_tui.domain.layers.diagnosis import relative_rms
from initlab_tui.domain.layers.inspection import Inspection
from initlab_tui.reports import documents, layers


@options.with_training
def inspect(
    context: typer.Context,
    *,
    initializer: options.Initializers,
    hidden: options.Hidden = "256,256",
    activation: options.Activation = "relu",
    learning_rate: options.LearningRate = "0.001",
    training: options.Training,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Show by layer what a start does to signal and gradient, foretold and measured, without training.

    Takes the options of a run, so that a command line can be tried first: those of training change nothing here.
    """
    from initlab_tui.services import inspect_layers  # psutil and json are not needed to refuse a bad spec

    comparison = training.comparison(initializer, [hidden], [activation], [learning_rate])
    found = inspect_layers.inspect(list(comparison.runs()), here.data_dir(context, data_dir), Path.cwd())
    if as_json:
        print(documents.dump({"initializers": [inspection_document(each) for each in found]}))
    else:
        console = here.out()
        for each in found:
            console.print(layers.inspection_page(each))


def inspection_document(found: Inspection) -> dict[str, Any]:
    """One start: its verdict, foretold and measured, and the figures of each layer."""
    input_rms, top = found.health.network.input_rms, found.health.layers[-1].backprop_std
    return {
        "initializer": str(found.initializer),
        "verdict": found.verdict.name,
        "reason": found.verdict.reason,
        "predicted_verdict": found.foretold.name,
        "predicted_reason": found.foretold.reason,
        "network": found.health.network._asdict(),
        "layers": [
            {
                "name": layer.layer,
                **{
                    f"predicted_{name}": value
                    for name, value in (
                        ("std", expected.predicted_std if expected else None),
                        ("level", relative_rms(expected, input_rms) if expected else None),
                        ("activation_mean", expected.activation_mean if expected else None),
                        ("activation_std", expected.activation_std if expected else None),
                        ("backprop_std", expected.gradient_std * top if expected else None),
                        ("correlation", correlation),
                        ("chi1", expected.chi1 if expected else None),
                    )
                },
                "measured_std": layer.preactivation_std,
                "level": relative_rms(layer, input_rms),
                **{name: value for name, value in layer._asdict().items() if name != "layer"},
            }
            for layer, expected, correlation in found.layers
        ],
    }
