"""The command that measures the layers before training: inspect."""

from __future__ import annotations

from pathlib import Path

import typer

from initlab_tui.cli import interrupts, options, output
from initlab_tui.cli.context import chosen_data_dir


@options.with_training
def inspect(
    context: typer.Context,
    *,
    initializer: options.Initializers,
    network: options.Network = "mlp",
    hidden: options.Hidden = "256,256",
    activation: options.Activation = "relu",
    optimizer: options.Optimizer = "adam",
    learning_rate: options.LearningRate = "0.001",
    training: options.Training,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Show signal and gradient by layer for each initializer, predicted and measured, without training.

    Accepts all options of a run, so that a command line can be checked first; those for training have no effect here.
    """
    comparison = training.comparison(initializer, [network], [hidden], [activation], [optimizer], [learning_rate])

    from initlab_tui.reports import documents, layers
    from initlab_tui.services import inspect_layers

    interrupts.raise_interrupt()
    found = inspect_layers.inspect(list(comparison.runs()), chosen_data_dir(context, data_dir), Path.cwd())
    if as_json:
        output.print_json({"initializers": [documents.inspection_document(each) for each in found]})
    else:
        console = output.stdout()
        for each in found:
            console.print(layers.inspection_page(each))
