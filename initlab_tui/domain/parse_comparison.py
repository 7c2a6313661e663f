"""Parses a comparison from the text of a form or a command line, and reports every invalid field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError, Problem, shown
from initlab_tui.domain.fields import MAX_SEED
from initlab_tui.domain.spec import RunSpec

T = TypeVar("T")


def seeds_from(first: str, count: str) -> tuple[int, ...]:
    """Return `count` consecutive seeds from `first`.

    Raises:
        InvalidInputError: if either is not a whole number within its bounds.
    """
    first_seed = RunSpec.checked(seed=first).seed
    most = min(10_000, MAX_SEED - first_seed + 1)
    try:
        number = int(count)
        if not 1 <= number <= most:
            raise ValueError
    except ValueError:
        raise InvalidInputError.of(
            "seeds", f"seeds must be a whole number >= 1 and <= {most}, got {shown(count)}"
        ) from None
    return tuple(range(first_seed, first_seed + number))


def comparison(
    *,
    initializers: list[str],
    networks: list[str],
    hidden: list[str],
    activations: list[str],
    optimizers: list[str],
    learning_rates: list[str],
    seed: str,
    seeds: str,
    dataset: str,
    **others: str,
) -> Comparison:
    """Parse a comparison from the options of the command line or the fields of the setup pane.

    Raises:
        InvalidInputError: naming every field that is wrong.
    """
    collect = _Collector()
    network = {"network": networks[0], "hidden": hidden[0], "activation": activations[0]}
    training = {"optimizer": optimizers[0], "learning_rate": learning_rates[0], **others}
    base = collect(
        lambda: RunSpec.checked(dataset=dataset, seed=seed, initializer=initializers[0], **network, **training),
        RunSpec(),
    )
    lists = {"hidden": hidden, "activations": activations, "learning_rates": learning_rates}
    if len(optimizers) > 1:  # a single one is that of the base, as in comparisons from before there could be several
        lists["optimizers"] = optimizers
    if len(networks) > 1:
        lists["networks"] = networks
    all_seeds: tuple[int, ...] = collect(lambda: seeds_from(seed, seeds), (0,))
    parsed = collect(
        lambda: Comparison.checked(base=base, initializers=initializers, seeds=all_seeds, **lists),
        None,
    )
    if collect.problems or parsed is None:
        raise InvalidInputError(dict.fromkeys(collect.problems))
    return parsed


class _Collector:
    """Builds values one by one and collects the problems of all of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def __call__(self, build: Callable[[], T], default: T) -> T:
        """Return the result of `build`, or `default` if its input is invalid."""
        try:
            return build()
        except InvalidInputError as error:
            self.problems.extend(error.problems)
            return default
