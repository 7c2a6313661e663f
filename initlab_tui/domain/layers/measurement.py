"""The measured statistics of a network and of its layers, by the names of their metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from initlab_tui.domain.layers.metrics import LAYER_METRICS, NETWORK_METRICS


@dataclass(frozen=True)
class LayerStatistics:
    """The values of LAYER_METRICS for a layer on the probe batch, None for those that do not apply."""

    layer: str
    metrics: Mapping[str, float | None]

    def __getitem__(self, metric: str) -> float | None:
        return self.metrics.get(LAYER_METRICS[metric].name)

    def value(self, metric: str) -> float:
        """Return the value of a metric; NaN if there is none."""
        return _or_nan(self[metric])

    def document(self) -> dict[str, Any]:
        """Return the layer's name and every metric by name, in the registry's order."""
        return {"layer": self.layer, **{name: self[name] for name in LAYER_METRICS}}


@dataclass(frozen=True)
class NetworkStatistics:
    """The values of NETWORK_METRICS for a network on the probe batch."""

    metrics: Mapping[str, float | None]

    def __getitem__(self, metric: str) -> float | None:
        return self.metrics.get(NETWORK_METRICS[metric].name)

    def value(self, metric: str) -> float:
        """Return the value of a metric; NaN if there is none."""
        return _or_nan(self[metric])

    def document(self) -> dict[str, float | None]:
        """Return every metric by name, in the registry's order."""
        return {name: self[name] for name in NETWORK_METRICS}


@dataclass(frozen=True)
class Measurement:
    """The statistics of a network's layers, the logits last, and of the network as a whole."""

    layers: tuple[LayerStatistics, ...]
    network: NetworkStatistics

    @property
    def hidden(self) -> tuple[LayerStatistics, ...]:
        """All layers but the logits."""
        return self.layers[:-1]

    def relative_rms(self) -> tuple[float, ...]:
        """Return the root mean square of each layer's activations relative to the input's."""
        input_rms = self.network.value("input_rms")
        return tuple(
            relative_rms(layer.value("activation_mean"), layer.value("activation_std"), input_rms)
            for layer in self.layers
        )

    def document(self) -> dict[str, Any]:
        """Return plain data, from which `of_document` builds an equal measurement."""
        return {"network": self.network.document(), "layers": [layer.document() for layer in self.layers]}

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Build a measurement from the result of `document`."""
        return cls(_layers(document["layers"]), NetworkStatistics(dict(document["network"])))


def _layers(documents: Iterable[Mapping[str, Any]]) -> tuple[LayerStatistics, ...]:
    return tuple(
        LayerStatistics(each["layer"], {name: value for name, value in each.items() if name != "layer"})
        for each in documents
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def relative_rms(mean: float, std: float, input_rms: float) -> float:
    """Return the root mean square of a layer's activations relative to the input's; NaN if the input is all 0."""
    return math.hypot(mean, std) / input_rms if input_rms else math.nan
