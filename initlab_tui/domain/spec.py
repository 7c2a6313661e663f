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

EVALUATION_BATCH = 1000  # test images that are measured at once, whatever the batch of training


class LayerShape(NamedTuple):
    """One layer's kernel: the layer's name, and how many inputs and outputs a unit of it has."""

    layer: str
    fan_in: int
    fan_out: int


SPEC_SCHEMA = 1  # part of every spec's hash


class RunSpec(Frozen):
    """One training run, complete: what is trained on what, from which start, how and for how long.

    `eval_every` adds an evaluation on the test set every so many steps to those at step 0 and after each
    epoch; 0 adds none. An epoch is floor(training images / batch_size) steps over a fresh shuffle. `l2` adds
    (l2 / 2) × the sum of the squared kernels, biases left out, to what is minimized; Nielsen writes it λ / n. The
    losses that are reported stay the cross entropy alone.
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
        """Sixteen hex digits shared by exactly the specs that differ only in the seed.

        It is the start of the SHA-256 of canonical JSON: the version of the schema and the fields that differ from
        their default. So a new field with a neutral default changes no hash. Whoever changes a default, or what a
        field means, raises SPEC_SCHEMA and adds a migration that computes the stored hashes anew.
        """
        fields = self.model_dump(mode="json", exclude={"seed"}, exclude_defaults=True)
        canonical = json.dumps({"schema": SPEC_SCHEMA, "spec": fields}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def layer_shapes(self, shape: Sequence[int], classes: int) -> tuple[LayerShape, ...]:
        """The kernels of the network, from the first layer to the logits, for images of `shape`."""
        widths = (math.prod(shape), *self.hidden, classes)
        names = (*(f"dense_{number}" for number in range(1, len(widths) - 1)), "logits")
        return tuple(map(LayerShape, names, widths, widths[1:]))
