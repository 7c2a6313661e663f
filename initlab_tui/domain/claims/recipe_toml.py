"""Reads recipes from TOML, and reports the line and the field of every mistake."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from initlab_tui.domain.claims.recipe import Claim, Experiment, Figure, Group, Measured, Recipe, Source
from initlab_tui.domain.errors import InvalidInputError, Problem, quoted, unknown
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.validation import sentence

Path = tuple[str | int, ...]
TABLES: dict[Path, type[BaseModel]] = {
    (): Recipe,
    ("source",): Source,
    ("experiments",): Experiment,
    ("experiments", "base"): RunSpec,
    ("claims",): Claim,
    ("claims", "group"): Group,
    ("claims", "against"): Group,
    ("claims", "order"): Group,
    ("measured",): Measured,
    ("measured", "figures"): Figure,
}
_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w-]+(?:\.[\w-]+)*)\s*=")


def parse(text: str, name: str, file: str) -> Recipe:
    """Read the recipe `name` from the TOML of `file`; the fields of a single experiment may be at the top level.

    Raises:
        InvalidInputError: naming the line and the field of every mistake.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError.of("recipe", f"{file}: not TOML: {error}") from None
    except ValueError:  # Python reads no whole number with thousands of digits
        raise InvalidInputError.of("recipe", f"{file}: a whole number has too many digits") from None
    except RecursionError:
        raise InvalidInputError.of("recipe", f"{file}: nested too deeply to be a recipe") from None
    places = _Places(text, file, flat="experiments" not in document)
    if "name" in document:
        raise places.error([(("name",), "a recipe is named after its file: remove this field")])
    try:
        recipe = Recipe(**{**(_with_experiment(document) if places.flat else document), "name": name})
    except ValidationError as error:
        raise places.error(
            [(problem["loc"], _sentence(problem, flat=places.flat)) for problem in error.errors()]
        ) from None
    mistakes = list(_mistaken_claims(recipe))
    if mistakes:
        raise places.error(mistakes)
    return recipe


def _with_experiment(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document without [[experiments]], with its comparison moved into one."""
    experiment = {name: value for name, value in document.items() if name in Experiment.model_fields}
    rest = {name: value for name, value in document.items() if name not in Experiment.model_fields}
    return {**rest, "experiments": [experiment]}


def _sentence(problem: Mapping[str, Any], *, flat: bool) -> str:
    location: Path = problem["loc"]
    if problem["type"] == "extra_forbidden":
        table = tuple(key for key in location[:-1] if isinstance(key, str))
        fields = [*TABLES[table].model_fields] if table in TABLES else []
        if flat and table in ((), ("experiments",)):
            # The fields of a single experiment are at the top level, next to those of the recipe.
            fields = [*Recipe.model_fields, *Experiment.model_fields]
        hidden = ("name", "experiments") if flat else ("name",) if not table else ()
        return unknown("field", str(location[-1]), [name for name in fields if name not in hidden])
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "value_error":
        return sentence(problem)
    return f"{problem['msg']}, got {quoted(problem['input'])}"


def _mistaken_claims(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    """Yield claims about groups that are not compared or not unique, and about epochs that are not trained."""
    known = {(experiment, spec.spec_hash): spec for experiment, spec in recipe.specs()}
    for number, claim in enumerate(recipe.claims):
        for field, group in _named_groups(claim):
            found = [spec for (experiment, _), spec in known.items() if group.includes(experiment, spec)]
            if len(found) != 1:
                message = "is not compared" if not found else f"is {len(found)} groups: add experiment, hidden, …"
                yield ("claims", number, *field), f"group {group} {message}"
            elif claim.epoch is not None and claim.epoch > found[0].epochs:
                yield ("claims", number, "epoch"), f"epoch must be <= {found[0].epochs}, got {claim.epoch}"


def _named_groups(claim: Claim) -> Iterator[tuple[Path, Group]]:
    for field in ("group", "against"):
        group = getattr(claim, field)
        if group:
            yield (field,), group
    for number, group in enumerate(claim.order):
        yield ("order", number), group


class _Places:
    """Finds the line of each field in the text."""

    def __init__(self, text: str, file: str, *, flat: bool) -> None:
        self.flat, self._file, self._lines = flat, file, lines(text)

    def error(self, problems: Sequence[tuple[Path, str]]) -> InvalidInputError:
        return InvalidInputError(dict.fromkeys(self._problem(path, message) for path, message in problems))

    def _problem(self, path: Path, message: str) -> Problem:
        # The fields of a single experiment are written at the top level.
        written = path[2:] if self.flat and path[:2] == ("experiments", 0) else path
        # A message about a whole table begins with the name of the field that it is about.
        about = (*written, message.partition(" ")[0])
        written = about if about in self._lines else written
        line = line_of(self._lines, written)
        where = f"{self._file}, line {line}" if line else self._file
        field = _dotted(written)
        return Problem(field, f"{where}: {field}: {message}" if field else f"{where}: {message}")


def _dotted(path: Path) -> str:
    """Return a path as text, such as `experiments[2].base.hidden`, counted from 1."""
    return "".join(f"[{key + 1}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


def line_of(known: Mapping[Path, int], path: Path) -> int | None:
    """Return the line of the field at `path`, or of the innermost table around it that has one."""
    return next((known[path[:end]] for end in range(len(path), 0, -1) if path[:end] in known), None)


def lines(text: str) -> dict[Path, int]:
    """Return the line, counted from 1, of each table and key of a TOML text, by path.

    Keys within inline tables have no line of their own.
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
        quote = _open_quote(line, quote)
    return found


def _table(names: Sequence[str], in_array: bool, counts: dict[Path, int]) -> Path:
    """Return the path of a table header, with the index of the latest table of each array."""
    path: Path = ()
    for depth, name in enumerate(names, 1):
        path = (*path, name)
        if in_array and depth == len(names):
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _open_quote(line: str, quote: str) -> str:
    """Return the triple quote that is open after `line`, given the one that was open before."""
    for mark in re.findall(r'"""|\'\'\'', line):
        if not quote:
            quote = mark
        elif quote == mark:
            quote = ""
    return quote
