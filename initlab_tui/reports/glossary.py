"""The glossary as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table

from initlab_tui.domain.layers.glossary import GLOSSARY, Term
from initlab_tui.reports.escape import cell
from initlab_tui.reports.tables import table


def glossary_table() -> Table:
    """Return the table of all terms, with one line for each."""
    made = table("name", "what it is", folded=["what it is"])
    for term in GLOSSARY.values():
        made.add_row(cell(term.name, "bold"), cell(term.summary))
    return made


def term_page(term: Term) -> RenderableType:
    """Return all details of a term."""
    facts = table("", "", folded=[""])
    for name, value in (
        *(("what it is", term.summary), ("formula", term.formula)),
        *(("reading", term.reading), ("source", term.source)),
        *term.details,
    ):
        facts.add_row(cell(name, "dim"), cell(value))
    return Group(cell(" · ".join((term.name, *term.also)), "bold"), facts)
