"""Checks specs before they are queued: the data must be readable and the network must fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from initlab_tui.domain import custom_code
from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.initialization import check_scheme
from initlab_tui.domain.spec import EVALUATION_BATCH, RunSpec
from initlab_tui.execution.tensorflow_process import ask
from initlab_tui.services.dataset_facts import DatasetFacts, dataset_facts

OPTIMIZER_SLOTS = {"sgd": 1, "momentum": 1, "nesterov": 1, "adam": 2, "adamw": 2, "rmsprop": 1, "adagrad": 1}
BYTES_PER_NUMBER = 4
LAYER_BYTES = 2_500_000  # to build and compile one layer, measured with 500 layers
BASE_BYTES = 900_000_000  # of TensorFlow, Keras and the compiler, without data


@dataclass(frozen=True)
class CheckedSpecs:
    """The facts of the data of specs that passed every check, and the memory for the largest run in bytes."""

    facts: DatasetFacts
    run_bytes: int


def check(specs: Sequence[RunSpec], data_dir: Path | None, import_folder: Path, *, quiet: bool = False) -> CheckedSpecs:
    """Check specs of one dataset, downloading the data if needed; progress goes to stderr unless `quiet`.

    Raises:
        InvalidInputError: naming every problem.
    """
    imported = list(_one_of_each_import(specs))
    _raise([problem for spec in imported for problem in _missing_module(spec, import_folder)])
    facts = dataset_facts(specs[0].dataset, data_dir, quiet=quiet)
    for spec in specs:
        check_scheme(spec.initializer, spec.graph(facts.shape, facts.classes))
    _raise([problem for spec in _one_of_each_size(specs) for problem in _too_large(spec, facts)])
    if imported:
        network = {"shape": facts.shape, "classes": facts.classes, "import_folder": str(import_folder)}
        answer = ask("draw", {"specs": [spec.to_json() for spec in imported], **network})
        if "error" in answer:
            raise InvalidInputError.of("initializer", f"{answer['error']} (imported from {import_folder})")
    return CheckedSpecs(facts, max(run_bytes(spec, facts) for spec in specs))


def _raise(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidInputError(dict.fromkeys(problems))


def _one_of_each_size(specs: Iterable[RunSpec]) -> Iterable[RunSpec]:
    """Return one spec for each network and batch size, with the optimizer that needs the most memory."""
    by_memory = sorted(specs, key=lambda spec: OPTIMIZER_SLOTS[spec.optimizer])
    return {(spec.network, spec.hidden, spec.batch_size): spec for spec in by_memory}.values()


def _one_of_each_import(specs: Iterable[RunSpec]) -> Iterable[RunSpec]:
    return {
        (spec.initializer, spec.network, spec.hidden): spec for spec in specs if spec.initializer.is_imported
    }.values()


def _missing_module(spec: RunSpec, import_folder: Path) -> Iterator[Problem]:
    """Yield a problem if the module is not allowed or does not exist, without starting TensorFlow."""
    try:
        custom_code.locate(spec.initializer, import_folder)
    except ValueError as error:
        yield Problem("initializer", str(error))


def _too_large(spec: RunSpec, facts: DatasetFacts) -> Iterator[Problem]:
    if spec.batch_size > facts.train:
        yield Problem(
            "batch_size",
            f"batch_size must be <= {facts.train}, the training images of {spec.dataset}, got {spec.batch_size}",
        )
    needed, available = run_bytes(spec, facts), psutil.virtual_memory().available
    if needed > available:
        weights = spec.graph(facts.shape, facts.classes).weights
        yield Problem(
            "hidden" if spec.network.is_mlp else "network",
            f"{spec.network_text} with batch_size {spec.batch_size} has "
            f"{weights:,} weights and would need about {needed / 1e9:,.0f} GB of memory; "
            f"{available / 1e9:,.0f} GB are available: use fewer or narrower layers, or a smaller batch",
        )


def run_bytes(spec: RunSpec, facts: DatasetFacts) -> int:
    """Return the approximate memory that a worker needs for a run of `spec`, in bytes."""
    graph = spec.graph(facts.shape, facts.classes)
    # The weights, their gradients, the sampled initial weights, and the optimizer's slots.
    copies = 3 + OPTIMIZER_SLOTS[spec.optimizer]
    # The activations and gradients of one training batch, or the activations of one evaluation batch.
    batch = max(2 * spec.batch_size, min(EVALUATION_BATCH, facts.test))
    activations = batch * graph.outputs
    network = BYTES_PER_NUMBER * (copies * graph.weights + activations) + LAYER_BYTES * len(graph.layers)
    # The images exist twice: as read from the file, and on the device.
    return BASE_BYTES + 2 * facts.data_bytes + network
