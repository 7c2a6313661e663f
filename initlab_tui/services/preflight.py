"""Everything that must hold before a run is queued: the data is there and sound, the network fits.

What only TensorFlow can tell is asked in a process of its own, since this one does not load it.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from initlab_tui.domain.catalog.datasets import DATASETS, DatasetEntry
from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.fields import hidden_text
from initlab_tui.domain.spec import EVALUATION_BATCH, RunSpec

OPTIMIZER_SLOTS = {"sgd": 1, "momentum": 1, "nesterov": 1, "adam": 2, "adamw": 2, "rmsprop": 1, "adagrad": 1}
BYTES_OF_A_NUMBER = 4
LAYER_BYTES = 2_500_000  # to build and compile one: measured with 500
BASE_BYTES = 900_000_000  # TensorFlow, Keras and a compiler at work, without any data


@dataclass(frozen=True)
class Facts:
    """What is known of a dataset before it is trained on; `file` is None for what is bundled.

    `mean_square` is E[x²] of the pixels as the network gets them.
    """

    file: Path | None
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    mean_square: float
    pixel_bytes: int = 1

    @property
    def data_bytes(self) -> int:
        """The memory that the images take."""
        return (self.train + self.test) * math.prod(self.shape) * self.pixel_bytes


@dataclass(frozen=True)
class Cleared:
    """Specs that can run: what is known of their data, and the memory that the largest needs, in bytes."""

    facts: Facts
    run_bytes: int


def check(specs: Sequence[RunSpec], data_dir: Path | None, import_folder: Path, *, quiet: bool = False) -> Cleared:
    """Clear specs of one dataset for the queue, downloading the data where that is needed.

    A download shows its progress on stderr unless `quiet`.

    Raises:
        InvalidInputError: naming everything that stands in the way.
    """
    facts = dataset_facts(specs[0].dataset, data_dir, quiet=quiet)
    problems = [problem for spec in _one_of_each_size(specs) for problem in _too_large(spec, facts)]
    if problems:
        raise InvalidInputError(dict.fromkeys(problems))
    own = [spec.to_json() for spec in _one_of_each_import(specs)]
    if own:
        network = {"shape": facts.shape, "classes": facts.classes, "import_folder": str(import_folder)}
        answer = ask("draw", {"specs": own, **network})
        if "error" in answer:
            raise InvalidInputError.of("initializer", answer["error"])
    return Cleared(facts, max(run_bytes(spec, facts) for spec in specs))


def _one_of_each_size(specs: Iterable[RunSpec]) -> Iterable[RunSpec]:
    return {(spec.hidden, spec.batch_size): spec for spec in specs}.values()


def _one_of_each_import(specs: Iterable[RunSpec]) -> Iterable[RunSpec]:
    return {(spec.initializer, spec.hidden): spec for spec in specs if spec.initializer.is_imported}.values()


def _too_large(spec: RunSpec, facts: Facts) -> Iterable[Problem]:
    if spec.batch_size > facts.train:
        yield Problem(
            "batch_size",
            f"batch_size must be <= {facts.train}, the training images of {spec.dataset}, got {spec.batch_size}",
        )
    needed, available = run_bytes(spec, facts), psutil.virtual_memory().available
    if needed > available:
        weights = sum(kernel.fan_in * kernel.fan_out for kernel in spec.layer_shapes(facts.shape, facts.classes))
        yield Problem(
            "hidden",
            f"hidden {hidden_text(spec.hidden)} with batch_size {spec.batch_size} has "
            f"{weights:,} weights and would need about {needed / 1e9:,.0f} GB of memory; "
            f"{available / 1e9:,.0f} GB are free: use fewer or narrower layers, or a smaller batch",
        )


def run_bytes(spec: RunSpec, facts: Facts) -> int:
    """About how much memory a worker needs for a run of `spec`: the process, the data and the network."""
    kernels = spec.layer_shapes(facts.shape, facts.classes)
    weights = sum(kernel.fan_in * kernel.fan_out + kernel.fan_out for kernel in kernels)
    # The weights, their gradients and the draw they came from, and the optimizer's slots.
    copies = 3 + OPTIMIZER_SLOTS[spec.optimizer]
    # Activations and their gradients of one batch, or the activations of one evaluation's.
    batch = max(2 * spec.batch_size, min(EVALUATION_BATCH, facts.test))
    activations = batch * sum(kernel.fan_in + kernel.fan_out for kernel in kernels)
    own = BYTES_OF_A_NUMBER * (copies * weights + activations) + LAYER_BYTES * len(kernels)
    # The images twice: as they are read, and on the device.
    return BASE_BYTES + 2 * facts.data_bytes + own


def facts_of(entry: DatasetEntry) -> Facts:
    """What the catalogue knows of a dataset, without reading it."""
    return Facts(None, entry.shape, entry.classes, entry.train, entry.test, entry.mean_square)


def dataset_facts(name: str, data_dir: Path | None, *, quiet: bool = False) -> Facts:
    """Find, check and if need be download a dataset, with progress on stderr unless `quiet`.

    Raises:
        InvalidInputError: when it is damaged, or neither here nor to be had.
    """
    if name == "digits":
        return facts_of(DATASETS[name])
    from initlab_tui.data.arrays import load, own_file  # NumPy is not needed to refuse a bad spec

    file = own_file(name) or _file_of(name, data_dir, quiet)
    dataset = load(name, file)
    return Facts(
        file,
        dataset.shape,
        dataset.classes,
        len(dataset.y_train),
        len(dataset.y_test),
        dataset.mean_square(),
        dataset.x_train.itemsize,
    )


def _file_of(name: str, data_dir: Path | None, quiet: bool) -> Path:
    from initlab_tui.data.locate import locate, where_to_put

    found = locate(name, data_dir)
    if found.file:
        return found.file
    with tempfile.TemporaryDirectory() as home:
        environment = dict(os.environ)
        if found.keras_folder:
            # Keras removes a file of its cache when it does not like its checksum and cannot fetch another:
            # it gets links, so a person's own files stay.
            _link(found.keras_folder, DATASETS[name].keras_files, Path(home) / "datasets")
            environment["KERAS_HOME"] = home
        answer = ask("fetch", {"name": name, "into": str(found.prepared)}, environment, progress=not quiet)
    if "error" in answer:
        raise InvalidInputError.of(
            "dataset",
            f"dataset {name} is not here and could not be downloaded ({answer['error']}): "
            f"{where_to_put(name, data_dir)}; or use --dataset digits, which is bundled",
        )
    return found.prepared


def _link(folder: Path, files: Iterable[str], into: Path) -> None:
    for file in files:
        (into / file).parent.mkdir(parents=True, exist_ok=True)
        (into / file).symlink_to(folder / file)


def ask(
    question: str,
    parameters: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    progress: bool = False,
) -> dict[str, Any]:
    """Put a question to TensorFlow in another process; `progress` shows on stderr what Keras prints.

    Returns the answer, with `error` where there is none.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log"
        with log.open("wb") as noise:
            code = subprocess.run(
                [
                    *(sys.executable, "-m", "initlab_tui.training.tensorflow_helper"),
                    *(str(answer), question, json.dumps(dict(parameters or {}))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr if progress else noise,
                stderr=noise,
                env={
                    "TF_CPP_MIN_LOG_LEVEL": "2",
                    "KERAS_BACKEND": "tensorflow",
                    **(environment or os.environ),
                },
                cwd="/",
            ).returncode
        if code == 0 and answer.is_file():
            loaded: dict[str, Any] = json.loads(answer.read_text())
            return loaded
        end = log.read_text(errors="replace").strip().splitlines()[-1:]
        return {"error": f"TensorFlow's process ended with exit code {code}: {' '.join(end)}"}
