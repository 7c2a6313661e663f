"""The text form of an entry of a catalogue with its parameters: `NAME` or `NAME:param=value,param=value`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from initlab_tui.domain.catalog.entry import Parameter, Parameters, Value
from initlab_tui.domain.errors import quoted, unknown

Filled = tuple[tuple[str, Value], ...]


class Entry(Protocol):
    """An entry of a catalogue."""

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    def parameter(self, name: str) -> Parameter | None: ...
    def check(self, parameters: Parameters, /) -> str: ...


def split(what: str, text: str, example: str, listed: str = "") -> tuple[str, dict[str, str]]:
    """Return the name and the given parameters in `text`; `what` and `example` are for messages.

    Values without a name belong to the parameter `listed`, if the entry has one.

    Raises:
        ValueError: for anything but param=value, and for a parameter that is given twice.
    """
    name, _, rest = text.partition(":")
    given: dict[str, str] = {}
    unnamed: list[str] = []
    for pair in filter(None, rest.split(",")):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if listed and key and not equals:
            unnamed.append(key)
            continue
        if not (key and equals and value):
            raise ValueError(f"{what} {quoted(text)}: {quoted(pair)} must be param=value, as in {example}")
        if key in given:
            raise ValueError(f"{what} {quoted(text)}: parameter {quoted(key)} is given twice")
        given[key] = value
    if unnamed:
        given[listed] = ",".join([*([given[listed]] if listed in given else []), *unnamed])
    return name, given


def fill(entry: Entry, given: Mapping[str, str]) -> Filled:
    """Return every parameter of an entry with the given value or its default.

    Raises:
        ValueError: for an unknown parameter, a value out of bounds or an invalid combination.
    """
    for key in given:
        if entry.parameter(key) is None:
            names = [parameter.name for parameter in entry.parameters]
            raise ValueError(
                unknown(f"parameter of {entry.name}", key, names)
                if names
                else f"{entry.name} takes no parameters, got {quoted(key)}"
            )
    try:
        filled = tuple((p.name, p.parse(given.get(p.name, p.default))) for p in entry.parameters)
    except ValueError as error:
        raise ValueError(f"{entry.name}: {error}") from None
    wrong = entry.check(dict(filled))
    if wrong:
        raise ValueError(f"{entry.name}: {wrong}")
    return filled


def shortest(name: str, parameters: Iterable[tuple[str, Value]], entry: Entry | None, listed: str = "") -> str:
    """Return the shortest text that reads back as the same, with the parameters that are always shown."""
    shown = [
        str(value) if key == listed else f"{key}={value}" for key, value in parameters if _matters(key, value, entry)
    ]
    return f"{name}:{','.join(shown)}" if shown else name


def _matters(key: str, value: Value, entry: Entry | None) -> bool:
    parameter = entry.parameter(key) if entry else None
    return parameter is None or parameter.always_shown or value != parameter.default
