"""The options shared by commands, and how a comparison is made from them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from initlab_tui.data import locate
from initlab_tui.domain.catalog.choices import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.catalog.datasets import DATASETS, NPZ_PREFIX
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.catalog.networks import NETWORKS
from initlab_tui.domain.checkpoint_interval import DEFAULT_TEXT

if TYPE_CHECKING:
    from initlab_tui.domain.comparison import Comparison


def option(
    name: str, metavar: str, text: str, *, panel: str | None = None, names: Iterable[str] = (), **more: Any
) -> Any:
    """Return a Typer option; the shell completes its value from `names`."""
    known = list(names)

    def complete(incomplete: str) -> list[str]:
        return [each for each in known if each.startswith(incomplete)]

    return typer.Option(
        name,
        metavar=metavar,
        help=text,
        rich_help_panel=panel,
        autocompletion=complete if known else None,
        **more,
    )


def flag(name: str, text: str, **more: Any) -> Any:
    """Return a Typer option without a value."""
    return typer.Option(name, help=text, **more)


_spec = functools.partial(option, panel="What to train")
_resource = functools.partial(option, panel="Where and how to train")

_INITIALIZER = "NAME or NAME:param=value,... (see initlab-tui initializers)."
_NETWORK = f"{', '.join(NETWORKS)}, with parameters as in resnet:depth=20,norm=none (see initlab-tui networks)."
_HIDDEN = "Widths of the hidden layers of an mlp: 256,256 or 100x30 (thirty layers of 100) or none."
_ACTIVATION = f"{', '.join(ACTIVATIONS)}."
_OPTIMIZER = f"{', '.join(OPTIMIZERS)}."
_COUNT: dict[str, Any] = {"min": 1, "max": 1024}

Id = Annotated[int, typer.Argument(metavar="ID", help="The id of a run (see initlab-tui runs).", min=1)]
Ids = Annotated[list[int], typer.Argument(metavar="ID", help="The ids of runs.", min=1)]
SomeIds = Annotated[list[int] | None, typer.Argument(metavar="ID", help="The ids of runs.", min=1)]

Store = Annotated[Path | None, option("--store", "FILE", "The file that stores all runs.", envvar="INITLAB_STORE")]
DataDir = Annotated[Path | None, option("--data-dir", "DIR", "A folder with datasets.", envvar="INITLAB_DATA_DIR")]
Json = Annotated[bool, flag("--json", "Print JSON on stdout.")]
Detach = Annotated[bool, flag("--detach", "Print the ids and return at once; training continues.")]

Initializer = Annotated[list[str], _spec("--initializer", "INIT", _INITIALIZER, names=CATALOGUE)]
Initializers = Annotated[
    list[str], _spec("--initializer", "INIT", f"{_INITIALIZER} Repeat for each initializer.", names=CATALOGUE)
]
Network = Annotated[str, _spec("--network", "NETWORK", _NETWORK, names=NETWORKS)]
NetworkList = Annotated[list[str], _spec("--network", "NETWORK", f"{_NETWORK} Repeat to compare.", names=NETWORKS)]
Hidden = Annotated[str, _spec("--hidden", "WIDTHS", _HIDDEN)]
HiddenList = Annotated[list[str], _spec("--hidden", "WIDTHS", f"{_HIDDEN} Repeat to compare.")]
Activation = Annotated[str, _spec("--activation", "NAME", _ACTIVATION, names=ACTIVATIONS)]
ActivationList = Annotated[
    list[str], _spec("--activation", "NAME", f"{_ACTIVATION} Repeat to compare.", names=ACTIVATIONS)
]
Optimizer = Annotated[str, _spec("--optimizer", "NAME", _OPTIMIZER, names=OPTIMIZERS)]
OptimizerList = Annotated[list[str], _spec("--optimizer", "NAME", f"{_OPTIMIZER} Repeat to compare.", names=OPTIMIZERS)]
LearningRate = Annotated[str, _spec("--learning-rate", "X", "Step size.")]
LearningRateList = Annotated[list[str], _spec("--learning-rate", "X", "Step size. Repeat to compare.")]
Seeds = Annotated[str, _spec("--seeds", "N", "Number of seeds for each initializer, counted from --seed.")]
RecipeSeeds = Annotated[str | None, _spec("--seeds", "N", "Number of seeds, instead of that of the recipe.")]

Device = Annotated[
    str | None, _resource("--device", "DEVICE", "cpu, gpu or gpu:N. By default all GPUs, or the CPU if there are none.")
]
Workers = Annotated[
    int | None,
    _resource("--workers", "N", "Number of training processes. By default one for each core or GPU.", **_COUNT),
]
Threads = Annotated[
    int | None, _resource("--threads", "N", "Threads per process. By default the cores are divided equally.", **_COUNT)
]
CheckpointEvery = Annotated[
    str,
    _resource(
        "--checkpoint-every",
        "TIME",
        "Save a checkpoint at least this often while training, such as 60s or 5m, and at the end of epochs; none: only "
        "when the run is paused or stopped.",
    ),
]
CHECKPOINT_EVERY = DEFAULT_TEXT


@dataclass(frozen=True)
class Training:
    """The settings that all runs of a comparison share; a command `with_training` has an option for each field."""

    dataset: Annotated[
        str,
        _spec("--dataset", "NAME", f"{', '.join(DATASETS)} or {NPZ_PREFIX}FILE.", names=[*DATASETS, NPZ_PREFIX]),
    ] = "digits"
    l2: Annotated[str, _spec("--l2", "X", "Add (X / 2) × the sum of the squared kernel weights to the loss.")] = "0"
    batch_size: Annotated[str, _spec("--batch-size", "N", "Images in each step.")] = "128"
    epochs: Annotated[str, _spec("--epochs", "N", "Passes over the training set.")] = "1"
    seed: Annotated[str, _spec("--seed", "N", "Fixes the weights and the order of the data.")] = "0"
    eval_every: Annotated[
        str,
        _spec("--eval-every", "N", "Also evaluate on the test set every N steps; 0: at step 0 and after each epoch."),
    ] = "0"
    output_initializer: Annotated[
        str, _spec("--output-initializer", "INIT", "Draw the kernel of the logits by another initializer.")
    ] = ""
    branch_initializer: Annotated[
        str, _spec("--branch-initializer", "INIT", "Draw the last layer of residual branches by another initializer.")
    ] = ""
    execution: Annotated[
        str,
        _resource(
            "--execution",
            "HOW",
            f"{', '.join(EXECUTIONS)}: the fastest, compiled by XLA, as a graph, or one operation at a time.",
            names=EXECUTIONS,
        ),
    ] = "auto"

    def comparison(
        self,
        initializers: list[str],
        networks: list[str],
        hidden: list[str],
        activations: list[str],
        optimizers: list[str],
        learning_rates: list[str],
        seeds: str = "1",
    ) -> Comparison:
        """Return the comparison that the options describe.

        Raises:
            InvalidInputError: naming every invalid field.
        """
        from initlab_tui.domain import parse_comparison

        shared = asdict(self) | {"dataset": locate.absolute(self.dataset)}
        roles = {role: shared.pop(f"{role}_initializer") for role in ("branch", "output")}
        suffix = "".join(f"+{role}={text}" for role, text in roles.items() if text)
        return parse_comparison.comparison(
            initializers=[text + suffix for text in initializers],
            networks=networks,
            hidden=hidden,
            activations=activations,
            optimizers=optimizers,
            learning_rates=learning_rates,
            seeds=seeds,
            **shared,
        )


def with_training(command: Callable[..., None]) -> Callable[..., None]:
    """Replace the parameter `training: Training` of a command by an option for each of its fields.

    Typer reads the options of a command from its signature.
    """
    shared = inspect.signature(Training, eval_str=True).parameters

    @functools.wraps(command)
    def spread(**words: Any) -> None:
        command(training=Training(**{name: words.pop(name) for name in shared}), **words)

    signature = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        for parameter in (shared.values() if name == "training" else (parameter,))
    ]
    spread.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return spread
