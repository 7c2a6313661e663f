"""The catalogue of initializers as a table, and a page for each initializer."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.domain.catalog.entry import Entry
from initlab_tui.domain.catalog.initializers import CATALOGUE
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


def _parameters(entry: Entry) -> str:
    return ", ".join(f"{parameter.name}={parameter.default}" for parameter in entry.parameters)


def initializer_page(entry: Entry) -> RenderableType:
    """Return all details of an initializer, with the moments of the weights in the layers of the default network."""
    facts = table("", "", folded=[""])
    for name, value in (("draws", entry.summary), ("when", entry.when), ("source", entry.source)):
        facts.add_row(cell(name, "dim"), cell(value))
    for parameter in entry.parameters:
        facts.add_row(
            cell(parameter.name, "dim"),
            cell(f"{parameter.meaning}; {parameter.allowed}; default {parameter.default}"),
        )
    return Group(cell(entry.name, "bold"), facts, Text(), _deviations(entry))


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
