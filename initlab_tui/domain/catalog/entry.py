"""The form of an entry in the catalogue of initializers, and of the parameters of an initializer or a network."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from initlab_tui.domain.errors import shown

Value = float | int | str
Parameters = Mapping[str, Value]


class Moments(NamedTuple):
    """The mean and variance of a weight: an entry of a (fan_in, fan_out) kernel, over draws and positions."""

    mean: float
    variance: float

    @property
    def stddev(self) -> float:
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Parameter:
    """One parameter of an initializer or a network, of the same type as its default.

    The bounds `minimum` and `maximum` are inclusive, `above` is exclusive. `read` parses a text of more than a choice.
    A parameter that is `always_shown` is part of every name of its entry, which means little without it.
    """

    name: str
    default: Value
    meaning: str
    minimum: float = -1e6
    maximum: float = 1e6
    above: float | None = None
    choices: tuple[str, ...] = ()
    always_shown: bool = False
    read: Callable[[object], str] | None = None

    @property
    def allowed(self) -> str:
        """The allowed values, as text."""
        if self.read:
            return self.meaning
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        low = f"> {self.above:g}" if self.above is not None else f">= {self.minimum:g}"
        return f"{kind} {low} and <= {self.maximum:g}"

    def parse(self, value: object) -> Value:
        """Return `value`, a number or text, as this parameter's type.

        Raises:
            ValueError: if it has another type or is out of bounds.
        """
        if self.read:
            return self.read(value)
        try:
            if self.choices:
                if value not in self.choices:
                    raise ValueError
                return str(value)
            number = self._number(value)
            low_enough = number > self.above if self.above is not None else number >= self.minimum
            if not (math.isfinite(number) and low_enough and number <= self.maximum):
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{self.name} must be {self.allowed}, got {shown(value)}") from None
        return number

    def _number(self, value: object) -> float | int:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError
        if isinstance(self.default, int):
            if isinstance(value, float) and not value.is_integer():
                raise ValueError
            return int(value)
        return float(value)


@dataclass(frozen=True)
class Entry:
    """One initializer of the catalogue.

    `moments` computes the mean and variance of a weight from the parameters, fan_in and fan_out. It is None for a
    `data_dependent` initializer, which is fitted to training images after the draw, and for a scheme, which draws each
    kernel by its place in the network (`schemes.py`).
    `check` returns an error message for an invalid combination of parameters, or an empty string.
    """

    name: str
    summary: str
    moments: Callable[[Parameters, int, int], Moments] | None
    when: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    check: Callable[[Parameters], str] = lambda _: ""
    data_dependent: bool = False
    is_scheme: bool = False

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
