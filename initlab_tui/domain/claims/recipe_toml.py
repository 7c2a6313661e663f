"""A recipe's TOML: read, and where it is wrong the line and the field are named."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from initlab_tui.domain.claims.recipe import Claim, Experiment, Figure, Group, Measured, Recipe, Source
from initlab_tui.domain.errors import InvalidInputError, Problem, unknown
from initlab_tui.domain.spec import RunSpec, sentence

Path = tuple[str | int, ...]
TABLES: dict[Path, type[BaseModel]] = {
    (): Recipe,
    ("source",): Source,
    ("parts",): Experiment,
    ("parts", "base"): RunSpec,
    ("expectations",): Claim,
    ("expectations", "group"): Group,
    ("expectations", "against"): Group,
    ("expectations", "order"): Group,
    ("measured",): Measured,
    ("measured", "figures"): Figure,
}
_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w-]+(?:\.[\w-]+)*)\s*=")


def parse(text: str, name: str, file: str) -> Recipe:
    """Read a recipe called `name` from the TOML of `file`; a lone part's fields may stand at the top.

    Raises:
        InvalidInputError: naming the line and the field of everything that is wrong.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError.of("recipe", f"{file}: not TOML: {error}") from None
    except RecursionError:
        raise InvalidInputError.of("recipe", f"{file}: nested too deeply to be a recipe") from None
    places = _Places(text, file, flat="parts" not in document)
    if "name" in document:
        raise places.error([(("name",), "a recipe is called as its file is: take the name away")])
    try:
        recipe = Recipe(**{**(_gathered(document) if places.flat else document), "name": name})
    except ValidationError as error:
        raise places.error(
            [(problem["loc"], _sentence(problem, flat=places.flat)) for problem in error.errors()]
        ) from None
    astray = list(_astray(recipe))
    if astray:
        raise places.error(astray)
    return recipe


def _gathered(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without parts, its comparison's fields put into one."""
    own = {name: value for name, value in document.items() if name in Experiment.model_fields}
    rest = {name: value for name, value in document.items() if name not in Experiment.model_fields}
    return {**rest, "parts": [own]}


def _sentence(problem: Mapping[str, Any], *, flat: bool) -> str:
    location: Path = problem["loc"]
    if problem["type"] == "extra_forbidden":
        table = tuple(part for part in location[:-1] if isinstance(part, str))
        fields = [*TABLES[table].model_fields] if table in TABLES else []
        if flat and table in ((), ("parts",)):
            # A lone part's fields stand at the top, beside the recipe's own.
            fields = [*Recipe.model_fields, *Experiment.model_fields]
        hidden = ("name", "parts") if flat else ("name",) if not table else ()
        return unknown("field", str(location[-1]), [name for name in fields if name not in hidden])
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "value_error":
        return sentence(problem)
    return f"{problem['msg']}, got {problem['input']!r}"


def _astray(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    """What is expected of groups that are not compared, or not told apart, or of epochs that are not trained."""
    known = {(part, spec.spec_hash): spec for part, spec in recipe.specs()}
    for number, expectation in enumerate(recipe.expectations):
        for field, group in _named_groups(expectation):
            meant = [spec for (part, _), spec in known.items() if group.holds(part, spec)]
            if len(meant) != 1:
                said = "is not compared" if not meant else f"is {len(meant)} groups: say which, by part, hidden, …"
                yield ("expectations", number, *field), f"group {group} {said}"
            elif expectation.epoch is not None and expectation.epoch > meant[0].epochs:
                yield ("expectations", number, "epoch"), f"epoch must be <= {meant[0].epochs}, got {expectation.epoch}"


def _named_groups(expectation: Claim) -> Iterator[tuple[Path, Group]]:
    for field in ("group", "against"):
        group = getattr(expectation, field)
        if group:
            yield (field,), group
    for number, group in enumerate(expectation.order):
        yield ("order", number), group


class _Places:
    """Where each field stands in the text."""

    def __init__(self, text: str, file: str, *, flat: bool) -> None:
        self.flat, self._file, self._lines = flat, file, lines(text)

    def error(self, problems: Sequence[tuple[Path, str]]) -> InvalidInputError:
        return InvalidInputError(dict.fromkeys(self._problem(path, message) for path, message in problems))

    def _problem(self, path: Path, message: str) -> Problem:
        # A lone part's fields were written at the top.
        written = path[2:] if self.flat and path[:2] == ("parts", 0) else path
        # What is wrong with a whole table is told with the field's name first.
        about = (*written, message.partition(" ")[0])
        written = about if about in self._lines else written
        line = line_of(self._lines, written)
        where = f"{self._file}, line {line}" if line else self._file
        field = _dotted(written)
        return Problem(field, f"{where}: {field}: {message}" if field else f"{where}: {message}")


def _dotted(path: Path) -> str:
    """`parts[2].base.hidden`: counted from 1, as a person does."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def line_of(known: Mapping[Path, int], path: Path) -> int | None:
    """The line of the field at `path`, or of the innermost table around it that has one."""
    return next((known[path[:end]] for end in range(len(path), 0, -1) if path[:end] in known), None)


def lines(text: str) -> dict[Path, int]:
    """The line, counted from 1, on which each table and key of a TOML text stands, by its path.

    Keys within inline tables have none of their own.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not quote and (header := _HEADER.match(line)):
            table = _table(header[2].split("."), header[1] == "[[", counts)
            found.setdefault(table, number)
        elif not quote and (key := _KEY.match(line)):
            found.setdefault((*table, *key[1].split(".")), number)
        quote = _still_open(line, quote)
    return found


def _table(names: Sequence[str], is_one_of_many: bool, counts: dict[Path, int]) -> Path:
    """The path of a table's header, with the number of each array's newest table."""
    path: Path = ()
    for depth, name in enumerate(names, 1):
        path = (*path, name)
        if is_one_of_many and depth == len(names):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _still_open(line: str, quote: str) -> str:
    """The quotes of a text of several lines that is open after `line`, where `quote` was open before."""
    for mark in re.findall(r'"""|\'\'\'', line):
        if not quote:
            quote = mark
        elif quote == mark:
            quote = ""
    return quote
