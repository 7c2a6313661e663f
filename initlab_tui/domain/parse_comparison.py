"""A comparison as a person writes it: words in, a comparison or every field's trouble out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.fields import MAX_SEED
from initlab_tui.domain.spec import Comparison, RunSpec

T = TypeVar("T")


def seeds_from(first: str, count: str) -> tuple[int, ...]:
    """`count` seeds from `first` up.

    Raises:
        InvalidInputError: when either is not a whole number in bounds.
    """
    start = RunSpec.checked(seed=first).seed
    most = min(10_000, MAX_SEED - start + 1)
    try:
        number = int(count)
        if not 1 <= number <= most:
            raise ValueError
    except ValueError:
        raise InvalidInputError.of("seeds", f"seeds must be a whole number >= 1 and <= {most}, got {count}") from None
    return tuple(range(start, start + number))


def comparison(
    *,
    initializers: list[str],
    hidden: list[str],
    activations: list[str],
    learning_rates: list[str],
    seed: str,
    seeds: str,
    dataset: str,
    **others: str,
) -> Comparison:
    """Read a comparison from words: on the command line and in the setup pane the same.

    Raises:
        InvalidInputError: naming every field that is wrong.
    """
    problems: list[Problem] = []

    def gather(build: Callable[[], T], instead: T) -> T:
        try:
            return build()
        except InvalidInputError as error:
            problems.extend(error.problems)
            return instead

    base = gather(
        lambda: RunSpec.checked(
            dataset=dataset,
            hidden=hidden[0],
            activation=activations[0],
            learning_rate=learning_rates[0],
            initializer=initializers[0],
            seed=seed,
            **others,
        ),
        RunSpec(),
    )
    drawn: tuple[int, ...] = gather(lambda: seeds_from(seed, seeds), (0,))
    made = gather(
        lambda: Comparison.checked(
            base=base,
            initializers=initializers,
            seeds=drawn,
            activations=activations,
            hidden=hidden,
            learning_rates=learning_rates,
        ),
        None,
    )
    if problems or made is None:
        raise InvalidInputError(dict.fromkeys(problems))
    return made
