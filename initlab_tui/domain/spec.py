"""The spec of a run: everything that determines its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import model_validator

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
    hidden_text,
)
from initlab_tui.domain.initializer import Initializer, InitializerField
from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.network import Network, NetworkField, split_network
from initlab_tui.domain.validation import Frozen

EVALUATION_BATCH = 1000  # test images that are evaluated at once, whatever the batch size of training


SPEC_SCHEMA = 1  # part of every spec's hash


class RunSpec(Frozen):
    """The complete description of a run: data, network, initializer, optimizer, duration and seed.

    An epoch is floor(training images / batch_size) steps in a new random order. The test set is evaluated at step 0,
    after each epoch and, unless it is 0, every `eval_every` steps. `l2` adds (l2 / 2) × the sum of the squared kernels,
    without biases, to the objective; Nielsen writes it λ / n. Reported losses are the cross entropy alone.

    `hidden` has the widths of the network `mlp`; with any other network it keeps its default, so that two specs of the
    same network are equal. `network` may also be written with both and the activation, as in
    `mlp:256,256,activation=tanh`. The execution `auto` is XLA for dense networks, and for the others XLA on a GPU and a
    graph on a CPU, where XLA's convolutions are slow.
    """

    dataset: DatasetName = "digits"
    network: NetworkField = Network.parse("mlp")
    hidden: Hidden = (256, 256)
    activation: Activation = "relu"
    initializer: InitializerField = Initializer("glorot_uniform")
    optimizer: Optimizer = "adam"
    learning_rate: LearningRate = 0.001
    l2: L2 = 0.0
    batch_size: BatchSize = 128
    epochs: Epochs = 1
    eval_every: EvalEvery = 0
    execution: Execution = "auto"
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _from_short_forms(cls, given: object) -> object:
        return _normalized(given) if isinstance(given, dict) else given

    @property
    def spec_hash(self) -> str:
        """Sixteen hex digits that are equal for two specs if and only if they differ in nothing but the seed.

        They are the beginning of the SHA-256 of canonical JSON: the schema version and the fields that differ from
        their default, so a new field with a neutral default changes no hash. If a default or the meaning of a field
        changes, increase SPEC_SCHEMA and add a migration that computes the stored hashes again.
        """
        fields = self.model_dump(mode="json", exclude={"seed"}, exclude_defaults=True)
        if self.network.entry.dense and self.execution == "xla":
            del fields["execution"]  # what `auto` means for dense networks
        canonical = json.dumps({"schema": SPEC_SCHEMA, "spec": fields}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def network_text(self) -> str:
        """The network in short: `256,256 tanh`, `resnet:depth=20,norm=batch relu`."""
        return sized_network_text(self.network, self.hidden, self.activation)

    def graph(self, shape: Sequence[int], classes: int) -> LayerGraph:
        """Return the graph of the network's layers for images of `shape`.

        Raises:
            InvalidInputError: if the network does not fit the data.
        """
        return self.network.graph(self.hidden, self.activation, shape, classes)


def sized_network_text(network: Network, hidden: Sequence[int], activation: str) -> str:
    """Return a network in short; a plain `mlp` needs no name next to its widths."""
    name = "" if str(network) == "mlp" else str(network)
    return " ".join(filter(None, (name, hidden_text(hidden) if network.is_mlp else "", activation)))


def _normalized(given: Mapping[Any, object]) -> dict[Any, object]:
    """Return the fields of a spec so that two specs of the same training are equal."""
    fields = {"network": "mlp", "execution": "auto", **given}
    try:
        if isinstance(fields["network"], str):
            text, written = split_network(fields["network"])
            fields |= {"network": Network.parse(text), **written}
    except ValueError:
        return fields  # the field itself reports what is wrong
    network = fields["network"]
    if isinstance(network, Network):
        if not network.is_mlp:
            fields.pop("hidden", None)
        if network.entry.dense and fields["execution"] == "auto":
            fields["execution"] = "xla"
    return fields
