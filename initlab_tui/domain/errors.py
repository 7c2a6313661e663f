"""Errors in an input: what is wrong, with the value, and what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MAX_QUOTED = 200


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one field: the field's name, and a sentence with the value and what is allowed."""

    field: str
    message: str


class InvalidInputError(ValueError):
    """Input that cannot be used; `problems` lists every invalid field, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.message for problem in self.problems))

    @classmethod
    def of(cls, field: str, message: str) -> InvalidInputError:
        return cls([Problem(field, message)])


def shown(value: object) -> str:
    """Return the text of an invalid value for a message: at most MAX_QUOTED characters of it."""
    try:
        text = str(value)
    except ValueError:  # Python refuses to write out whole numbers with thousands of digits
        return "a whole number of thousands of digits"
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}… ({len(text):,} characters)"


def quoted(value: object) -> str:
    """Return the text of an invalid value in quotation marks, or as Python writes it if it is no text."""
    return shown(repr(value)) if isinstance(value, str) else shown(value)


def unknown(what: str, value: str, allowed: Iterable[str]) -> str:
    """Return a sentence for a name that is not in `allowed`, with the nearest names first."""
    names = list(allowed)
    return f"unknown {what} {quoted(value)}: {nearest(value, names)}allowed: {', '.join(names)}"


def nearest(value: str, names: Sequence[str]) -> str:
    """Return `did you mean a or b? `, or nothing if no name is similar."""
    wanted = value.lower()
    begun = [name for name in names if wanted and name.startswith(wanted)]
    near = begun[:4] or difflib.get_close_matches(wanted, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}? " if near else ""
