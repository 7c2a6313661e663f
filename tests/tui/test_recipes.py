"""Recipes in the lab: they fill the form, and their claims are shown with the results of their runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, Static

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
from tests import sample_recipe
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
EXPERIMENTS = [(recipe, experiment) for recipe in loader.packaged() for experiment in recipe.experiments]
XAVIER, RANDOM = "glorot_uniform", "random_normal:stddev=0.05"
CLAIMED_ACCURACIES = {RANDOM: 0.853, XAVIER: 0.964}


def specs(runs: Iterable[RunSpec]) -> set[tuple[str, int]]:
    return {(spec.spec_hash, spec.seed) for spec in runs}


def with_seeds(recipe: Recipe, seeds: int, experiment: int = 0) -> Comparison:
    return recipe.with_seeds(str(seeds)).experiments[experiment].comparison


def with_accuracies(accuracies: Mapping[str, float], step: float = 0.001) -> Callable[[Run], Result]:
    """Return results with each initializer's accuracy, `step` higher for each seed."""
    return lambda run: Result(accuracies[str(run.spec.initializer)] + step * run.seed)


async def ask_for_recipe_file(lab: Lab) -> None:
    """Go to the question for the path of a recipe file."""
    await lab.press("e")
    await lab.until("Open a file …")
    await lab.press("end", "enter")
    await lab.until("The path of a recipe file")


async def read_claims(lab: Lab) -> str:
    """Open the page of claims and return its text."""
    await lab.press("v")
    assert isinstance(lab.app.screen, ClaimsScreen)
    await lab.until(lambda: "reading" not in lab.text)
    return flat(lab.text)


async def test_no_prediction_is_shown_for_an_initializer_that_the_recipe_does_not_select(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_lab(store) as lab:
        setup = lab.app.lab.setup
        show, before = setup.show_preview, setup.comparison
        shown: list[tuple[int, int]] = []

        def recorded(comparison: Comparison, *data: Any) -> None:
            shown.append((len(comparison.initializers), len(lab.initializers.ticked)))
            show(comparison, *data)

        monkeypatch.setattr(setup, "show_preview", recorded)
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        await lab.press("down", "enter")
        await lab.until(lambda: setup.comparison != before and shown)
        assert all(predicted == selected for predicted, selected in shown)


async def test_the_form_describes_every_experiment_it_is_filled_from(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        for _, experiment in EXPERIMENTS:
            lab.app.lab.setup.put(Settings(experiment.comparison))
            await lab.until(partial(describes, lab, experiment))


def describes(lab: Lab, experiment: Experiment) -> bool:
    found = lab.app.lab.setup.comparison
    return found is not None and specs(found.runs()) == specs(experiment.runs())


async def test_the_form_keeps_all_digits_of_a_rate(store: Store) -> None:
    fine = comparison(XAVIER, learning_rate=0.012345678, l2=1.23456789e-5)
    async with open_lab(store) as lab:
        lab.app.lab.setup.put(Settings(fine))
        await lab.until(lambda: (found := lab.app.lab.setup.comparison) and found.base.l2 == fine.base.l2)
        assert lab.app.lab.setup.comparison is not None
        assert specs(lab.app.lab.setup.comparison.runs()) == specs(fine.runs())


@pytest.mark.parametrize("size", [NARROW, WIDE, VERY_WIDE], ids=str)
async def test_choosing_an_experiment_fills_the_form_and_shows_its_claims(store: Store, size: tuple[int, int]) -> None:
    async with open_lab(store, size) as lab:
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        for recipe, experiment in EXPERIMENTS:
            assert f"{recipe.name} {experiment.name}".rstrip() in lab.text
        await lab.press("down", "down", "down", "enter")
        await lab.until(lambda: describes(lab, DEEP.experiments[1]))
        assert "10 runs: 2 initializers × 5 seeds" in lab.setup
        await lab.until(lambda: "Adam: Xavier is above chance" in lab.notifications)
        assert "Press r to train the 10 runs." in lab.notifications


async def test_choosing_a_recipe_names_its_substitute_dataset(store: Store) -> None:
    async with open_lab(store) as lab:
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        await lab.press("down", "down", "down", "down", "down", "down", "enter")
        await lab.until(lambda: "If fashion_mnist is not available, choose mnist" in lab.notifications)


async def test_cancelling_the_choice_of_a_recipe_changes_nothing(store: Store) -> None:
    async with open_lab(store) as lab:
        before = lab.app.lab.setup.comparison
        await lab.press("e")
        await lab.until("Fill the setup from a recipe")
        await lab.press("escape")
        assert lab.is_at_home
        assert lab.app.lab.setup.comparison == before


async def test_r_queues_the_chosen_recipe(real_store: Store, mnist_folder: Path) -> None:
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
    bench.train(with_seeds(LECTURE, 3), with_accuracies(CLAIMED_ACCURACIES))
    async with open_lab(bench.store, WIDE) as lab:
        await ask_for_recipe_file(lab)
        lab.app.screen.query_one(Input).value = str(path.with_name("gone.toml"))
        await lab.until("cannot be read: No such file")
        lab.app.screen.query_one(Input).value = str(path)
        await lab.press("enter")
        await lab.until(lambda: describes(lab, LECTURE.experiments[0]))
        page = await read_claims(lab)
        assert "✓ reproduced My own claim" in page
        assert "✓ reproduced Xavier initialization gives 96.50 %" in page


async def test_claims_are_shown_with_observations_and_verdicts(bench: Bench) -> None:
    bench.train(with_seeds(LECTURE, 3), with_accuracies(CLAIMED_ACCURACIES))
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


async def test_a_claim_with_a_wide_interval_is_undecided(bench: Bench) -> None:
    bench.train(with_seeds(LECTURE, 3), with_accuracies({RANDOM: 0.79, XAVIER: 0.9}, step=0.05))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("lecture-xavier claims: ✓ 1 reproduced, ✗ 2 not reproduced, ? 3 undecided")
        page = await read_claims(lab)
        assert "? undecided Random initialization gives 85.35 %" in page
        assert "observed: 84.00 ± 12.42 %, n 3 the interval crosses a bound" in page


async def test_claims_are_undecided_with_a_single_seed(bench: Bench) -> None:
    bench.train(with_seeds(LECTURE, 1), with_accuracies(CLAIMED_ACCURACIES))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("lecture-xavier claims: ? 6 undecided; v shows them")
        assert "n 1 an interval needs at least two seeds" in await read_claims(lab)


async def test_claims_are_evaluated_when_the_last_run_has_ended(bench: Bench) -> None:
    async with open_lab(bench.store, WIDE) as lab:
        ids = bench.queue(with_seeds(LECTURE, 2))
        for _ in ids:
            await lab.until(lambda: bool(lab.app.lab.active))
            assert "claims:" not in lab.results
            run = bench.begin()
            bench.end(run, with_accuracies(CLAIMED_ACCURACIES)(run))
        await lab.until(lambda: lab.notifications)
        await lab.clear()  # the notification covers the line
        await lab.until("✓ 3 reproduced")
        bench.queue(comparison("zeros", seeds=1))
        await lab.until(lambda: "claims:" not in lab.results)


async def test_each_experiment_is_evaluated_from_its_newest_comparison(bench: Bench) -> None:
    at_chance = {"glorot_normal": 0.11, "he_normal": 0.8}
    bench.train(with_seeds(DEEP, 2, 0), with_accuracies(at_chance))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("he-vs-xavier-deep claims:")
        assert "? 2 undecided" in lab.results
        assert "not run yet" in await read_claims(lab)
        await lab.press("escape")
        bench.train(with_seeds(DEEP, 2, 1), with_accuracies({"glorot_normal": 0.7, "he_normal": 0.9}))
        await lab.until(lambda: lab.notifications)
        await lab.clear()
        await lab.until("✓ 5 reproduced, ✗ 1 not reproduced")
        assert "from comparisons 1, 2 on mnist" in await read_claims(lab)


async def test_additional_initializers_do_not_affect_a_recipes_claims(bench: Bench) -> None:
    more = with_seeds(LECTURE, 2)
    more = more.model_copy(update={"initializers": (*more.initializers, Initializer.parse("he_normal"))})
    bench.train(more, with_accuracies(CLAIMED_ACCURACIES | {"he_normal": 0.97}))
    async with open_lab(bench.store) as lab:
        await lab.until("✓ 3 reproduced")


async def test_on_the_substitute_dataset_only_claims_about_any_dataset_are_evaluated(bench: Bench) -> None:
    ladder = loader.read("ladder")
    accuracies = {str(name): 0.2 + 0.1 * index for index, name in enumerate(ladder.experiments[0].initializers)}
    for _ in bench.queue(with_seeds(ladder.with_datasets(lambda _: "mnist"), 2)):
        run = bench.begin()
        progress.record(bench.store, run, [Evaluated(STEPS // 2, 1.0, 0.5)])  # after the first of its two epochs
        bench.end(run, with_accuracies(accuracies)(run))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("ladder claims: ✓ 1 reproduced, ? 6 undecided")
        page = await read_claims(lab)
        assert "on mnist instead of fashion_mnist: only claims about any dataset are evaluated" in page
        assert "not run on the dataset of the claim" in page


async def test_comparisons_without_a_recipe_and_deleted_runs_are_not_evaluated(bench: Bench) -> None:
    ids = bench.train(with_seeds(LECTURE, 2), with_accuracies(CLAIMED_ACCURACIES))
    bench.train(comparison(XAVIER, "he_normal"), by_initializer)
    async with open_lab(bench.store) as lab:
        await lab.until(lambda: "4 groups" in lab.results)
        assert "claims:" not in lab.results
        assert "lecture-xavier: Random or Xavier" in await read_claims(lab)
        await lab.press("escape")
        edits.delete(bench.store, ids)
        await lab.until(lambda: len(lab.app.lab.runs) == 6)
        assert "No recipe was run in this store yet." in await read_claims(lab)


async def test_a_recipe_file_with_custom_code_is_opened_only_with_consent(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def draw(shape): ...")
    path = tmp_path / "theirs.toml"
    path.write_text(sample_recipe.TEXT.replace('["zeros", ', '["zeros", "import:mine.draw", '))
    async with open_lab(store, WIDE) as lab:
        before = lab.app.lab.setup.comparison
        for answer in ("enter", "down"):
            await ask_for_recipe_file(lab)
            lab.app.screen.query_one(Input).value = str(path)
            await lab.press("enter")
            await lab.until("Trust it and open the recipe")
            question = str(lab.app.screen.query(Static).first().content)
            assert f"import:mine.draw, from {tmp_path / 'mine.py'}" in question
            await lab.press(answer)
            if answer == "enter":  # Cancel is the first answer
                await lab.until(lambda: lab.is_at_home)
                assert lab.app.lab.setup.comparison == before
        await lab.press("enter")
        await lab.until(lambda: lab.app.lab.setup.comparison != before)
        setup = lab.app.lab.setup.comparison
        assert setup is not None
        assert "import:mine.draw" in [str(each) for each in setup.initializers]


async def test_a_recipe_file_that_names_a_module_of_python_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "evil.toml"
    evil = "import:subprocess.Popen:args=touch PWNED,shell=True"
    path.write_text(sample_recipe.TEXT.replace('["zeros", ', f'["zeros", "{evil}", '))
    async with open_lab(store, WIDE) as lab:
        await ask_for_recipe_file(lab)
        lab.app.screen.query_one(Input).value = str(path)
        await lab.press("enter")
        await lab.until(lambda: "'subprocess' is a module of Python" in lab.notifications)
        assert lab.is_at_home
