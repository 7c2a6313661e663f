"""The fields of a spec: allowed values, parsing from text, and error messages."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import BeforeValidator

from initlab_tui.domain.catalog.choices import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.catalog.datasets import DATASETS, NPZ_PREFIX
from initlab_tui.domain.errors import quoted, shown, unknown

MAX_DEPTH = 500  # building and tracing deeper networks exceeds Python's recursion limit
MAX_SEED = 2**31 - 1


def _whole(name: str, minimum: int, maximum: int) -> BeforeValidator:
    """Validate a whole number within bounds, or text that is one."""

    def check(value: object) -> int:
        try:
            if isinstance(value, bool) or not isinstance(value, int | str | float) or int(value) != float(value):
                raise ValueError
            number = int(value)
            if not minimum <= number <= maximum:
                raise ValueError
        except (ValueError, OverflowError):
            raise ValueError(
                f"{name} must be a whole number >= {minimum} and <= {maximum}, got {shown(value)}"
            ) from None
        return number

    return BeforeValidator(check)


def _number(name: str, allowed: str, allows: Callable[[float], bool]) -> BeforeValidator:
    """Validate a finite number, or text that is one; `allowed` is the condition `allows` in words."""

    def check(value: object) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, int | str | float):
                raise ValueError
            number = float(value)
            if not (allows(number) and math.isfinite(number)):
                raise ValueError
        except (ValueError, OverflowError):
            raise ValueError(f"{name} must be a finite number {allowed}, got {shown(value)}") from None
        return number

    return BeforeValidator(check)


def _one_of(what: str, allowed: Sequence[str]) -> BeforeValidator:
    """Validate one of the `allowed` names; the error suggests the nearest ones."""

    def check(value: object) -> str:
        if value not in allowed:
            raise ValueError(unknown(what, str(value), allowed))
        return str(value)

    return BeforeValidator(check)


def _dataset(value: object) -> str:
    """Validate the name of a dataset in the catalogue, or the path of a custom file.

    Raises:
        ValueError: for an unknown name, with the nearest ones.
    """
    name = str(value)
    if name.startswith(NPZ_PREFIX) and name != NPZ_PREFIX:
        return name
    if name.endswith(".npz"):
        raise ValueError(f"unknown dataset {quoted(name)}: write {NPZ_PREFIX}{name} for a custom file")
    if name not in DATASETS:
        raise ValueError(unknown("dataset", name, [*DATASETS, f"{NPZ_PREFIX}FILE"]))
    return name


def parse_hidden(value: object) -> tuple[int, ...]:
    """Read hidden widths: `256,256`, `100x30` for thirty layers of 100, `none`, or a sequence of numbers.

    Raises:
        ValueError: for a width that is not a whole number >= 1, or more than MAX_DEPTH layers.
    """
    if isinstance(value, str):
        text = value.strip()
        parts: list[object] = [] if text in ("", "none") else [part.strip() for part in text.split(",")]
    elif isinstance(value, Sequence):
        parts = list(value)
    else:
        raise ValueError(f"hidden must be widths such as 256,256 or 100x30, got {shown(value)}")
    widths = tuple(itertools.chain.from_iterable(_repeat(part, value) for part in parts))
    if len(widths) > MAX_DEPTH:
        raise ValueError(f"hidden must have at most {MAX_DEPTH} layers, got {len(widths)}")
    return widths


def hidden_text(widths: Sequence[int]) -> str:
    """Return the shortest text that `parse_hidden` reads as `widths`."""
    runs = [(width, len(list(same))) for width, same in itertools.groupby(widths)]
    parts = [f"{width}x{count}" if count > 2 else ",".join([str(width)] * count) for width, count in runs]
    return ",".join(parts) or "none"


def _repeat(part: object, whole: object) -> tuple[int, ...]:
    width, times, count = part.partition("x") if isinstance(part, str) else (part, "", "")
    try:
        number, repeats = int(str(width)), int(count) if times else 1
        if number < 1 or repeats < 1:
            raise ValueError
    except ValueError:
        raise ValueError(
            "hidden must be whole numbers >= 1, as in 256,256 or 100x30 (thirty layers of 100), "
            f"or none, got {quoted(part)} in {quoted(whole)}"
        ) from None
    # One layer too many is enough to report the error; a list of billions would fill the memory.
    return (number,) * min(repeats, MAX_DEPTH + 1)


DatasetName = Annotated[str, BeforeValidator(_dataset)]
Hidden = Annotated[tuple[int, ...], BeforeValidator(parse_hidden)]
Activation = Annotated[str, _one_of("activation", ACTIVATIONS)]
Optimizer = Annotated[str, _one_of("optimizer", OPTIMIZERS)]
LearningRate = Annotated[float, _number("learning_rate", "> 0", lambda rate: rate > 0)]
L2 = Annotated[float, _number("l2", ">= 0", lambda strength: strength >= 0)]
BatchSize = Annotated[int, _whole("batch_size", 1, 2**31 - 1)]
Epochs = Annotated[int, _whole("epochs", 1, 1_000_000)]
EvalEvery = Annotated[int, _whole("eval_every", 0, 2**31 - 1)]
Execution = Annotated[str, _one_of("execution", EXECUTIONS)]
Seed = Annotated[int, _whole("seed", 0, MAX_SEED)]
