"""Validated, immutable data, and the messages about invalid input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from initlab_tui.domain.errors import InvalidInputError, Problem, shown

T = TypeVar("T")


class Frozen(BaseModel):
    """Validated, immutable data."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def checked(cls, **fields: object) -> Self:
        """Build from untrusted values.

        Raises:
            InvalidInputError: naming every field that is wrong.
        """
        return _translated(lambda: cls(**fields))

    def to_json(self) -> str:
        """Return one line of JSON that `from_json` reads as an equal object."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Build from the result of `to_json`.

        Raises:
            InvalidInputError: naming every field that is wrong.
        """
        return _translated(lambda: cls.model_validate_json(text))


def _translated(build: Callable[[], T]) -> T:
    try:
        return build()
    except ValidationError as error:
        raise InvalidInputError(
            Problem(_field(problem["loc"]), sentence(problem)) for problem in error.errors()
        ) from None


def _field(location: tuple[int | str, ...]) -> str:
    return next((str(part) for part in reversed(location) if isinstance(part, str)), "")


def sentence(problem: Mapping[str, Any]) -> str:
    """Return a message with the invalid value: the field's if it has one, otherwise pydantic's."""
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}, got {shown(problem['input'])}"
