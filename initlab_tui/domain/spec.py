"""The spec of a run: everything that determines its result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from typing import NamedTuple

from initlab_tui.domain.fields import (
    L2,
    Activation,
    BatchSize,
    DatasetName,
    Epochs,
    EvalEvery,
    Execution,
    Hidden,
    LearningRate,
    Optimizer,
    Seed,
)
from initlab_tui.domain.initializer import Initializer, InitializerField
from initlab_tui.domain.validation import Frozen

EVALUATION_BATCH = 1000  # test images that are evaluated at once, whatever the batch size of training


class LayerShape(NamedTuple):
    """The name of a layer, and the shape of its kernel: the number of inputs of each unit and of units."""

    layer: str
    fan_in: int
    fan_out: int


SPEC_SCHEMA = 1  # part of every spec's hash


class RunSpec(Frozen):
    """The complete description of a run: data, network, initializer, optimizer, duration and seed.

    An epoch is floor(training images / batch_size) steps in a new random order. The test set is evaluated at step 0,
    after each epoch and, unless it is 0, every `eval_every` steps. `l2` adds (l2 / 2) × the sum of the squared kernels,
    without biases, to the objective; Nielsen writes it λ / n. Reported losses are the cross entropy alone.
    """

    dataset: DatasetName = "digits"
    hidden: Hidden = (256, 256)
    activation: Activation = "relu"
    initializer: InitializerField = Initializer("glorot_uniform")
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 0.001
    l2: L2 = 0.0
    batch_size: BatchSize = 128
    epochs: Epochs = 1
    eval_every: EvalEvery = 0
    execution: Execution = "xla"
    seed: Seed = 0

    @property
    def spec_hash(self) -> str:
        """Sixteen hex digits that are equal for two specs if and only if they differ in nothing but the seed.

        They are the beginning of the SHA-256 of canonical JSON: the schema version and the fields that differ from
        their default, so a new field with a neutral default changes no hash. If a default or the meaning of a field
        changes, increase SPEC_SCHEMA and add a migration that computes the stored hashes again.
        """
        fields = self.model_dump(mode="json", exclude={"seed"}, exclude_defaults=True)
        canonical = json.dumps({"schema": SPEC_SCHEMA, "spec": fields}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def layer_shapes(self, shape: Sequence[int], classes: int) -> tuple[LayerShape, ...]:
        """Return the shapes of the network's kernels, from the first layer to the logits, for images of `shape`."""
        widths = (math.prod(shape), *self.hidden, classes)
        names = (*(f"dense_{number}" for number in range(1, len(widths) - 1)), "logits")
        return tuple(map(LayerShape, names, widths, widths[1:]))
