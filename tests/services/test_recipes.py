"""Evaluating recipes from stored runs: which runs count, and for which claims."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from initlab_tui.data.arrays import Dataset
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.initializer import Initializer
from initlab_tui.recipes import loader
from initlab_tui.services import recipe_submission, recipes
from initlab_tui.services.recipes import RecipeResult
from initlab_tui.store import edits, queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.sample_recipe import TEXT
from tests.tui.conftest import Bench, Result

LECTURE = loader.read("lecture-xavier").with_seeds("2")
DEEP = loader.read("he-vs-xavier-deep").with_seeds("2")
LADDER = loader.read("ladder").with_seeds("2")
CLAIMED_ACCURACIES = {"random_normal": 0.853, "glorot_uniform": 0.964, "he_normal": 0.96, "glorot_normal": 0.11}


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


def train(
    bench: Bench,
    comparison: Comparison,
    accuracies: Mapping[str, float] = CLAIMED_ACCURACIES,
    origin: RecipeOrigin | None = None,
) -> int:
    """Record a comparison with the accuracy of each initializer, plus 0.001 for each seed, and return its id."""
    requirements = Requirements("cpu", 1, None, Path("/"))
    ids = queue.enqueue(bench.store, comparison, list(comparison.runs()), requirements, origin)
    for _ in ids:
        run = bench.begin()
        bench.end(run, Result(accuracies[run.spec.initializer.name] + 0.001 * run.seed))
    (number,) = {run.comparison_id for run in list_runs(bench.store, ids)}
    assert number is not None
    return number


def verdicts(result: RecipeResult) -> list[str]:
    return [claim.verdict for claim in result.claims]


def test_a_recipe_is_evaluated_from_the_newest_comparison_with_all_of_its_groups(bench: Bench) -> None:
    experiment = LECTURE.experiments[0].comparison
    train(bench, experiment, {"random_normal": 0.1, "glorot_uniform": 0.1})
    newest = train(bench, experiment)
    train(bench, experiment.model_copy(update={"initializers": experiment.initializers[:1]}))
    result = recipes.evaluate_stored(bench.store, LECTURE)
    assert result.comparisons == (newest,)
    assert (len(result.runs), result.missing, result.on_substitute) == (4, (), False)
    assert verdicts(result)[:2] == ["reproduced", "reproduced"]


def test_a_recipe_just_run_and_the_same_runs_stored_give_the_same_result(bench: Bench) -> None:
    number = train(bench, LECTURE.experiments[0].comparison)
    just_run = recipes.evaluate(bench.store, LECTURE, {"": number})
    assert recipes.evaluate_stored(bench.store, LECTURE) == just_run
    (from_all,) = recipes.all_results(bench.store, list_runs(bench.store))
    assert from_all.claims == just_run.claims


def test_further_groups_of_a_comparison_do_not_count(bench: Bench) -> None:
    experiment = LECTURE.experiments[0].comparison
    more = (*experiment.initializers, Initializer.parse("he_normal"))
    train(bench, experiment.model_copy(update={"initializers": more}))
    assert len(recipes.evaluate_stored(bench.store, LECTURE).runs) == 4


def test_experiments_without_runs_are_missing_and_their_claims_undecided(bench: Bench) -> None:
    number = train(bench, DEEP.experiments[0].comparison)
    result = recipes.evaluate_stored(bench.store, DEEP)
    assert [experiment.name for experiment in result.missing] == ["adam"]
    assert result.comparisons == (number,)
    assert [claim.reason for claim in result.claims][-2:] == ["not run yet", "not run yet"]


def test_a_recipe_that_was_not_run_has_no_runs_and_no_verdict(bench: Bench) -> None:
    result = recipes.evaluate_stored(bench.store, DEEP)
    assert (result.runs, result.comparisons, set(verdicts(result))) == ((), (), {"undecided"})
    assert recipes.without_runs(DEEP) == result


def test_runs_on_the_substitute_count_only_without_runs_on_the_dataset_itself(bench: Bench) -> None:
    accuracies = {initializer.name: 0.1 * index for index, initializer in enumerate(LADDER.experiments[0].initializers)}
    substitute = train(bench, LADDER.with_datasets(lambda _: "mnist").experiments[0].comparison, accuracies)
    result = recipes.evaluate_stored(bench.store, LADDER)
    assert (result.comparisons, result.instead_of) == ((substitute,), ("fashion_mnist",))
    assert result.claims[1].reason == "not run on the dataset of the claim"
    on_dataset = train(bench, LADDER.experiments[0].comparison, accuracies)
    result = recipes.evaluate_stored(bench.store, LADDER)
    assert (result.comparisons, result.instead_of) == ((on_dataset,), ())


def test_all_results_lists_the_last_run_first_and_can_be_limited_to_one_comparison(bench: Bench) -> None:
    lecture = train(bench, LECTURE.experiments[0].comparison)
    train(bench, DEEP.experiments[0].comparison)
    runs = list_runs(bench.store)
    assert [result.recipe.name for result in recipes.all_results(bench.store, runs)] == [
        "he-vs-xavier-deep",
        "lecture-xavier",
    ]
    assert [result.recipe.name for result in recipes.all_results(bench.store, runs, lecture)] == ["lecture-xavier"]


def test_a_recipe_file_is_evaluated_like_a_packaged_recipe(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("epochs = 2", "epochs = 1"))
    mine: Recipe = recipes.load(str(path))
    train(bench, mine.experiments[0].comparison, {"zeros": 0.1, "he_normal": 0.9})
    assert verdicts(recipes.evaluate_stored(bench.store, mine)) == ["reproduced"]
    assert recipes.all_results(bench.store, list_runs(bench.store)) == []
    (result,) = recipes.all_results(bench.store, list_runs(bench.store), custom=[mine])
    assert result.recipe.name == "mine"


def test_a_comparison_trained_for_the_recipe_is_preferred_to_a_newer_one(bench: Bench) -> None:
    experiment = LECTURE.experiments[0].comparison
    other_version = RecipeOrigin(LECTURE.name, "0" * 16)
    cases: list[tuple[list[RecipeOrigin | None], int]] = [
        ([None, None], 1),
        ([other_version, None, RecipeOrigin("mine", LECTURE.origin.version)], 0),
        ([LECTURE.origin, other_version, None], 0),
    ]
    for origins, preferred in cases:
        numbers = [train(bench, experiment, origin=origin) for origin in origins]
        assert recipes.evaluate_stored(bench.store, LECTURE).comparisons == (numbers[preferred],)
        edits.delete(bench.store, [run.id for run in list_runs(bench.store)])


def test_a_comparison_has_a_recipes_origin_if_it_has_all_groups_of_an_experiment() -> None:
    sgd, adam = (experiment.comparison for experiment in DEEP.experiments)
    assert recipes.origin_of(sgd, DEEP) == recipes.origin_of(adam, DEEP) == DEEP.origin
    more = (*sgd.initializers, Initializer.parse("zeros"))
    assert recipes.origin_of(sgd.model_copy(update={"initializers": more, "seeds": (7,)}), DEEP) == DEEP.origin
    assert recipes.origin_of(sgd.model_copy(update={"initializers": sgd.initializers[:1]}), DEEP) is None
    assert recipes.origin_of(LADDER.with_datasets(lambda _: "mnist").experiments[0].comparison, LADDER) == LADDER.origin


def test_the_version_of_a_recipe_changes_with_its_claims_but_not_with_its_seeds() -> None:
    assert LECTURE.with_seeds("9").origin == LECTURE.origin
    stricter = LECTURE.claims[0].model_copy(update={"tolerance": 0.01})
    changed = LECTURE.model_copy(update={"claims": (stricter, *LECTURE.claims[1:])})
    assert changed.origin.version != LECTURE.origin.version


def test_a_prepared_recipe_carries_its_origin(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TEXT)
    mine = recipes.load(str(path))
    (submission,) = recipe_submission.prepare_recipe(mine, None, tmp_path).submissions
    assert submission.recipe == mine.origin


def test_deleted_runs_do_not_count(bench: Bench) -> None:
    ids = bench.train(LECTURE.experiments[0].comparison, lambda _: Result(0.9))
    edits.delete(bench.store, ids)
    assert recipes.evaluate_stored(bench.store, LECTURE).runs == ()


def test_every_experiment_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    second = '[[experiments]]\nname = "b"\ninitializers = ["zeros"]\n[experiments.base]\nbatch_size = 5000\n'
    first = '[[experiments]]\nname = "a"\ninitializers = ["zeros"]\nseeds = 2\n[experiments.base]\nhidden = "16"\n'
    path.write_text(
        TEXT.replace('initializers = ["zeros", "he_normal"]\nseeds = 3\n', "")
        .replace('[base]\ndataset = "digits"\nhidden = "16x3"\nepochs = 2\n', first + second)
        .replace('group = "he_normal"\nagainst = "zeros"', 'group = { experiment = "a" }')
    )
    with pytest.raises(InvalidInputError, match="batch_size must be <= 1437"):
        recipe_submission.prepare_recipe(recipes.load(str(path)), None, tmp_path)


def test_the_data_of_a_recipe_is_read_once(mnist_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from initlab_tui.data import arrays
    from initlab_tui.services import dataset_facts

    dataset_facts._read.cache_clear()
    loaded: list[str] = []
    load = arrays.load

    def counting(name: str, file: Path | None) -> Dataset:
        loaded.append(name)
        return load(name, file)

    monkeypatch.setattr(arrays, "load", counting)
    submission = recipe_submission.prepare_recipe(DEEP, mnist_folder, Path("/"))
    assert [len(one.specs) for one in submission.submissions] == [4, 4]
    assert loaded == ["mnist"]
