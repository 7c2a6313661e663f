"""The evaluation of claims: the interval over the seeds decides."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from initlab_tui.domain.claims.evaluation import ClaimResult, RunMetrics, evaluate_claims
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.claims.recipe_toml import parse
from tests.sample_recipe import TEXT


def recipe_with(bounds: str) -> Recipe:
    """Return the sample recipe with one claim that has these fields."""
    head = TEXT[: TEXT.index("[[claims]]")]
    claim = f'[[claims]]\nstatement = "c"\nkind = "published"\nsource = "s"\n{bounds}'
    return parse(head + claim, "mine", "mine.toml")


def metrics(recipe: Recipe, **accuracies: Sequence[float | None]) -> list[RunMetrics]:
    """Return the metrics of runs with these final accuracies by initializer and seed; None is no result."""
    runs = ((name, spec, accuracies[spec.initializer.name][spec.seed]) for name, spec in recipe.specs())
    return [
        RunMetrics(name, spec, {} if value is None else {"test_accuracy": [0.1, 0.2, value], "test_loss": [2.3] * 3})
        for name, spec, value in runs
    ]


def evaluated(bounds: str, **accuracies: Sequence[float | None]) -> ClaimResult:
    recipe = recipe_with(bounds)
    (result,) = evaluate_claims(recipe, metrics(recipe, **{"zeros": (0.1, 0.1, 0.1), **accuracies}))
    return result


@pytest.mark.parametrize(
    ("bounds", "values", "verdict"),
    [
        ("equals = 0.9\ntolerance = 0.02", (0.9, 0.901, 0.899), "reproduced"),
        ("equals = 0.9\ntolerance = 0.02", (0.95, 0.951, 0.949), "not_reproduced"),
        # The mean fits, but the interval is too wide.
        ("equals = 0.9\ntolerance = 0.02", (0.8, 0.9, 1.0), "undecided"),
        ("at_most = 0.5", (0.3, 0.31, 0.32), "reproduced"),
        ("at_most = 0.5", (0.48, 0.49, 0.5), "undecided"),
        ("at_least = 0.5", (0.3, 0.31, 0.32), "not_reproduced"),
        ("at_least = 0.2\nat_most = 0.4", (0.3, 0.31, 0.32), "reproduced"),
        # Equal values have an interval of width 0.
        ("at_most = 0.1135", (0.1135, 0.1135, 0.1135), "reproduced"),
    ],
)
def test_the_interval_decides_and_not_the_mean(bounds: str, values: Sequence[float], verdict: str) -> None:
    assert evaluated(f'group = "he_normal"\n{bounds}', he_normal=values).verdict == verdict


def test_differences_are_paired_by_seed() -> None:
    # The spread over the seeds is common to both groups; unpaired, they could not be distinguished.
    accuracies = {"zeros": (0.1, 0.5, 0.9), "he_normal": (0.15, 0.55, 0.95)}
    result = evaluated('group = "he_normal"\nagainst = "zeros"\nat_least = 0.04', **accuracies)
    assert result.verdict == "reproduced"
    assert result.observed[0].mean == pytest.approx(0.05)
    assert result.seeds == 3


def test_an_order_is_reproduced_when_no_step_goes_back() -> None:
    order = 'order = ["zeros", "he_normal"]\ntolerance = 0.01'
    assert evaluated(order, he_normal=(0.5, 0.6, 0.7)).verdict == "reproduced"
    assert evaluated(order, he_normal=(0.095, 0.095, 0.095)).verdict == "reproduced"
    assert evaluated(order, he_normal=(0.05, 0.05, 0.05)).verdict == "not_reproduced"
    assert evaluated(order, he_normal=(0.05, 0.1, 0.15)).verdict == "undecided"


def test_a_claim_can_be_about_an_earlier_epoch_or_the_loss() -> None:
    same = (0.9, 0.9, 0.9)
    assert evaluated('group = "he_normal"\nepoch = 1\nequals = 0.2\ntolerance = 0.01', he_normal=same).verdict == (
        "reproduced"
    )
    loss = 'group = "zeros"\nobservable = "test_loss"\nequals = 2.3026\ntolerance = 0.01'
    assert evaluated(loss, he_normal=same).verdict == "reproduced"


def test_without_an_interval_a_claim_is_undecided_with_the_reason() -> None:
    bounds = 'group = "he_normal"\nat_least = 0.5'
    one_seed = recipe_with(bounds).with_seeds("1")
    (result,) = evaluate_claims(one_seed, metrics(one_seed, zeros=(0.1,), he_normal=(0.9,)))
    assert (result.verdict, result.reason) == ("undecided", "an interval needs at least two seeds")
    result = evaluated(bounds, he_normal=(0.9, None, 0.9))
    assert (result.verdict, result.reason) == ("undecided", "only 2 of 3 runs have a result")
    result = evaluated(bounds, he_normal=(0.2, 0.5, 0.9))
    assert (result.verdict, result.reason) == ("undecided", "the interval crosses a bound")
    (result,) = evaluate_claims(recipe_with(bounds), [])
    assert (result.verdict, result.reason, result.seeds) == ("undecided", "not run yet", 0)


def test_on_the_substitute_dataset_only_claims_about_any_dataset_are_evaluated() -> None:
    accuracies = {"zeros": (0.1, 0.1, 0.1), "he_normal": (0.9, 0.9, 0.9)}
    for field, verdict in (("any_dataset = true", "reproduced"), ("", "undecided")):
        recipe = recipe_with(f'group = "he_normal"\nat_least = 0.5\n{field}')
        (result,) = evaluate_claims(recipe, metrics(recipe, **accuracies), on_substitute=True)
        assert result.verdict == verdict
