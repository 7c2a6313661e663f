"""The lines of the initializer list: the parameters as typed, and whether the initializer is selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.initializer import IMPORT_PREFIX, Initializer
from initlab_tui.reports.format import initializer_name

OWN = "your own"
PATH = "import"


@dataclass
class Line:
    """One initializer of the list: its parameters as typed, whether it is selected, and the text of its roles."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    ticked: bool = False
    added: bool = False
    roles: str = ""

    @classmethod
    def of(cls, initializer: Initializer, *, ticked: bool, added: bool = False) -> Line:
        if initializer.is_imported:
            return cls(OWN, {PATH: str(initializer).removeprefix(IMPORT_PREFIX)}, ticked, added)
        roles = "".join(f"+{role}={each}" for role, each in initializer.roles)
        return cls(initializer.name, {key: str(value) for key, value in initializer.parameters}, ticked, added, roles)

    @property
    def words(self) -> str:
        """The initializer as written on the command line."""
        if self.name == OWN:
            return IMPORT_PREFIX + self.values[PATH]
        pairs = ",".join(f"{key}={value}" for key, value in self.values.items())
        return (f"{self.name}:{pairs}" if pairs else self.name) + self.roles

    def read(self) -> Initializer:
        """Parse the initializer.

        Raises:
            ValueError: when a parameter is not what is allowed.
        """
        for key, value in self.values.items():
            if not value.strip():
                raise ValueError(f"{key} must have a value")
        return Initializer.parse(self.words)

    @property
    def trouble(self) -> str:
        """Why the initializer is invalid, or an empty string."""
        try:
            self.read()
        except ValueError as error:
            return str(error)
        return ""

    @property
    def shown(self) -> str:
        if self.name == OWN:
            return f"{OWN}: {self.values[PATH] or 'package.module.Name'}"
        return self.words.replace(":", " ", 1) if self.trouble else initializer_name(self.read())


def lines(ticked: Sequence[Initializer]) -> list[Line]:
    """Return the lines of the catalogue, with those in `ticked` selected; several with one name follow each other."""
    made = []
    for name in CATALOGUE:
        own = [initializer for initializer in ticked if initializer.name == name]
        made += [Line.of(initializer, ticked=True, added=number > 0) for number, initializer in enumerate(own)]
        if not own:
            made.append(Line.of(Initializer.parse(name), ticked=False))
    imported = [initializer for initializer in ticked if initializer.is_imported]
    made += [Line.of(initializer, ticked=True, added=True) for initializer in imported]
    return [*made, Line(OWN, {PATH: ""})]
