"""An initializer by name with its parameters, as in `random_normal:stddev=0.05`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from initlab_tui.domain.catalog import text_form
from initlab_tui.domain.catalog.entry import Entry, Moments, Value
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.errors import quoted, unknown

IMPORT_PREFIX = "import:"
_EXAMPLE = "random_normal:stddev=1.0 or random_uniform:minval=-1,maxval=1"


@dataclass(frozen=True)
class Initializer:
    """An initializer with all its parameters: an entry of the catalogue, or a custom one with `import:`.

    The text form is `NAME` or `NAME:param=value,param=value`. `str` returns the shortest text that `parse` reads as an
    equal initializer, except that it always names the parameters that are essential (`random_normal:stddev=0.05`).
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an initializer as it is written on the command line.

        Raises:
            ValueError: for an unknown name or parameter, or a value out of bounds.
        """
        text = text.strip()
        if text.startswith(IMPORT_PREFIX):
            name, given = text_form.split("initializer", text.removeprefix(IMPORT_PREFIX), _EXAMPLE)
            literals = tuple((key, _literal(value)) for key, value in given.items())
            return cls(_import_path(IMPORT_PREFIX + name), literals)
        name, given = text_form.split("initializer", text, _EXAMPLE)
        entry = CATALOGUE.get(name)
        if entry is None:
            raise ValueError(_unknown_initializer(name))
        return cls(name, text_form.fill(entry, given))

    @property
    def entry(self) -> Entry | None:
        """The entry in the catalogue, or None for a custom initializer."""
        return CATALOGUE.get(self.name)

    @property
    def is_imported(self) -> bool:
        """Whether this is a custom initializer."""
        return self.name.startswith(IMPORT_PREFIX)

    @property
    def is_data_dependent(self) -> bool:
        """Whether the weights are fitted to training images after they are drawn."""
        return self.entry is not None and self.entry.data_dependent

    def moments(self, fan_in: int, fan_out: int) -> Moments | None:
        """Return the mean and variance of a weight of a (fan_in, fan_out) kernel; None if there is no formula."""
        moments = self.entry.moments if self.entry else None
        return moments(dict(self.parameters), fan_in, fan_out) if moments else None

    def __str__(self) -> str:
        return text_form.shortest(self.name, self.parameters, self.entry)


def _unknown_initializer(name: str) -> str:
    if "," in name:
        return f"{quoted(name)} is not one initializer: give each one separately"
    if "." in name:
        return f"unknown initializer {quoted(name)}: write {IMPORT_PREFIX}{name} for a custom one"
    return unknown("initializer", name, [*CATALOGUE, f"{IMPORT_PREFIX}package.module.Name"])


def _import_path(name: str) -> str:
    parts = name.removeprefix(IMPORT_PREFIX).split(".")
    if len(parts) < 2 or not all(part.isidentifier() for part in parts):
        raise ValueError(f"{quoted(name)} must be {IMPORT_PREFIX}package.module.Name")
    return name


def _literal(text: str) -> Value:
    if text in ("True", "False"):
        return text == "True"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _initializer(value: object) -> Initializer:
    return value if isinstance(value, Initializer) else Initializer.parse(str(value))


InitializerField = Annotated[
    InstanceOf[Initializer], BeforeValidator(_initializer), PlainSerializer(str, return_type=str)
]
