"""The options that commands share, and how they become a comparison."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from initlab_tui.data import locate
from initlab_tui.domain import parse_comparison
from initlab_tui.domain.catalog.datasets import DATASETS, OWN_PREFIX
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.fields import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.spec import Comparison


def _starting_with(names: list[str]) -> dict[str, Any]:
    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return {"autocompletion": complete}


_SPEC, _PLACE = "What is trained", "Where and how"
MAX_ID = 2**63 - 1  # SQLite's largest whole number
_RUN = {"metavar": "ID", "min": 1, "max": MAX_ID}

Id = Annotated[int, typer.Argument(help="A run's number, from initlab-tui runs.", **_RUN)]
SomeIds = Annotated[list[int] | None, typer.Argument(help="Runs, by number.", **_RUN)]

Store = Annotated[
    Path | None,
    typer.Option("--store", help="The file that keeps all runs.", metavar="FILE", envvar="INITLAB_STORE"),
]
DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="A folder with datasets.", metavar="DIR", envvar="INITLAB_DATA_DIR"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]
Detach = Annotated[
    bool, typer.Option("--detach", help="Print the ids, leave the training to go on, and return at once.")
]
Initializer = Annotated[
    list[str],
    typer.Option(
        "--initializer",
        help="The start: NAME or NAME:param=value,... (see initlab-tui initializers).",
        metavar="INIT",
        rich_help_panel=_SPEC,
        **_starting_with(list(CATALOGUE)),
    ),
]
Initializers = Annotated[
    list[str],
    typer.Option(
        "--initializer",
        help="A start to compare: NAME or NAME:param=value,... Give it again for each.",
        metavar="INIT",
        rich_help_panel=_SPEC,
        **_starting_with(list(CATALOGUE)),
    ),
]
Dataset = Annotated[
    str,
    typer.Option(
        "--dataset",
        help=f"{', '.join(DATASETS)} or {OWN_PREFIX}FILE.",
        metavar="NAME",
        rich_help_panel=_SPEC,
        **_starting_with([*DATASETS, OWN_PREFIX]),
    ),
]
Optimizer = Annotated[
    str,
    typer.Option(
        "--optimizer",
        help=f"{', '.join(OPTIMIZERS)}.",
        metavar="NAME",
        rich_help_panel=_SPEC,
        **_starting_with(list(OPTIMIZERS)),
    ),
]
BatchSize = Annotated[str, typer.Option("--batch-size", help="Images in a step.", metavar="N", rich_help_panel=_SPEC)]
Epochs = Annotated[
    str, typer.Option("--epochs", help="Passes over the training set.", metavar="N", rich_help_panel=_SPEC)
]
Seed = Annotated[
    str,
    typer.Option("--seed", help="Fixes weights and order of the data.", metavar="N", rich_help_panel=_SPEC),
]
Seeds = Annotated[
    str,
    typer.Option(
        "--seeds",
        help="How many seeds each start is trained with, from --seed up.",
        metavar="N",
        rich_help_panel=_SPEC,
    ),
]
RecipeSeeds = Annotated[
    str | None,
    typer.Option("--seeds", help="How many seeds, instead of the recipe's own.", metavar="N", rich_help_panel=_SPEC),
]
EvalEvery = Annotated[
    str,
    typer.Option(
        "--eval-every",
        help="Also measure on the test set every N steps; 0: only at step 0 and after each epoch.",
        metavar="N",
        rich_help_panel=_SPEC,
    ),
]
Execution = Annotated[
    str,
    typer.Option(
        "--execution",
        help=f"{', '.join(EXECUTIONS)}: compiled by XLA, as a graph, or step by step as a lecture does.",
        metavar="HOW",
        rich_help_panel=_PLACE,
        **_starting_with(list(EXECUTIONS)),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="cpu, gpu or gpu:N; by itself every GPU there is, else the CPU.",
        metavar="DEVICE",
        rich_help_panel=_PLACE,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Training processes; by itself one per core (or GPU) while runs are queued.",
        metavar="N",
        min=1,
        max=1024,
        rich_help_panel=_PLACE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        help="Threads of each; by itself the cores shared out.",
        metavar="N",
        min=1,
        max=1024,
        rich_help_panel=_PLACE,
    ),
]
_HIDDEN = "Widths of the hidden layers: 256,256 or 100x30 (thirty of 100) or none."
Hidden = Annotated[str, typer.Option("--hidden", help=_HIDDEN, metavar="WIDTHS", rich_help_panel=_SPEC)]
HiddenList = Annotated[
    list[str],
    typer.Option("--hidden", help=f"{_HIDDEN} Again to compare depths.", metavar="WIDTHS", rich_help_panel=_SPEC),
]
_ACTIVATION = f"{', '.join(ACTIVATIONS)}."
Activation = Annotated[
    str,
    typer.Option(
        "--activation",
        help=_ACTIVATION,
        metavar="NAME",
        rich_help_panel=_SPEC,
        **_starting_with(list(ACTIVATIONS)),
    ),
]
ActivationList = Annotated[
    list[str],
    typer.Option(
        "--activation",
        help=f"{_ACTIVATION} Again to compare.",
        metavar="NAME",
        rich_help_panel=_SPEC,
        **_starting_with(list(ACTIVATIONS)),
    ),
]
LearningRate = Annotated[str, typer.Option("--learning-rate", help="Step size.", metavar="X", rich_help_panel=_SPEC)]
LearningRateList = Annotated[
    list[str],
    typer.Option("--learning-rate", help="Step size. Again to compare.", metavar="X", rich_help_panel=_SPEC),
]
L2 = Annotated[
    str,
    typer.Option(
        "--l2",
        help="Add (X / 2) × the sum of squared kernels to what is minimized.",
        metavar="X",
        rich_help_panel=_SPEC,
    ),
]


@dataclass(frozen=True)
class Training:
    """What is one for all that is compared; a command that takes it `with_training` has an option for each field."""

    dataset: Dataset = "digits"
    optimizer: Optimizer = "adam"
    l2: L2 = "0"
    batch_size: BatchSize = "128"
    epochs: Epochs = "1"
    seed: Seed = "0"
    eval_every: EvalEvery = "0"
    execution: Execution = "xla"

    def comparison(
        self,
        initializers: list[str],
        hidden: list[str],
        activations: list[str],
        learning_rates: list[str],
        seeds: str = "1",
    ) -> Comparison:
        """What the options say.

        Raises:
            InvalidInputError: naming every field that is wrong.
        """
        return parse_comparison.comparison(
            initializers=initializers,
            hidden=hidden,
            activations=activations,
            learning_rates=learning_rates,
            seeds=seeds,
            **asdict(self) | {"dataset": locate.absolute(self.dataset)},
        )


def with_training(command: Callable[..., None]) -> Callable[..., None]:
    """`command`, its parameter `training: Training` spread out: typer reads a command's options from its signature."""
    shared = inspect.signature(Training, eval_str=True).parameters

    @functools.wraps(command)
    def spread(**words: Any) -> None:
        command(training=Training(**{name: words.pop(name) for name in shared}), **words)

    own = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in own.parameters.items()
        for parameter in (shared.values() if name == "training" else (parameter,))
    ]
    spread.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread


@dataclass(frozen=True)
class Resources:
    """What the person said of where and how to train."""

    device: str | None = None
    workers: int | None = None
    threads: int | None = None
    detach: bool = False
