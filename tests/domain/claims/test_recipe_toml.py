"""Parsing recipe files; an error names its line and field."""

from __future__ import annotations

import pytest

from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.claims.recipe_toml import lines, parse
from initlab_tui.domain.errors import InvalidInputError
from tests.sample_recipe import TEXT


def recipe(text: str = TEXT) -> Recipe:
    return parse(text, "mine", "mine.toml")


def test_a_file_without_experiments_is_one_comparison() -> None:
    parsed = recipe()
    (experiment,) = parsed.experiments
    assert experiment.comparison.seeds == (0, 1, 2)
    assert experiment.comparison.base.hidden == (16, 16, 16)
    assert [(str(spec.initializer), spec.seed) for _, spec in parsed.specs()][:2] == [("zeros", 0), ("he_normal", 0)]
    assert [experiment.seeds for experiment in parsed.with_seeds("5").experiments] == [(0, 1, 2, 3, 4)]
    assert Recipe.from_json(parsed.to_json()) == parsed


def test_an_experiment_can_compare_optimizers_and_a_claim_can_name_one() -> None:
    several = TEXT.replace("seeds = 3", 'seeds = 3\noptimizers = ["adam", "sgd"]')
    with pytest.raises(InvalidInputError, match=r"group initializer he_normal is 2 groups: add experiment, hidden"):
        recipe(several)
    named = several.replace('group = "he_normal"', 'group = { initializer = "he_normal", optimizer = "sgd" }')
    parsed = recipe(named.replace('against = "zeros"', 'against = { initializer = "zeros", optimizer = "sgd" }'))
    assert [spec.optimizer for _, spec in parsed.specs()] == ["adam"] * 6 + ["sgd"] * 6
    assert parsed.origin != recipe().origin


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
def test_a_mistake_is_reported_with_its_line_and_field(wrong: str, instead: str, words: list[str]) -> None:
    assert wrong in TEXT
    with pytest.raises(InvalidInputError) as caught:
        recipe(TEXT.replace(wrong, instead, 1))
    for word in words:
        assert word in str(caught.value)


def test_a_file_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nested too deeply"):
        recipe(f"{TEXT}x = {'[' * 5000}")


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        recipe(TEXT.replace("year = 2016", "year = 1").replace("epochs = 2", "epochs = 0"))
    assert [problem.field for problem in caught.value.problems] == ["source.year", "base.epochs"]


def test_an_ambiguous_group_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="group initializer he_normal is 2 groups"):
        recipe(TEXT.replace("seeds = 3", 'seeds = 3\nhidden = ["8", "16"]'))


def test_the_line_of_every_key_and_table_is_found() -> None:
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
