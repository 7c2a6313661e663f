"""The catalogues of initializers and networks as tables, and a page for each entry."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.domain.catalog.entry import Entry, Parameter
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.catalog.networks import NETWORKS, NetworkEntry
from initlab_tui.domain.layers.graph import LayerGraph, Node
from initlab_tui.domain.spec import RunSpec
from initlab_tui.reports.escape import cell
from initlab_tui.reports.format import number
from initlab_tui.reports.tables import table

_HEADINGS = ("name", "draws", "parameters", "when to use it")


def initializers_table() -> Table:
    """Return the catalogue, one initializer in each row."""
    made = table(*_HEADINGS, folded=_HEADINGS[1:])
    for entry in CATALOGUE.values():
        made.add_row(cell(entry.name, "bold"), cell(entry.summary), cell(_parameters(entry)), cell(entry.when))
    made.add_row(
        cell("import:package.module.Name", "bold"),
        cell("a custom initializer"),
        cell("those of the class or function"),
        cell("a Keras initializer class, or a function of the shape, from this folder or an installed package"),
    )
    return made


def networks_table() -> Table:
    """Return the catalogue of networks, one in each row."""
    headings = ("name", "layers", "parameters", "when to use it")
    made = table(*headings, folded=headings[1:])
    for entry in NETWORKS.values():
        made.add_row(cell(entry.name, "bold"), cell(entry.summary), cell(_parameters(entry)), cell(entry.when))
    return made


def network_page(spec: RunSpec, graph: LayerGraph, dataset: str) -> RenderableType:
    """Return all details of a network, and its layers for a dataset."""
    entry = spec.network.entry
    facts = table("", "", folded=[""])
    for name, value in (("layers", entry.summary), ("when", entry.when), ("source", entry.source)):
        facts.add_row(cell(name, "dim"), cell(value))
    _add_parameters(facts, entry.parameters)
    numbers = ("fan_in", "fan_out", "weights")
    layers = table("layer", "kernel", *numbers, "activation", "output", "role", right=numbers)
    for node in graph.kernels:
        layers.add_row(
            *(cell(node.name), cell(_shape(node.kernel_shape)), cell(node.fan_in), cell(node.fan_out)),
            *(cell(f"{node.weights:,}"), cell(node.activation), cell(_shape(node.shape)), cell(_role(node))),
        )
    work = f"{graph.weights:,} weights and {graph.multiplications:,} multiplications for an image of {dataset}"
    return Group(cell(spec.network_text, "bold"), facts, Text(), layers, Text(), cell(work))


def _shape(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _role(node: Node) -> str:
    return f"{node.role} {node.branch}" if node.branch else str(node.role or "")


def _parameters(entry: Entry | NetworkEntry) -> str:
    return ", ".join(f"{parameter.name}={parameter.default}" for parameter in entry.parameters)


def initializer_page(entry: Entry) -> RenderableType:
    """Return all details of an initializer, with the moments of the weights in the layers of the default network."""
    facts = table("", "", folded=[""])
    for name, value in (("draws", entry.summary), ("when", entry.when), ("source", entry.source)):
        facts.add_row(cell(name, "dim"), cell(value))
    _add_parameters(facts, entry.parameters)
    return Group(cell(entry.name, "bold"), facts, Text(), _deviations(entry))


def _add_parameters(facts: Table, parameters: Iterable[Parameter]) -> None:
    for parameter in parameters:
        allowed = "" if parameter.read else f"; {parameter.allowed}"
        facts.add_row(cell(parameter.name, "dim"), cell(f"{parameter.meaning}{allowed}; default {parameter.default}"))


def _deviations(entry: Entry) -> RenderableType:
    """Return the mean and standard deviation of a weight, by formula, in the layers of the default network."""
    if entry.moments is None:
        return cell("No formula: the weights are fitted to training images when a run starts; see `show ID`.", "dim")
    defaults = {parameter.name: parameter.default for parameter in entry.parameters}
    deviations = table(
        "fan_in", "fan_out", "mean", "σ of a weight", right=("fan_in", "fan_out", "mean", "σ of a weight")
    )
    for fan_in, fan_out in ((784, 256), (256, 256), (256, 10)):
        moments = entry.moments(defaults, fan_in, fan_out)
        deviations.add_row(cell(fan_in), cell(fan_out), cell(number(moments.mean)), cell(number(moments.stddev)))
    return deviations
