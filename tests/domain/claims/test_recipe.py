"""Recipes: what may stand in one, where a wrong one is wrong, and what is made of intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from initlab_tui.domain.claims.evaluation import ClaimResult, RunMetrics, evaluate_claims
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.claims.recipe_toml import lines, parse
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.claims import expected, observed, verdict

TEXT = """\
title = "Zeros against He"
claim = "Zeros do not learn."
initializers = ["zeros", "he_normal"]
seeds = 3

[source]
author = "Somebody"
title = "A book"
year = 2016
place = "page 3"

[base]
dataset = "digits"
hidden = "16x3"
epochs = 2

[[claims]]
statement = "He is ahead"
kind = "published"
source = "A book, page 3"
group = "he_normal"
against = "zeros"
at_least = 0.5
"""


def recipe(claim: str = "", text: str = TEXT) -> Recipe:
    """TEXT, with its claim replaced where another is given."""
    head = text[: text.index("[[claims]]")]
    rest = f'[[claims]]\nstatement = "c"\nkind = "published"\nsource = "s"\n{claim}' if claim else ""
    return parse(head + rest if claim else text, "mine", "mine.toml")


def test_the_short_form_is_one_comparison() -> None:
    made = recipe()
    (experiment,) = made.experiments
    assert experiment.comparison.seeds == (0, 1, 2)
    assert experiment.comparison.base.hidden == (16, 16, 16)
    assert [(str(spec.initializer), spec.seed) for _, spec in made.specs()][:2] == [("zeros", 0), ("he_normal", 0)]
    assert [experiment.seeds for experiment in made.with_seeds("5").experiments] == [(0, 1, 2, 3, 4)]
    assert Recipe.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    ("wrong", "instead", "words"),
    [
        ('hidden = "16x3"', 'hidden = "0"', ["mine.toml, line 14: base.hidden: hidden must be", "got '0'"]),
        ('hidden = "16x3"', 'hiden = "8"', ["line 14: base.hiden: unknown field 'hiden': did you mean hidden?"]),
        ("seeds = 3", "seeds = 0", ["mine.toml, line 4: seeds: seeds must be a whole number >= 1", "got 0"]),
        ('"he_normal"]', '"he_norml"]', ["line 3: initializers[2]: unknown initializer 'he_norml'", "he_normal"]),
        ("year = 2016", 'year = "old"', ["line 9: source.year", "got 'old'"]),
        ('place = "page 3"', "", ["line 6: source.place: is missing"]),
        ('kind = "published"', 'kind = "guessed"', ["line 19: claims[1].kind", "got 'guessed'"]),
        (
            'kind = "published"',
            'kind = "measured"',
            ["line 19: claims[1].kind: kind measured needs a date"],
        ),
        (
            'group = "he_normal"',
            'group = "ones"',
            ["line 21: claims[1].group: group initializer ones is not compared"],
        ),
        ('against = "zeros"', "epoch = 3", ["line 22: claims[1].epoch: epoch must be <= 2, got 3"]),
        ("at_least = 0.5", "equals = 0.5", ["equals and order need a tolerance"]),
        ("at_least = 0.5", "", ["a group needs either equals"]),
        ("at_least = 0.5", 'at_least = "x"', ["line 23: claims[1].at_least", "got 'x'"]),
        ("at_least = 0.5", "at_least = nan", ["line 23: claims[1].at_least"]),
        ('against = "zeros"', 'observable = "accuracy"', ["line 22: claims[1].observable", "test_accuracy"]),
        ('title = "Zeros against He"', "title = 3", ["line 1: title: must be text, got 3"]),
        ('claim = "Zeros do not learn."', "claim == 1", ["mine.toml: not TOML", "line 2"]),
        ("seeds = 3", "experiments = []", ["line 3: initializers: unknown field", "experiments"]),
        ("seeds = 3", 'colour = "red"', ["line 4: colour: unknown field", "initializers", "seeds", "base"]),
        ("seeds = 3", 'seeds = "5"', ["line 4: seeds: seeds must be a count, or a list", "got '5'"]),
        (
            "at_least = 0.5",
            "at_least = 95",
            ["line 23: claims[1].at_least: at_least must be a fraction", "got 95"],
        ),
        ("at_least = 0.5", 'at_least = "0"', ["line 23: claims[1].at_least: must be a number, got '0'"]),
        ("epochs = 2", "epochs = 2\n[measured]\ndate = 1", ["measured.data: is missing"]),
        ('against = "zeros"', "epoch = -1", ["line 22: claims[1].epoch: must be a whole number >= 0", "got -1"]),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_field(wrong: str, instead: str, words: list[str]) -> None:
    assert wrong in TEXT
    with pytest.raises(InvalidInputError) as caught:
        recipe(text=TEXT.replace(wrong, instead, 1))
    for word in words:
        assert word in str(caught.value)


def test_a_text_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nested too deeply"):
        recipe(text=f"{TEXT}x = {'[' * 5000}")


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        recipe(text=TEXT.replace("year = 2016", "year = 1").replace("epochs = 2", "epochs = 0"))
    assert [problem.field for problem in caught.value.problems] == ["source.year", "base.epochs"]


def test_a_group_that_is_two_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="group initializer he_normal is 2 groups"):
        recipe(text=TEXT.replace("seeds = 3", 'seeds = 3\nhidden = ["8", "16"]'))


def test_lines_of_keys_and_tables() -> None:
    found = lines(
        'a = """\nb = 1\n[c]\n"""\nd.e = [\n  "x = 1",\n]\n[[f]]\ng = 1\n[f.h]\ni = 1\n[[f]] # again\ng = 2\n[[f.j]]\n'
    )
    assert found == {
        ("a",): 1,
        ("d", "e"): 5,
        ("f", 0): 8,
        ("f", 0, "g"): 9,
        ("f", 0, "h"): 10,
        ("f", 0, "h", "i"): 11,
        ("f", 1): 12,
        ("f", 1, "g"): 13,
        ("f", 1, "j", 0): 14,
    }


def seen(made: Recipe, **accuracies: Sequence[float | None]) -> list[RunMetrics]:
    """What was observed after the last epoch, by initializer and seed; None: the run came to nothing."""
    made_of = ((part, spec, accuracies[spec.initializer.name][spec.seed]) for part, spec in made.specs())
    return [
        RunMetrics(part, spec, {} if value is None else {"test_accuracy": [0.1, 0.2, value], "test_loss": [2.3] * 3})
        for part, spec, value in made_of
    ]


def judged(claim: str, **accuracies: Sequence[float | None]) -> ClaimResult:
    made = recipe(claim)
    (one,) = evaluate_claims(made, seen(made, **{"zeros": (0.1, 0.1, 0.1), **accuracies}))
    return one


@pytest.mark.parametrize(
    ("bounds", "values", "verdict"),
    [
        ("equals = 0.9\ntolerance = 0.02", (0.9, 0.901, 0.899), "reproduced"),
        ("equals = 0.9\ntolerance = 0.02", (0.95, 0.951, 0.949), "not_reproduced"),
        # The mean is right, the spread is not.
        ("equals = 0.9\ntolerance = 0.02", (0.8, 0.9, 1.0), "undecided"),
        ("at_most = 0.5", (0.3, 0.31, 0.32), "reproduced"),
        ("at_most = 0.5", (0.48, 0.49, 0.5), "undecided"),
        ("at_least = 0.5", (0.3, 0.31, 0.32), "not_reproduced"),
        ("at_least = 0.2\nat_most = 0.4", (0.3, 0.31, 0.32), "reproduced"),
        # All seeds alike have an interval of no width.
        ("at_most = 0.1135", (0.1135, 0.1135, 0.1135), "reproduced"),
    ],
)
def test_the_interval_decides_and_not_the_mean(bounds: str, values: Sequence[float], verdict: str) -> None:
    assert judged(f'group = "he_normal"\n{bounds}', he_normal=values).verdict == verdict


def test_a_difference_is_paired_by_seed() -> None:
    # The seeds' spread is common to both: apart they could not be told from each other.
    spread = {"zeros": (0.1, 0.5, 0.9), "he_normal": (0.15, 0.55, 0.95)}
    one = judged('group = "he_normal"\nagainst = "zeros"\nat_least = 0.04', **spread)
    assert one.verdict == "reproduced"
    assert one.observed[0].mean == pytest.approx(0.05)
    assert expected(one.claim) == "at least +4.00 points ahead"
    assert observed(one) == "+5.00 ± 0.00 points"


def test_an_order_holds_where_no_step_goes_back() -> None:
    order = 'order = ["zeros", "he_normal"]\ntolerance = 0.01'
    assert judged(order, he_normal=(0.5, 0.6, 0.7)).verdict == "reproduced"
    assert judged(order, he_normal=(0.095, 0.095, 0.095)).verdict == "reproduced"
    assert judged(order, he_normal=(0.05, 0.05, 0.05)).verdict == "not_reproduced"
    assert judged(order, he_normal=(0.05, 0.1, 0.15)).verdict == "undecided"


def test_an_epoch_before_the_last_and_the_loss() -> None:
    one = judged('group = "he_normal"\nepoch = 1\nequals = 0.2\ntolerance = 0.01', he_normal=(0.9, 0.9, 0.9))
    assert (one.verdict, expected(one.claim)) == ("reproduced", "20.00 ± 1.00 % after epoch 1")
    one = judged(
        'group = "zeros"\nobservable = "test_loss"\nequals = 2.3026\ntolerance = 0.01', he_normal=(0.9, 0.9, 0.9)
    )
    assert (one.verdict, observed(one)) == ("reproduced", "2.3 ± 0")


def test_what_has_no_interval_decides_nothing() -> None:
    made = recipe('group = "he_normal"\nat_least = 0.5').with_seeds("1")
    (one,) = evaluate_claims(made, seen(made, zeros=(0.1,), he_normal=(0.9,)))
    assert verdict(one) == "not decided (an interval needs at least two seeds)"
    one = judged('group = "he_normal"\nat_least = 0.5', he_normal=(0.9, None, 0.9))
    assert verdict(one) == "not decided (only 2 of 3 runs have a result)"
    one = judged('group = "he_normal"\nat_least = 0.5', he_normal=(0.2, 0.5, 0.9))
    assert verdict(one).startswith("not decided (the interval crosses a bound")
    (one,) = evaluate_claims(made, [])
    assert (verdict(one), observed(one)) == ("not decided (not run yet)", "–")


def test_on_a_dataset_that_stands_in_only_what_holds_on_any_is_judged() -> None:
    sure = {"zeros": (0.1, 0.1, 0.1), "he_normal": (0.9, 0.9, 0.9)}
    for own, wanted in (("any_dataset = true", "reproduced"), ("", "undecided")):
        made = recipe(f'group = "he_normal"\nat_least = 0.5\n{own}')
        (one,) = evaluate_claims(made, seen(made, **sure), on_substitute=True)
        assert one.verdict == wanted
