"""A network by name with its parameters, as in `resnet:depth=20,norm=none`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Self

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from initlab_tui.domain.catalog import text_form
from initlab_tui.domain.catalog.entry import Value
from initlab_tui.domain.catalog.network_graphs import Plan
from initlab_tui.domain.catalog.networks import NETWORKS, NetworkEntry
from initlab_tui.domain.errors import InvalidInputError, quoted, unknown
from initlab_tui.domain.layers.graph import LayerGraph

_EXAMPLE = "resnet:depth=20,norm=none or convnet:32,32,pool,dense128"


@dataclass(frozen=True)
class Network:
    """An entry of the catalogue of networks with all its parameters.

    The text form is `NAME` or `NAME:param=value,param=value`; `str` returns the shortest text that `parse` reads as an
    equal network, except that it always names the parameters that are essential (`resnet:depth=20`).
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a network as it is written on the command line.

        Raises:
            ValueError: for an unknown name or parameter, or a value out of bounds.
        """
        text = text.strip()
        name = text.partition(":")[0]
        entry = NETWORKS.get(name)
        if entry is None:
            raise ValueError(unknown("network", name, list(NETWORKS)))
        _, given = text_form.split("network", text, _EXAMPLE, entry.listed)
        return cls(name, text_form.fill(entry, given))

    @property
    def entry(self) -> NetworkEntry:
        return NETWORKS[self.name]

    @property
    def is_mlp(self) -> bool:
        """Whether the network has the hidden widths of the spec."""
        return self.name == "mlp"

    def graph(self, hidden: Sequence[int], activation: str, shape: Sequence[int], classes: int) -> LayerGraph:
        """Return the graph of its layers for images of `shape`.

        Raises:
            InvalidInputError: if the network does not fit the data.
        """
        try:
            return _graph(self, tuple(hidden), activation, tuple(shape), classes)
        except ValueError as error:
            message = f"network {self} does not fit images of {'x'.join(map(str, shape))}: {error}"
            raise InvalidInputError.of("network", message) from None

    def __str__(self) -> str:
        return text_form.shortest(self.name, self.parameters, self.entry, self.entry.listed)


def split_network(text: str) -> tuple[str, dict[str, str]]:
    """Return the text of a network without the settings that are fields of the spec, and these: hidden, activation.

    Raises:
        ValueError: if it is not the text of a network.
    """
    name = text.strip().partition(":")[0]
    listed = NETWORKS[name].listed if name in NETWORKS and name != "mlp" else "hidden"
    name, given = text_form.split("network", text.strip(), _EXAMPLE, listed)
    fields: dict[str, str] = {field: given.pop(field) for field in ("hidden", "activation") if field in given}
    if name != "mlp" and "hidden" in fields:
        raise ValueError(f"network {quoted(text)}: only mlp has hidden widths")
    rest = ",".join(f"{key}={value}" for key, value in given.items())
    return (f"{name}:{rest}" if rest else name), fields


@lru_cache(maxsize=32)  # the setup pane asks at every key
def _graph(
    network: Network, hidden: tuple[int, ...], activation: str, shape: tuple[int, ...], classes: int
) -> LayerGraph:
    return network.entry.graph(Plan(dict(network.parameters), hidden, activation, shape, classes))


def _network(value: object) -> Network:
    return value if isinstance(value, Network) else Network.parse(str(value))


NetworkField = Annotated[InstanceOf[Network], BeforeValidator(_network), PlainSerializer(str, return_type=str)]
