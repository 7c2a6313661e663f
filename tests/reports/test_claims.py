"""Claims as text: expected bounds, observed intervals, and the list that the screen and the commands share."""

from __future__ import annotations

import pytest
from rich.console import Console, RenderableType

from initlab_tui.domain.claims.evaluation import evaluate_claims
from initlab_tui.recipes import loader
from initlab_tui.reports.claims import claims_list, expected, observed, recorded_rows, result_row, results_page
from initlab_tui.services import recipes
from tests.domain.claims.test_evaluation import evaluated, metrics, recipe_with

SAME = (0.9, 0.9, 0.9)


def text_of(page: RenderableType, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(page)
    return " ".join(captured.get().split())


@pytest.mark.parametrize(
    ("bounds", "expected_text", "observed_text"),
    [
        ('group = "he_normal"\nequals = 0.9\ntolerance = 0.02', "90.00 ± 2.00 %", "90.00 ± 0.00 %"),
        ('group = "he_normal"\nat_least = 0.3', "at least 30.00 %", "90.00 ± 0.00 %"),
        (
            'group = "he_normal"\nagainst = "zeros"\nat_least = 0.04',
            "at least +4.00 points ahead",
            "+80.00 ± 0.00 points",
        ),
        ('group = "he_normal"\nagainst = "zeros"\nat_least = 0.0', "ahead", "+80.00 ± 0.00 points"),
        (
            'group = "he_normal"\nepoch = 1\nequals = 0.2\ntolerance = 0.01',
            "20.00 ± 1.00 % after epoch 1",
            "20.00 ± 0.00 %",
        ),
        (
            'order = ["zeros", "he_normal"]\ntolerance = 0.01',
            "none of 2 worse than the one before by more than 1.00 points",
            "+80.00 ± 0.00 points",
        ),
        (
            'group = "zeros"\nobservable = "test_loss"\nequals = 2.3026\ntolerance = 0.01',
            "2.303 ± 0.01",
            "2.3 ± 0",
        ),
    ],
)
def test_bounds_and_observations_have_the_unit_of_the_observable(
    bounds: str, expected_text: str, observed_text: str
) -> None:
    result = evaluated(bounds, he_normal=SAME)
    assert (expected(result.claim), observed(result)) == (expected_text, observed_text)


def test_a_list_shows_verdict_bounds_observation_and_reason() -> None:
    recipe = recipe_with('group = "he_normal"\nat_least = 0.5')
    (wide,) = evaluate_claims(recipe, metrics(recipe, zeros=SAME, he_normal=(0.2, 0.5, 0.9)))
    shown = text_of(claims_list([result_row(wide)]))
    assert "? undecided c published (s): at least 50.00 % · observed: 53.33 ± 87.24 %, n 3" in shown
    assert shown.endswith("the interval crosses a bound")


def test_recorded_results_are_shown_in_the_same_list() -> None:
    recipe = loader.read("zero-symmetry")
    shown = text_of(claims_list(recorded_rows(recipe), "last measured"), 160)
    assert "✓ reproduced" in shown
    assert "at most 12.50 % · last measured: 11.33 ± 0.00 %, n 3" in shown


def test_a_recipe_without_runs_is_shown_as_not_run_yet() -> None:
    shown = text_of(results_page([recipes.without_runs(recipe_with('group = "zeros"\nat_most = 0.5'))]))
    assert "not run yet" in shown
    assert "mine claims: ? 1 undecided" in shown


def test_control_characters_in_a_recipe_are_escaped() -> None:
    recipe = recipe_with('group = "zeros"\nat_most = 0.5')
    claim = recipe.claims[0].model_copy(update={"statement": "\x1b]52;c;x\x07[red]"})
    hostile = recipe.model_copy(update={"claims": (claim,), "claim": "\u202ereversed"})
    shown = text_of(results_page([recipes.without_runs(hostile)]))
    assert "\x1b" not in shown and "\u202e" not in shown
    assert "\\x1b]52;c;x\\x07[red]" in shown
