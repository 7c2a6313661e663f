"""An entry of the catalogue of initializers: its parameters, and the moments of a weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

Value = float | int | str
Parameters = Mapping[str, Value]


class Moments(NamedTuple):
    """Mean and variance of one weight."""

    mean: float
    variance: float

    @property
    def stddev(self) -> float:
        return math.sqrt(self.variance)


@dataclass(frozen=True)
class Parameter:
    """One parameter of an initializer: its type is its default's, its bounds are inclusive unless `above`.

    `always_shown` parameters stand in every name of the initializer, since it means nothing without them.
    """

    name: str
    default: Value
    meaning: str
    minimum: float = -1e6
    maximum: float = 1e6
    above: float | None = None
    choices: tuple[str, ...] = ()
    always_shown: bool = False

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        low = f"> {self.above:g}" if self.above is not None else f">= {self.minimum:g}"
        return f"{kind} {low} and <= {self.maximum:g}"

    def parse(self, value: object) -> Value:
        """Return `value`, a number or text, as this parameter's type.

        Raises:
            ValueError: when it is not of that type or out of bounds.
        """
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
            raise ValueError(f"{self.name} must be {self.allowed}, got {value!s}") from None
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

    `moments` gives a weight's mean and variance from the parameters, fan_in and fan_out. It is None where the entry
    is `data_dependent`, fitted to training images after the draw: no formula tells what the weights then are.
    `check` returns what is wrong with parameters that only together make no sense, or an empty string.
    """

    name: str
    summary: str
    moments: Callable[[Parameters, int, int], Moments] | None
    when: str
    source: str
    parameters: tuple[Parameter, ...] = ()
    check: Callable[[Parameters], str] = lambda _: ""
    data_dependent: bool = False

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
