"""The commands that train: demo, run, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from initlab_tui.cli import context as here
from initlab_tui.cli import lab, options
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import Comparison, Initializer, RunSpec
from initlab_tui.reports import documents, tables
from initlab_tui.reports.format import conclusion

if TYPE_CHECKING:
    from initlab_tui.cli.follow_runs import Trained

DEMO_STARTS = ("zeros", "random_normal:stddev=1.0", "random_normal", "glorot_uniform", "he_normal")


def demo(
    context: typer.Context,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Open the lab with five starts of a ten-layer network training on real digits; prints where no terminal is."""
    comparison = Comparison(
        base=RunSpec(hidden=(64,) * 10, batch_size=32, epochs=5),
        initializers=tuple(map(Initializer.parse, DEMO_STARTS)),
        seeds=(0, 1, 2),
    )
    if lab.has_terminal() and not as_json:
        raise typer.Exit(lab.open_lab(here.store_path(context, store), here.data_dir(context, None), comparison))
    here.hint(
        "Five starts of one network, ten ReLU layers of 64, on 1,437 real handwritten digits; three seeds each. "
        "TensorFlow takes some seconds to start."
    )
    _train(context, comparison, options.Resources(), store, None, as_json, lone=False)


@options.with_training
def run(
    context: typer.Context,
    *,
    initializer: options.Initializer = ["glorot_uniform"],  # noqa: B006 - typer reads it, nothing writes it
    hidden: options.Hidden = "256,256",
    activation: options.Activation = "relu",
    learning_rate: options.LearningRate = "0.001",
    training: options.Training,
    device: options.Device = None,
    threads: options.Threads = None,
    detach: options.Detach = False,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train one network from one start."""
    if len(initializer) != 1:
        raise InvalidInputError.of(
            "initializer", f"run trains one start, got {len(initializer)}: use initlab-tui compare for several"
        )
    comparison = training.comparison(initializer, [hidden], [activation], [learning_rate])
    place = options.Resources(device, 1, threads, detach)
    _train(context, comparison, place, store, data_dir, as_json, lone=True)


@options.with_training
def compare(
    context: typer.Context,
    *,
    initializer: options.Initializers,
    seeds: options.Seeds = "3",
    hidden: options.HiddenList = ["256,256"],  # noqa: B006
    activation: options.ActivationList = ["relu"],  # noqa: B006
    learning_rate: options.LearningRateList = ["0.001"],  # noqa: B006
    training: options.Training,
    device: options.Device = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    detach: options.Detach = False,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train the same network from several starts, over several seeds, and rank them."""
    comparison = training.comparison(initializer, hidden, activation, learning_rate, seeds)
    place = options.Resources(device, workers, threads, detach)
    _train(context, comparison, place, store, data_dir, as_json, lone=False)


def _train(
    context: typer.Context,
    comparison: Comparison,
    place: options.Resources,
    store: Path | None,
    data_dir: Path | None,
    as_json: bool,
    *,
    lone: bool,
) -> None:
    from initlab_tui.cli import follow_runs  # what `--help` and `runs` do not need

    path, folder = here.store_path(context, store), here.data_dir(context, data_dir)
    trained = follow_runs.train(comparison, path, folder, place, here.err())
    number = trained.runs[0].comparison_id
    if as_json:
        print(documents.dump(documents.comparison_document(number, comparison, trained.runs)))
    elif place.detach:
        print("\n".join(str(run.id) for run in trained.runs))
        here.hint(
            f"comparison {number} is left to train: initlab-tui leaderboard --comparison {number}, "
            "initlab-tui runs; to end it, initlab-tui stop ID..."
        )
    else:
        _print(trained)
    if not place.detach:
        raise typer.Exit(follow_runs.exit_code(trained, divergence_is_expected=not lone))


def _print(trained: Trained) -> None:
    rows = documents.rows(trained.runs)
    if any(row.n for row in rows) or not trained.interrupted:
        here.print_page(lambda width: tables.leaderboard_tables(rows, width))
    sentence = conclusion(rows)
    if sentence:
        here.out().print(sentence, markup=False)
    for run in trained.runs:
        if run.status in ("failed", "crashed"):
            here.complain(f"run {run.id} {run.status}: {run.reason} (initlab-tui show {run.id})")
    ids = [run.id for run in trained.runs]
    span = str(ids[0]) if len(ids) == 1 else f"{ids[0]} to {ids[-1]}"
    if trained.interrupted:
        stopped = sum(run.status == "stopped" for run in trained.runs)
        left = sum(not run.status.is_ended for run in trained.runs)
        more = f", {left} still to stop" if left else ""
        here.hint(f"stopped {stopped} of {len(ids)} runs{more}; what they recorded is kept: initlab-tui runs")
    else:
        here.hint(f"runs {span}: initlab-tui show {ids[0]}; all there is: initlab-tui leaderboard")
