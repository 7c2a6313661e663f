"""An initializer by name with its parameters, as in `random_normal:stddev=0.05` or `he_normal+output=zeros`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

from initlab_tui.domain.catalog import text_form
from initlab_tui.domain.catalog.entry import Entry, Moments, Value
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.errors import quoted, shown, unknown

IMPORT_PREFIX = "import:"
ROLES = ("branch", "output")
_ROLE = re.compile(r"\+([a-z]+)=")
_EXAMPLE = "random_normal:stddev=1.0 or random_uniform:minval=-1,maxval=1"


@dataclass(frozen=True)
class Initializer:
    """An initializer with all its parameters: an entry of the catalogue, or a custom one with `import:`.

    The text form is `NAME` or `NAME:param=value,param=value`, and after it `+ROLE=INITIALIZER` for each role whose
    kernels are drawn otherwise: `output`, the logits; `branch`, the last layer of each residual branch. `str` returns
    the shortest text that `parse` reads as an equal initializer, except that it always names the parameters that are
    essential (`random_normal:stddev=0.05`).
    """

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()
    roles: tuple[tuple[str, Initializer], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an initializer as it is written on the command line.

        Raises:
            ValueError: for an unknown name, parameter or role, or a value out of bounds.
        """
        base, *others = _ROLE.split(text.strip())
        return replace(cls._parse_alone(base), roles=_roles(others))

    @classmethod
    def _parse_alone(cls, text: str) -> Self:
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
    def alone(self) -> Initializer:
        """The initializer without those of the roles."""
        return replace(self, roles=())

    def of_role(self, role: str) -> Initializer | None:
        """Return the initializer of a role, if it has one of its own."""
        return dict(self.roles).get(role)

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

    @property
    def is_scheme(self) -> bool:
        """Whether it draws a kernel by its place in the network."""
        return self.entry is not None and self.entry.is_scheme

    def moments(self, fan_in: int, fan_out: int) -> Moments | None:
        """Return the mean and variance of a weight of a (fan_in, fan_out) kernel; None if there is no formula."""
        moments = self.entry.moments if self.entry else None
        return moments(dict(self.parameters), fan_in, fan_out) if moments else None

    def __str__(self) -> str:
        alone = text_form.shortest(self.name, self.parameters, self.entry)
        return "".join([alone, *(f"+{role}={initializer}" for role, initializer in self.roles)])


def _roles(parts: Sequence[str]) -> tuple[tuple[str, Initializer], ...]:
    """Read the initializers of roles from alternating names and texts."""
    given: dict[str, Initializer] = {}
    for role, text in zip(parts[::2], parts[1::2], strict=True):
        initializer = Initializer.parse(text)
        if role not in ROLES:
            raise ValueError(unknown("role", role, ROLES))
        if role in given:
            raise ValueError(f"the initializer of {role} is given twice")
        if initializer.is_imported or initializer.is_data_dependent or initializer.is_scheme:
            raise ValueError(f"{role}={shown(text)}: must be an initializer of the catalogue that draws one kernel")
        given[role] = initializer
    return tuple(sorted(given.items()))


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
