"""The command that explains metrics, diagnoses and statistics: explain."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from initlab_tui.cli import options, output
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.layers.glossary import GLOSSARY, Term, find


def explain(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Show all details of one term: formula, reading, source.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Explain every metric, diagnosis and statistic."""
    from initlab_tui.reports import glossary

    try:
        terms = [find(name)] if name is not None else list(GLOSSARY.values())
    except ValueError as error:
        raise InvalidInputError.of("name", str(error)) from error
    output.report(
        lambda _: glossary.term_page(terms[0]) if name is not None else glossary.glossary_table(),
        lambda: {"glossary": [_document(term) for term in terms]},
        as_json,
    )


def _document(term: Term) -> dict[str, Any]:
    """Return the fields of a term; `details` is omitted if it is empty."""
    document = asdict(term)
    return document if term.details else {name: value for name, value in document.items() if name != "details"}
