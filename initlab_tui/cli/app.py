"""The commands. stdout is data, stderr progress and errors; 0 done, 1 failed, 2 bad input, 130 interrupted."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType

import initlab_tui
from initlab_tui.cli import documents, options, tables
from initlab_tui.cli.text import plain
from initlab_tui.experiments.initializers import CATALOGUE
from initlab_tui.experiments.problems import InvalidInputError, unknown
from initlab_tui.experiments.spec import Comparison, Initializer, RunSpec
from initlab_tui.runs import paths, queue, supervisor
from initlab_tui.runs.store import ACTIVE, Run, Store

BAD_INPUT = 2
WIDTH_OF_NO_TERMINAL = 160
DEMO = Comparison(
    base=RunSpec(hidden=(64,) * 10, batch_size=32, epochs=5),
    initializers=tuple(
        map(
            Initializer.parse,
            ("zeros", "random_normal:stddev=1.0", "random_normal", "glorot_uniform", "he_normal"),
        )
    ),
    seeds=(0, 1, 2),
)

app = typer.Typer(
    help="A lab bench for weight initialization: train the same network from different starts and see which "
    "was better, by how much, and whether the difference is real.",
    epilog="Begin with: initlab-tui demo",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Id = Annotated[int, typer.Argument(metavar="ID", help="A run's number, from initlab-tui runs.")]
SomeIds = Annotated[list[int] | None, typer.Argument(metavar="ID...", help="Runs, by number.")]
Ids = Annotated[list[int], typer.Argument(metavar="ID...", help="Runs, by number.")]
_TRAIN, _LOOK, _STEER = "Train", "Look", "Steer what trains"


@dataclass(frozen=True)
class Places:
    """The options that may stand before the command as well as after it."""

    store: Path | None = None
    data_dir: Path | None = None


def _store_path(context: typer.Context, here: Path | None) -> Path:
    places: Places = context.obj
    return here or places.store or paths.default_store()


def _data_dir(context: typer.Context, here: Path | None) -> Path | None:
    places: Places = context.obj
    folder = here or places.data_dir
    if folder is not None and not folder.is_dir():
        raise InvalidInputError.of("data_dir", f"--data-dir {folder} must be a folder that exists")
    return folder


def _out() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_OF_NO_TERMINAL
    return console


def _err() -> Console:
    return Console(stderr=True, highlight=False)


def _report(page: Callable[[], RenderableType], document: Callable[[], object], as_json: bool) -> None:
    if as_json:
        print(documents.dump(document()))
    else:
        _out().print(page())


def _version(asked: bool) -> None:
    if asked:
        print(f"initlab-tui {initlab_tui.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    version: Annotated[  # noqa: ARG001 - its callback answers it
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Places(store, data_dir)
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command(rich_help_panel=_TRAIN)
def demo(
    context: typer.Context,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Compare five starts of a ten-layer network on real handwritten digits; seconds, and no network needed."""
    if not as_json:
        _err().print(
            "Five starts of the same network, ten ReLU layers of 64, on 1,437 real handwritten digits; "
            "three seeds each.",
            style="dim",
        )
    _train(context, DEMO, options.Place(), store, None, as_json, lone=False)


@app.command(rich_help_panel=_TRAIN)
def run(
    context: typer.Context,
    initializer: options.Initializer = "glorot_uniform",
    dataset: options.Dataset = "digits",
    hidden: options.Hidden = "256,256",
    activation: options.Activation = "relu",
    optimizer: options.Optimizer = "adam",
    learning_rate: options.LearningRate = "0.001",
    batch_size: options.BatchSize = "128",
    epochs: options.Epochs = "1",
    seed: options.Seed = "0",
    eval_every: options.EvalEvery = "0",
    execution: options.Execution = "xla",
    device: options.Device = None,
    threads: options.Threads = None,
    detach: options.Detach = False,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train one network from one start."""
    comparison = options.comparison(
        initializers=[initializer],
        hidden=[hidden],
        activations=[activation],
        learning_rates=[learning_rate],
        seed=seed,
        seeds="1",
        dataset=dataset,
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
        eval_every=eval_every,
        execution=execution,
    )
    place = options.Place(device, 1, threads, detach)
    _train(context, comparison, place, store, data_dir, as_json, lone=True)


@app.command(rich_help_panel=_TRAIN)
def compare(
    context: typer.Context,
    initializer: options.Initializers,
    seeds: options.Seeds = "3",
    dataset: options.Dataset = "digits",
    hidden: options.HiddenList = ["256,256"],  # noqa: B006 - typer reads it, nothing writes it
    activation: options.ActivationList = ["relu"],  # noqa: B006
    optimizer: options.Optimizer = "adam",
    learning_rate: options.LearningRateList = ["0.001"],  # noqa: B006
    batch_size: options.BatchSize = "128",
    epochs: options.Epochs = "1",
    seed: options.Seed = "0",
    eval_every: options.EvalEvery = "0",
    execution: options.Execution = "xla",
    device: options.Device = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    detach: options.Detach = False,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train the same network from several starts, over several seeds, and rank them."""
    comparison = options.comparison(
        initializers=initializer,
        hidden=hidden,
        activations=activation,
        learning_rates=learning_rate,
        seed=seed,
        seeds=seeds,
        dataset=dataset,
        optimizer=optimizer,
        batch_size=batch_size,
        epochs=epochs,
        eval_every=eval_every,
        execution=execution,
    )
    place = options.Place(device, workers, threads, detach)
    _train(context, comparison, place, store, data_dir, as_json, lone=False)


def _train(
    context: typer.Context,
    comparison: Comparison,
    place: options.Place,
    store: Path | None,
    data_dir: Path | None,
    as_json: bool,
    *,
    lone: bool,
) -> None:
    from initlab_tui.cli.train import exit_code, train  # what `--help` and `runs` do not need

    trained = train(comparison, _store_path(context, store), _data_dir(context, data_dir), place, _err())
    if as_json:
        print(documents.dump(documents.comparison_document(trained.comparison_id, comparison, trained.runs)))
    elif place.detach:
        print("\n".join(str(run.id) for run in trained.runs))
        _err().print("left to train: see initlab-tui runs, end with initlab-tui stop ID", style="dim")
    else:
        out = _out()
        out.print(tables.leaderboard_tables(documents.rows(trained.runs), out.width))
        for run in trained.runs:
            if run.status in ("failed", "crashed"):
                _complain(f"run {run.id} {run.status}: {run.reason} (initlab-tui show {run.id})")
    if not place.detach:
        raise typer.Exit(exit_code(trained, divergence_is_expected=not lone))


def _runs(context: typer.Context, store_path: Path | None, comparison_id: int | None = None) -> list[Run]:
    path = _store_path(context, store_path)
    store = Store.open_existing(path)
    if store is None:
        _err().print(f"no runs yet: there is no store {plain(str(path))}", style="dim", markup=False)
        return []
    with store:
        supervisor.reap(store)
        if comparison_id is None:
            return store.runs()
        found = store.runs_of(comparison_id)
        if not found:
            raise InvalidInputError.of("comparison", f"no comparison {comparison_id} in {path}")
        return found


@app.command(rich_help_panel=_LOOK)
def leaderboard(
    context: typer.Context,
    comparison: Annotated[
        int | None, typer.Option("--comparison", metavar="ID", help="Only this comparison's runs.")
    ] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Rank all that was trained, grouped over seeds, one ranking for each dataset."""
    rows = documents.rows(_runs(context, store, comparison))
    _report(
        lambda: tables.leaderboard_tables(rows, _out().width),
        lambda: {"leaderboard": [documents.row_document(row) for row in rows]},
        as_json,
    )


@app.command(rich_help_panel=_LOOK)
def runs(
    context: typer.Context,
    last: Annotated[int | None, typer.Option("--last", metavar="N", min=1, help="Only the newest N.")] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """List the runs, oldest first."""
    found = _runs(context, store)[-(last or 0) :]
    _report(
        lambda: tables.runs_table(found),
        lambda: {"runs": [documents.run_document(run) for run in found]},
        as_json,
    )


@app.command(rich_help_panel=_LOOK)
def show(
    context: typer.Context,
    run_id: Id,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Show all that is known of one run."""
    with _open(context, store) as opened:
        supervisor.reap(opened)
        found = opened.run(run_id)
        if found is None:
            raise InvalidInputError.of("id", f"no run {run_id} in {opened.path}: see initlab-tui runs")
        _report(
            lambda: tables.run_page(opened, found),
            lambda: documents.show_document(opened, found),
            as_json,
        )


def _open(context: typer.Context, store_path: Path | None) -> Store:
    path = _store_path(context, store_path)
    store = Store.open_existing(path)
    if store is None:
        raise InvalidInputError.of("store", f"there is no store {path} yet, so there are no runs")
    return store


@app.command(rich_help_panel=_STEER)
def stop(
    context: typer.Context,
    ids: SomeIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is running, queued or paused.")] = False,
    store: options.Store = None,
) -> None:
    """End runs; what they recorded is kept."""
    if bool(ids) == everything:
        raise InvalidInputError.of("id", "stop needs the numbers of runs, or --all, and not both")
    with _open(context, store) as opened:
        supervisor.reap(opened)
        active = [run.id for run in opened.runs() if run.status in ACTIVE]
        wanted = active if everything else list(ids or ())
        _told(wanted, queue.stop(opened, wanted), "stopping", "is over already")
        if everything and not wanted:
            _err().print("nothing is running or queued", style="dim")


@app.command(rich_help_panel=_STEER)
def pause(context: typer.Context, ids: Ids, store: options.Store = None) -> None:
    """Set runs aside with a checkpoint; their worker goes on with others."""
    with _open(context, store) as opened:
        _told(ids, queue.pause(opened, ids), "pausing", "is neither running nor queued")


@app.command(rich_help_panel=_STEER)
def resume(context: typer.Context, ids: Ids, store: options.Store = None) -> None:
    """Let paused runs go on from where they were, to the same weights as if never paused."""
    with _open(context, store) as opened:
        resumed = queue.resume(opened, ids)
        for plan in supervisor.needed_again(opened, resumed):
            supervisor.start_workers(opened, plan)
        _told(ids, resumed, "resumed", "is not paused")


def _told(wanted: Sequence[int], done: Sequence[int], doing: str, otherwise: str) -> None:
    for run_id in wanted:
        print(f"run {run_id}: {doing if run_id in done else otherwise}")


@app.command(rich_help_panel=_LOOK)
def initializers(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One in full, with its source.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the starts there are, what they draw and when to use them."""
    if name is not None and name not in CATALOGUE:
        raise InvalidInputError.of("name", unknown("initializer", name, CATALOGUE))
    entries = [CATALOGUE[name]] if name else list(CATALOGUE.values())
    _report(
        lambda: tables.initializer_page(entries[0]) if name else tables.initializers_table(),
        lambda: {"initializers": [documents.entry_document(entry) for entry in entries]},
        as_json,
    )


@app.command(rich_help_panel=_LOOK)
def datasets(context: typer.Context, data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """List the datasets, and which are at hand."""
    from initlab_tui.cli import doctor as examination

    folder = _data_dir(context, data_dir)
    described = examination.datasets(folder)
    _report(lambda: examination.datasets_table(described, folder), lambda: {"datasets": described}, as_json)


@app.command(rich_help_panel=_LOOK)
def doctor(
    context: typer.Context,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Check versions, devices, XLA, datasets, the store and the terminal; 1 when nothing could be trained here."""
    from initlab_tui.cli import doctor as examination

    folder = _data_dir(context, data_dir)
    report = examination.examine(_store_path(context, store), folder, Console())
    _report(lambda: examination.page(report, folder), lambda: report, as_json)
    raise typer.Exit(1 if "error" in report["tensorflow"] else 0)


def _complain(message: str) -> None:
    _err().print(f"initlab-tui: {plain(message)}", markup=False, soft_wrap=True)


def main() -> None:
    """The `initlab-tui` command."""
    for argument in sys.argv[1:]:
        if any(unicodedata.category(character) == "Cc" for character in argument):
            _complain(f"argument {argument} has control characters, which no option allows")
            sys.exit(BAD_INPUT)
    try:
        app(prog_name="initlab-tui")
    except InvalidInputError as error:
        for message in dict.fromkeys(problem.message for problem in error.problems):
            _complain(message)
        sys.exit(BAD_INPUT)
