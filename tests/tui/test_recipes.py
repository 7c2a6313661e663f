"""Recipes in the lab: they fill the form, and their claims stand beside what their runs came to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import pytest
from textual.widgets import Input

from initlab_tui.domain.claims.recipe import Experiment, Recipe
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.events import Evaluated
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from initlab_tui.recipes import loader
from initlab_tui.store import edits, progress
from initlab_tui.store.comparisons import recipe_origins
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.tui.panes.setup import Settings
from initlab_tui.tui.screens.claims import ClaimsScreen
from tests.tui.conftest import (
    NARROW,
    STEPS,
    VERY_WIDE,
    WIDE,
    Bench,
    Lab,
    Result,
    by_initializer,
    comparison,
    flat,
    open_lab,
)

pytestmark = pytest.mark.asyncio

LECTURE = loader.read("lecture-xavier")
DEEP = loader.read("he-vs-xavier-deep")
PARTS = [(recipe, part) for recipe in loader.packaged() for part in recipe.experiments]
XAVIER, RANDOM = "glorot_uniform", "random_normal:stddev=0.05"
AS_CLAIMED = {RANDOM: 0.853, XAVIER: 0.964}


def specs(runs: Iterable[RunSpec]) -> set[tuple[str, int]]:
    return {(spec.spec_hash, spec.seed) for spec in runs}


def over(recipe: Recipe, seeds: int, part: int = 0) -> Comparison:
    return recipe.with_seeds(str(seeds)).experiments[part].comparison


def reaching(accuracies: Mapping[str, float], apart: float = 0.001) -> Callable[[Run], Result]:
    """Each start with its accuracy, the seeds so far apart."""
    return lambda run: Result(accuracies[str(run.spec.initializer)] + apart * run.seed)


async def read_claims(lab: Lab) -> str:
    """The page of claims, all of it."""
    await lab.press("v")
    assert isinstance(lab.app.screen, ClaimsScreen)
    await lab.until(lambda: "reading" not in lab.text)
    return flat(lab.text)


async def test_what_is_put_into_the_form_is_what_is_read_of_it_for_every_part(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        for _, part in PARTS:
            lab.app.lab.setup.put(Settings(part.comparison))
            await lab.until(partial(describes, lab, part))


def describes(lab: Lab, part: Experiment) -> bool:
    found = lab.app.lab.setup.comparison
    return found is not None and specs(found.runs()) == specs(part.runs())


async def test_no_digit_of_a_rate_is_lost_in_the_form(store: Store) -> None:
    fine = comparison(XAVIER, learning_rate=0.012345678, l2=1.23456789e-5)
    async with open_lab(store) as lab:
        lab.app.lab.setup.put(Settings(fine))
        await lab.until(lambda: (found := lab.app.lab.setup.comparison) and found.base.l2 == fine.base.l2)
        assert lab.app.lab.setup.comparison is not None
        assert specs(lab.app.lab.setup.comparison.runs()) == specs(fine.runs())


@pytest.mark.parametrize("size", [NARROW, WIDE, VERY_WIDE], ids=str)
async def test_a_recipe_is_chosen_by_its_part_and_says_what_it_claims(store: Store, size: tuple[int, int]) -> None:
    async with open_lab(store, size) as lab:
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        for recipe, part in PARTS:
            assert f"{recipe.name} {part.name}".rstrip() in lab.text
        await lab.press("down", "down", "down", "enter")
        await lab.until(lambda: describes(lab, DEEP.experiments[1]))
        assert "10 runs: 2 initializers × 5 seeds" in lab.setup
        await lab.until(lambda: "Adam: Xavier is above chance" in lab.notifications)
        assert "Press r to train the 10 runs." in lab.notifications


async def test_it_says_which_dataset_stands_in(store: Store) -> None:
    async with open_lab(store) as lab:
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        await lab.press("down", "down", "down", "down", "down", "down", "enter")
        await lab.until(lambda: "If fashion_mnist is not available, choose mnist" in lab.notifications)


async def test_a_chooser_that_is_left_changes_nothing(store: Store) -> None:
    async with open_lab(store) as lab:
        before = lab.app.lab.setup.comparison
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        await lab.press("escape")
        assert lab.is_at_home
        assert lab.app.lab.setup.comparison == before


async def test_r_queues_what_was_chosen(real_store: Store, mnist_folder: Path) -> None:
    async with open_lab(real_store, data_dir=mnist_folder) as lab:
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        await lab.press("enter")
        await lab.until(lambda: describes(lab, LECTURE.experiments[0]))
        await lab.press("r")
        await lab.until(lambda: list_runs(real_store))
        assert specs(run.spec for run in list_runs(real_store)) == specs(LECTURE.experiments[0].runs())
        assert recipe_origins(real_store) == {1: LECTURE.origin}
        await lab.press("X")
        await lab.until(lambda: all(run.status.is_ended for run in list_runs(real_store)))


async def test_a_recipe_file_is_opened_and_its_claims_are_evaluated(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(loader.text("lecture-xavier").replace("Xavier initialization gives 96.50 %", "My own claim"))
    bench.train(over(LECTURE, 3), reaching(AS_CLAIMED))
    async with open_lab(bench.store, WIDE) as lab:
        await lab.press("e")
        await lab.until("Open a file …")
        await lab.press("end", "enter")
        await lab.until("The path of a recipe file")
        lab.app.screen.query_one(Input).value = str(path.with_name("gone.toml"))
        await lab.until("cannot be read: No such file")
        lab.app.screen.query_one(Input).value = str(path)
        await lab.press("enter")
        await lab.until(lambda: describes(lab, LECTURE.experiments[0]))
        page = await read_claims(lab)
        assert "✓ reproduced My own claim" in page
        assert "✓ reproduced Xavier initialization gives 96.50 %" in page


async def test_the_claims_stand_beside_the_outcome_and_one_that_fails_is_shown_failing(bench: Bench) -> None:
    bench.train(over(LECTURE, 3), reaching(AS_CLAIMED))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("lecture-xavier claims: ✓ 3 reproduced, ✗ 3 not reproduced; v shows them")
        page = await read_claims(lab)
        assert "✓ reproduced Random initialization gives 85.35 %" in page
        assert "published (Lab 10-2, Weight Initialization): 85.35 ± 2.00 % · observed: 85.40 ± 0.25 %, n 3" in page
        assert "✗ not reproduced RandomNormal() of Keras is within one point of Xavier" in page
        difference = "from -1.00 to +1.00 points ahead · observed: +11.10 ± 0.00 points, n 3"
        assert f"measured (this project, 2 seeds: 95.0 and 95.2 %): {difference}" in page
        assert LECTURE.source.title in page
        await lab.press("v")
        assert lab.is_at_home


async def test_a_mean_that_fits_is_not_enough(bench: Bench) -> None:
    bench.train(over(LECTURE, 3), reaching({RANDOM: 0.75, XAVIER: 0.86}, apart=0.1))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("lecture-xavier claims: ✓ 1 reproduced, ✗ 2 not reproduced, ? 3 undecided")
        page = await read_claims(lab)
        assert "? undecided Random initialization gives 85.35 %" in page
        assert "observed: 85.00 ± 24.84 %, n 3 the interval crosses a bound" in page


async def test_one_seed_decides_nothing(bench: Bench) -> None:
    bench.train(over(LECTURE, 1), reaching(AS_CLAIMED))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("lecture-xavier claims: ? 6 undecided; v shows them")
        assert "n 1 an interval needs at least two seeds" in await read_claims(lab)


async def test_it_is_judged_when_the_last_run_has_ended(bench: Bench) -> None:
    async with open_lab(bench.store, WIDE) as lab:
        ids = bench.queue(over(LECTURE, 2))
        for _ in ids:
            await lab.until(lambda: bool(lab.app.lab.active))
            assert "claims:" not in lab.results
            run = bench.begin()
            bench.end(run, reaching(AS_CLAIMED)(run))
        await lab.until(lambda: lab.notifications)
        await lab.clear()  # the notice lies over the line
        await lab.until("✓ 3 reproduced")
        bench.queue(comparison("zeros", seeds=1))
        await lab.until(lambda: "claims:" not in lab.results)


async def test_each_part_is_judged_by_its_last_comparison_wherever_it_is(bench: Bench) -> None:
    at_chance = {"glorot_normal": 0.11, "he_normal": 0.8}
    bench.train(over(DEEP, 2, 0), reaching(at_chance))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("he-vs-xavier-deep claims:")
        assert "? 2 undecided" in lab.results
        assert "not run yet" in await read_claims(lab)
        await lab.press("escape")
        bench.train(over(DEEP, 2, 1), reaching({"glorot_normal": 0.7, "he_normal": 0.9}))
        await lab.until(lambda: lab.notifications)
        await lab.clear()
        await lab.until("✓ 5 reproduced, ✗ 1 not reproduced")
        assert "from comparisons 1, 2 on mnist" in await read_claims(lab)


async def test_other_starts_beside_a_recipes_are_none_of_its_business(bench: Bench) -> None:
    more = over(LECTURE, 2)
    more = more.model_copy(update={"initializers": (*more.initializers, Initializer.parse("he_normal"))})
    bench.train(more, reaching(AS_CLAIMED | {"he_normal": 0.97}))
    async with open_lab(bench.store) as lab:
        await lab.until("✓ 3 reproduced")


async def test_on_the_dataset_that_stands_in_only_what_holds_of_any_is_judged(bench: Bench) -> None:
    ladder = loader.read("ladder")
    accuracies = {str(start): 0.2 + 0.1 * place for place, start in enumerate(ladder.experiments[0].initializers)}
    for _ in bench.queue(over(ladder.on(lambda _: "mnist"), 2)):
        run = bench.begin()
        progress.record(bench.store, run, [Evaluated(STEPS // 2, 1.0, 0.5)])  # after the first of its two epochs
        bench.end(run, reaching(accuracies)(run))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("ladder claims: ✓ 1 reproduced, ? 6 undecided")
        page = await read_claims(lab)
        assert "on mnist instead of fashion_mnist: only claims about any dataset are evaluated" in page
        assert "not run on the dataset of the claim" in page


async def test_what_no_recipe_claims_is_not_judged_and_deleted_runs_are_not_either(bench: Bench) -> None:
    ids = bench.train(over(LECTURE, 2), reaching(AS_CLAIMED))
    bench.train(comparison(XAVIER, "he_normal"), by_initializer)
    async with open_lab(bench.store) as lab:
        await lab.until(lambda: "4 groups" in lab.results)
        assert "claims:" not in lab.results
        assert "lecture-xavier: Random or Xavier" in await read_claims(lab)
        await lab.press("escape")
        edits.delete(bench.store, ids)
        await lab.until(lambda: len(lab.app.lab.runs) == 6)
        assert "No recipe was run in this store yet." in await read_claims(lab)
