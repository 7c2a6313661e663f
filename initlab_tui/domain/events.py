"""One frozen dataclass for each thing that can happen to a run while it trains.

Losses are plain floats and may be NaN or infinite here: an event says what happened. The store keeps a value
that is not finite as NULL and gives it back as NaN (`store.py`), and JSON has null for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from initlab_tui.domain.layers.measurement import Measurement

if TYPE_CHECKING:  # NumPy takes a while to import, and followers need none
    import numpy as np
    import numpy.typing as npt

    State = tuple[npt.NDArray[np.generic], ...]


@dataclass(frozen=True)
class Started:
    """The network is built and compiled, the data on the device; training begins or continues at `step`.

    `execution` is what really runs; `note` says why where that is not what the spec asked for.
    `compile_seconds` is 0 where a program compiled earlier was taken. `initialization` is what a data-dependent
    initializer did to fit the network to images; it is empty for the others.
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


@dataclass(frozen=True)
class Stepped:
    """Some training steps were taken: `losses` and `accuracies` (fractions) of each, the first being `step`.

    Steps count from 1; step n's loss is that of its batch before the update. `seconds` is wall time.
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
    """All that the run needs to go on from `step` as if it had never been interrupted."""

    step: int
    state: State = field(repr=False)


@dataclass(frozen=True)
class Finished:
    """The run is over: every step taken, or the loss no longer finite, which is a result too."""

    outcome: Literal["done", "diverged"]
    reason: str = ""


Event = Started | Stepped | Evaluated | LayersMeasured | Checkpointed | Finished


def finite_or_none(value: float | None) -> float | None:
    """`value`, or None where it is NaN or infinite: the form that SQLite and JSON can hold."""
    return value if value is not None and math.isfinite(value) else None


def json_ready(value: Any) -> Any:
    """`value` with every NaN and infinity inside it, however deep, as None."""
    match value:
        case float():
            return finite_or_none(value)
        case dict():
            return {key: json_ready(item) for key, item in value.items()}
        case list() | tuple():
            return [json_ready(item) for item in value]
        case _:
            return value
