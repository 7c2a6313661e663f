"""The commands that train: demo, run, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from initlab_tui.cli import interrupts, lab, options, output
from initlab_tui.cli.context import chosen_data_dir, chosen_store
from initlab_tui.domain import checkpoint_interval
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.services.resources import Resources

if TYPE_CHECKING:
    from initlab_tui.cli.follow_runs import Trained
    from initlab_tui.domain.comparison import Comparison

DEMO_INITIALIZERS = ("zeros", "random_normal:stddev=1.0", "random_normal", "glorot_uniform", "he_normal")


def demo(
    context: typer.Context,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Compare five initializers for a ten-layer network on handwritten digits, in the lab or as text."""
    from initlab_tui.domain.comparison import Comparison
    from initlab_tui.domain.initializer import Initializer
    from initlab_tui.domain.spec import RunSpec

    comparison = Comparison(
        base=RunSpec(hidden=(64,) * 10, batch_size=32, epochs=5),
        initializers=tuple(map(Initializer.parse, DEMO_INITIALIZERS)),
        seeds=(0, 1, 2),
    )
    if lab.has_terminal() and not as_json:
        raise typer.Exit(lab.open_lab(chosen_store(context, store), chosen_data_dir(context, None), comparison))
    output.hint(
        "Comparing five initializers for one network (ten ReLU layers of 64 units) on 1,437 handwritten digits, "
        "with three seeds each. TensorFlow takes a few seconds to start."
    )
    _train(context, comparison, Resources(), False, store, None, as_json, single_run=False)


@options.with_training
def run(
    context: typer.Context,
    *,
    initializer: options.Initializer = ["glorot_uniform"],  # noqa: B006 - typer reads it, nothing writes it
    network: options.Network = "mlp",
    hidden: options.Hidden = "256,256",
    activation: options.Activation = "relu",
    optimizer: options.Optimizer = "adam",
    learning_rate: options.LearningRate = "0.001",
    training: options.Training,
    device: options.Device = None,
    threads: options.Threads = None,
    checkpoint_every: options.CheckpointEvery = options.CHECKPOINT_EVERY,
    detach: options.Detach = False,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train one network with one initializer."""
    if len(initializer) != 1:
        raise InvalidInputError.of(
            "initializer", f"run trains one initializer, got {len(initializer)}: use initlab-tui compare for several"
        )
    comparison = training.comparison(initializer, [network], [hidden], [activation], [optimizer], [learning_rate])
    resources = Resources(device, 1, threads, checkpoint_interval.parse(checkpoint_every))
    _train(context, comparison, resources, detach, store, data_dir, as_json, single_run=True)


@options.with_training
def compare(
    context: typer.Context,
    *,
    initializer: options.Initializers,
    seeds: options.Seeds = "3",
    network: options.NetworkList = ["mlp"],  # noqa: B006
    hidden: options.HiddenList = ["256,256"],  # noqa: B006
    activation: options.ActivationList = ["relu"],  # noqa: B006
    optimizer: options.OptimizerList = ["adam"],  # noqa: B006
    learning_rate: options.LearningRateList = ["0.001"],  # noqa: B006
    training: options.Training,
    device: options.Device = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    checkpoint_every: options.CheckpointEvery = options.CHECKPOINT_EVERY,
    detach: options.Detach = False,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train the same network with several initializers, over several seeds, and rank them."""
    comparison = training.comparison(initializer, network, hidden, activation, optimizer, learning_rate, seeds)
    resources = Resources(device, workers, threads, checkpoint_interval.parse(checkpoint_every))
    _train(context, comparison, resources, detach, store, data_dir, as_json, single_run=False)


def _train(
    context: typer.Context,
    comparison: Comparison,
    resources: Resources,
    detach: bool,
    store: Path | None,
    data_dir: Path | None,
    as_json: bool,
    *,
    single_run: bool,
) -> None:
    from initlab_tui.cli import follow_runs
    from initlab_tui.reports import documents
    from initlab_tui.services import submit

    interrupts.raise_interrupt()
    path, folder = chosen_store(context, store), chosen_data_dir(context, data_dir)
    submission = submit.prepare(comparison, folder, Path.cwd(), resources)
    trained = follow_runs.train(submission, path, output.stderr(), detach=detach)
    number = trained.comparison_id
    if as_json:
        output.print_json(documents.comparison_document(number, comparison, trained.runs))
    elif detach:
        print("\n".join(str(run.id) for run in trained.runs))
        output.hint(
            f"Comparison {number} is running in the background. Show it with: initlab-tui leaderboard "
            f"--comparison {number}. Follow it with: initlab-tui attach {trained.runs[0].id}. "
            "Stop it with: initlab-tui stop ID..."
        )
    else:
        _print(trained)
    if not detach:
        raise typer.Exit(follow_runs.exit_code(trained, divergence_is_expected=not single_run))


def _print(trained: Trained) -> None:
    from initlab_tui.cli import follow_runs

    follow_runs.print_results(trained.runs, only_with_results=trained.interrupted)
    ids = [run.id for run in trained.runs]
    span = str(ids[0]) if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
    if trained.interrupted:
        stopped = sum(run.status is RunStatus.STOPPED for run in trained.runs)
        remaining = sum(run.status.is_active for run in trained.runs)
        more = f", {remaining} still stopping" if remaining else ""
        output.hint(
            f"stopped {stopped} of {len(ids)} runs{more}; their results are kept: initlab-tui runs; "
            "continue them with: initlab-tui resume ID..."
        )
    else:
        output.hint(f"runs {span}: initlab-tui show {ids[0]}; all runs: initlab-tui leaderboard")
