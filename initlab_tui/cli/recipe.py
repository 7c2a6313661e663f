"""The recipe commands: list, show and run published experiments, and check their claims."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.cli import interrupts, options, output
from initlab_tui.cli.commands import Command, CommandGroup
from initlab_tui.cli.context import chosen_data_dir, chosen_store
from initlab_tui.domain import checkpoint_interval
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import cell, plain
from initlab_tui.services.resources import Resources

if TYPE_CHECKING:
    from initlab_tui.cli.follow_runs import Trained
    from initlab_tui.domain.claims.recipe import Recipe
    from initlab_tui.domain.custom_code import Consent
    from initlab_tui.services.recipe_submission import RecipeSubmission
    from initlab_tui.services.recipes import RecipeResult
    from initlab_tui.store.runs import UnreadableRun

_HELP = "List published experiments, run them, and check whether their claims are reproduced."
app = typer.Typer(cls=CommandGroup, help=_HELP)
Wanted = Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="The name of a recipe, or a recipe file.")]


@app.callback(invoke_without_command=True, help=_HELP)
def listed(context: typer.Context, as_json: options.Json = False) -> None:
    if context.invoked_subcommand is None:
        from initlab_tui.recipes import loader
        from initlab_tui.reports import recipe_documents, recipes

        found = loader.packaged()
        output.report(
            lambda _: recipes.recipes_table(found),
            lambda: {"recipes": [recipe_documents.recipe_document(recipe) for recipe in found]},
            as_json,
        )


@app.command(cls=Command)
def show(
    wanted: Wanted,
    as_toml: Annotated[bool, options.flag("--toml", "Print the recipe file, as a template for a custom one.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show all details of a recipe: source, settings, claims and the last recorded results."""
    from initlab_tui.recipes import loader
    from initlab_tui.reports import recipe_documents, recipes

    if as_toml:
        text = loader.text(wanted)
        print(plain(text) if sys.stdout.isatty() else text, end="")
        return
    recipe = loader.read(wanted)
    output.report(lambda _: recipes.recipe_page(recipe), lambda: recipe_documents.recipe_document(recipe), as_json)


@app.command(cls=Command)
def table() -> None:
    """Print the recorded results of all claims as a Markdown table."""
    from initlab_tui.recipes import loader
    from initlab_tui.reports import recipes

    print(recipes.markdown(loader.packaged()))


@app.command(cls=Command)
def check(
    context: typer.Context,
    wanted: Wanted,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Check a recipe's claims against stored runs, without training.

    The exit code is 0 whatever the verdicts are, even if the recipe has not been run yet.
    """
    from initlab_tui.execution import supervisor
    from initlab_tui.reports import claims, recipe_documents
    from initlab_tui.reports.format import unreadable_message
    from initlab_tui.services import recipes
    from initlab_tui.store.database import Store
    from initlab_tui.store.runs import read_runs

    recipe = recipes.load(wanted)
    opened = Store.open_existing(chosen_store(context, store))
    unreadable: Sequence[UnreadableRun] = ()
    if opened is None:
        result = recipes.without_runs(recipe)
    else:
        with opened:
            supervisor.reap(opened)
            result, unreadable = recipes.evaluate_stored(opened, recipe), read_runs(opened).unreadable
    if unreadable:
        output.hint(unreadable_message(unreadable))
    output.report(lambda _: claims.results_page([result]), lambda: recipe_documents.result_document(result), as_json)
    if result.missing:
        names = ", ".join(experiment.name for experiment in result.missing)
        output.hint(f"Not run yet{': ' if names else ''}{names}. Run the recipe with: initlab-tui recipe run {wanted}")


@app.command(cls=Command)
def run(
    context: typer.Context,
    wanted: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE.toml", help="The name of a recipe, or a recipe file.")
    ] = None,
    every: Annotated[bool, options.flag("--all", "Run every packaged recipe.")] = False,
    seeds: options.RecipeSeeds = None,
    allow_import: Annotated[
        bool, options.flag("--allow-import", "Let the recipe run custom initializers from the current folder.")
    ] = False,
    allow_package: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Let the recipe run custom initializers from an installed package."),
    ] = None,
    device: options.Device = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    checkpoint_every: options.CheckpointEvery = options.CHECKPOINT_EVERY,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Run a recipe and report whether each claim is reproduced; the exit code does not depend on the verdicts."""
    from initlab_tui.cli import follow_runs
    from initlab_tui.domain.custom_code import Consent
    from initlab_tui.recipes import loader
    from initlab_tui.reports import recipe_documents

    if (wanted is None) != every:
        raise InvalidInputError.of("name", "name one recipe, or give --all (see initlab-tui recipe)")
    interrupts.raise_interrupt()
    chosen = loader.packaged() if wanted is None else [loader.read(wanted)]
    chosen = chosen if seeds is None else [recipe.with_seeds(seeds) for recipe in chosen]
    path, folder = chosen_store(context, store), chosen_data_dir(context, data_dir)
    consent = Consent(allow_import, frozenset(allow_package or ()))
    resources = Resources(device, workers, threads, checkpoint_interval.parse(checkpoint_every))
    results, codes = [], []
    for recipe in chosen:
        result, code = _run(recipe, path, folder, resources, consent)
        results.append(result)
        codes.append(code)
        if not as_json:
            output.stdout().print(_page(result, output.stdout().width))
        if code == follow_runs.INTERRUPTED:
            break
    if as_json:
        found = [recipe_documents.result_document(result) for result in results]
        output.print_json({"recipes": found} if every else found[0])
    raise typer.Exit(max(codes))


def _run(
    recipe: Recipe, path: Path, folder: Path | None, resources: Resources, consent: Consent
) -> tuple[RecipeResult, int]:
    """Train a recipe and return its result, and the exit code."""
    from initlab_tui.services import recipe_submission, recipes
    from initlab_tui.store.database import Store

    submission = recipe_submission.prepare_recipe(recipe, folder, Path.cwd(), resources, consent=consent)
    if submission.instead_of:
        using = " ".join(submission.recipe.datasets)
        output.hint(f"{submission.reason}. Using {using} instead: only claims about any dataset are evaluated.")
    trained = _train(submission, path)
    ids = {
        experiment.name: one.comparison_id
        for experiment, one in zip(submission.recipe.experiments, trained, strict=False)
        if one.comparison_id is not None
    }
    with Store.open(path) as opened:
        return recipes.evaluate(opened, submission.recipe, ids, submission.instead_of), _exit_code(trained)


def _train(submission: RecipeSubmission, path: Path) -> list[Trained]:
    """Train the experiments one by one, until one is interrupted."""
    from initlab_tui.cli import follow_runs

    trained: list[Trained] = []
    for experiment, prepared in submission.experiments:
        output.hint(f"recipe {submission.recipe.name}{': ' if experiment.name else ''}{experiment.name}")
        trained.append(follow_runs.train(prepared, path, output.stderr()))
        if trained[-1].interrupted:
            break
    return trained


def _page(result: RecipeResult, width: int) -> RenderableType:
    """Return the leaderboard of each experiment, followed by the claims."""
    from initlab_tui.reports import claims, documents, tables

    parts: list[RenderableType] = []
    for one in result.experiments:
        if one.runs:
            name = f"{result.recipe.name}{': ' if one.experiment.name else ''}{one.experiment.name}"
            parts += [cell(name, "bold"), tables.leaderboard_tables(documents.rows(one.runs), width), Text()]
    return Group(*parts, claims.results_page([result]), Text())


def _exit_code(trained: Sequence[Trained]) -> int:
    """Return 0 if every run has a result; a claim that is not reproduced is a result too."""
    from initlab_tui.cli import follow_runs

    return max(follow_runs.exit_code(one, divergence_is_expected=True) for one in trained)
