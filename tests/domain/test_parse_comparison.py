"""Parsing a comparison from text: the fields of a form or the options of a command."""

from __future__ import annotations

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.parse_comparison import comparison


def parsed(*optimizers: str, learning_rates: tuple[str, ...] = ("0.001",)) -> Comparison:
    return comparison(
        initializers=["zeros"],
        networks=["mlp"],
        hidden=["8"],
        activations=["relu"],
        optimizers=list(optimizers),
        learning_rates=list(learning_rates),
        seed="0",
        seeds="2",
        dataset="digits",
    )


def test_several_optimizers_are_an_axis_and_a_single_one_belongs_to_the_base() -> None:
    assert (parsed("sgd").base.optimizer, parsed("sgd").optimizers) == ("sgd", ())
    several = parsed("sgd", "adam")
    assert (several.base.optimizer, several.optimizers) == ("sgd", ("sgd", "adam"))
    assert [(run.optimizer, run.seed) for run in several.runs()] == [("sgd", 0), ("sgd", 1), ("adam", 0), ("adam", 1)]


@pytest.mark.parametrize("optimizers", [("adan",), ("adan", "sgd"), ("sgd", "adan")])
def test_every_optimizer_is_checked_with_the_other_fields(optimizers: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parsed(*optimizers, learning_rates=("0",))
    messages = {problem.message for problem in caught.value.problems}
    assert {message.partition(":")[0] for message in messages} == {
        "unknown optimizer 'adan'",
        "learning_rate must be a finite number > 0, got 0",
    }


def test_an_optimizer_given_twice_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="optimizers must differ from each other, got adam twice"):
        parsed("adam", "adam")
