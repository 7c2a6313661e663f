"""The events of a run in training, one frozen dataclass for each.

Losses are plain floats and may be NaN or infinite here. The store keeps a value that is not finite as NULL and reads
it back as NaN; in JSON it is null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from initlab_tui.domain.layers.measurement import Measurement

if TYPE_CHECKING:  # NumPy takes a while to import, and processes that follow runs do not need it
    import numpy as np
    import numpy.typing as npt

    State = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Started:
    """The network is compiled and the data is on the device; training begins or continues at `step`.

    `execution` is the mode in use; if it is not that of the spec, `note` says why. `compile_seconds` is 0 if the
    network was compiled for an earlier run. `initialization` is what a data-dependent initializer did in each layer; it
    is empty for the others. `multiplications` are those with weights for one image.
    """

    step: int
    total_steps: int
    steps_per_epoch: int
    weights: int
    device: str
    execution: str
    note: str
    compile_seconds: float
    fingerprint: str
    versions: Mapping[str, str]
    initialization: Mapping[str, Any] = field(default_factory=dict)
    multiplications: int = 0


@dataclass(frozen=True)
class Stepped:
    """A chunk of training steps was taken; `losses` and `accuracies` (fractions) have one value for each step.

    The first of them is `step`, counted from 1. The loss of a step is that of its batch before the update. `seconds`
    is wall time.
    """

    step: int
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    seconds: float
    samples: int

    @property
    def last(self) -> int:
        return self.step + len(self.losses) - 1


@dataclass(frozen=True)
class Evaluated:
    """Loss and accuracy (a fraction) on the whole test set after `step` steps."""

    step: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class LayersMeasured:
    """The layers were measured on the probe batch after `step` steps; `seconds` is wall time."""

    step: int
    measurement: Measurement
    seconds: float


@dataclass(frozen=True)
class Checkpointed:
    """Everything that a run needs to continue from `step` with the same results as without an interruption.

    `state` has the weights, the optimizer and all other state of the network by the names of the variables. There is
    no random state: initial weights and the order of the data follow from the seed and the step.
    """

    step: int
    state: State = field(repr=False)


@dataclass(frozen=True)
class Finished:
    """The run has ended: all steps were taken, or the loss is no longer finite, which is a result too."""

    outcome: Literal["done", "diverged"]
    reason: str = ""


Event = Started | Stepped | Evaluated | LayersMeasured | Checkpointed | Finished


def finite_or_none(value: float | None) -> float | None:
    """Return `value`, or None if it is NaN or infinite, which SQLite and JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def json_ready(value: Any) -> Any:
    """Return `value` with every NaN and infinity in it, at any depth, replaced by None."""
    match value:
        case float():
            return finite_or_none(value)
        case dict():
            return {key: json_ready(item) for key, item in value.items()}
        case list() | tuple():
            return [json_ready(item) for item in value]
        case _:
            return value
