"""The recipe commands: published experiments, listed, shown, and run against what they claim."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.cli import context as here
from initlab_tui.cli import options
from initlab_tui.domain.claims.evaluation import ClaimResult, RunMetrics, evaluate_claims
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.recipes import loader
from initlab_tui.reports import claims, documents, tables
from initlab_tui.reports.format import cell

if TYPE_CHECKING:
    from initlab_tui.cli.follow_runs import Trained

app = typer.Typer(help="List published experiments, or run them and hold them against what they claim.")
Wanted = Annotated[str, typer.Argument(metavar="NAME|FILE.toml", help="A recipe by name, or your own file.")]


@dataclass(frozen=True)
class RecipeRun:
    """What came of a recipe: its parts as they were trained, and its claims judged.

    `instead_of` are the datasets that could not be had, where others stood in.
    """

    recipe: Recipe
    trained: tuple[Trained, ...]
    judged: tuple[ClaimResult, ...]
    instead_of: tuple[str, ...]

    @property
    def interrupted(self) -> bool:
        return any(one.interrupted for one in self.trained)


@app.callback(invoke_without_command=True)
def listed(context: typer.Context, as_json: options.Json = False) -> None:
    """List published experiments, or run them and hold them against what they claim."""
    if context.invoked_subcommand is None:
        found = loader.packaged()
        here.report(
            lambda _: claims.recipes_table(found),
            lambda: {"recipes": [documents.recipe_document(recipe) for recipe in found]},
            as_json,
        )


@app.command()
def show(
    wanted: Wanted,
    as_toml: Annotated[bool, typer.Option("--toml", help="Print its file, to begin one of your own from.")] = False,
    as_json: options.Json = False,
) -> None:
    """Show a recipe in full: source, claim, settings, what is expected, and what was measured last."""
    if as_toml:
        print(loader.text(wanted), end="")
        return
    recipe = loader.read(wanted)
    here.report(lambda _: claims.recipe_page(recipe), lambda: documents.recipe_document(recipe), as_json)


@app.command()
def table() -> None:
    """Print the table of claims in Markdown, from the figures that the recipes keep."""
    print(claims.markdown(loader.packaged()))


@app.command()
def run(
    context: typer.Context,
    wanted: Annotated[
        str | None, typer.Argument(metavar="NAME|FILE.toml", help="A recipe by name, or your own file.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every recipe that comes with the program.")] = False,
    seeds: options.RecipeSeeds = None,
    device: options.Device = None,
    workers: options.Workers = None,
    threads: options.Threads = None,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Train a recipe's comparisons and say of each claim whether it was reproduced; 0 whatever is said."""
    if (wanted is None) != every:
        raise InvalidInputError.of("name", "name one recipe, or give --all (see initlab-tui recipe)")
    chosen = loader.packaged() if wanted is None else [loader.read(wanted)]
    chosen = chosen if seeds is None else [recipe.with_seeds(seeds) for recipe in chosen]
    path, folder = here.store_path(context, store), here.data_dir(context, data_dir)
    place = options.Resources(device, workers, threads)
    cooked: list[RecipeRun] = []
    for recipe in chosen:
        cooked.append(_cook(recipe, path, folder, place))
        if not as_json:
            here.print_page(functools.partial(_page, cooked[-1]))
        if cooked[-1].interrupted:
            break
    if as_json:
        found = [_document(one) for one in cooked]
        print(documents.dump({"recipes": found} if every else found[0]))
    raise typer.Exit(_exit_code(cooked))


def _cook(recipe: Recipe, path: Path, folder: Path | None, place: options.Resources) -> RecipeRun:
    from initlab_tui.cli import follow_runs  # what listing and showing do not need
    from initlab_tui.services import submit
    from initlab_tui.services.run_metrics import observations
    from initlab_tui.store.database import Store

    served, instead_of = _on_what_is_here(recipe, folder)
    where = submit.Resources(place.device, place.workers, place.threads)
    for part in served.experiments[1:]:  # the first is checked when it is trained; nothing is written for a bad second
        submit.prepare(part.comparison, folder, Path.cwd(), where)
    trained: list[Trained] = []
    seen: list[RunMetrics] = []
    for part in served.experiments:
        here.hint(f"recipe {recipe.name}{': ' if part.name else ''}{part.name}")
        submission = submit.prepare(part.comparison, folder, Path.cwd(), where)
        trained.append(follow_runs.train(submission, path, here.err()))
        with Store.open(path) as opened:
            seen += observations(opened, part.name, trained[-1].runs)
        if trained[-1].interrupted:
            break
    return RecipeRun(
        served, tuple(trained), tuple(evaluate_claims(served, seen, on_substitute=bool(instead_of))), instead_of
    )


def _on_what_is_here(recipe: Recipe, folder: Path | None) -> tuple[Recipe, tuple[str, ...]]:
    """The recipe on its own datasets or, where one cannot be had, on what stands in for them."""
    from initlab_tui.services.dataset_facts import dataset_facts

    other = recipe.substitute_dataset
    if other is None:
        return recipe, ()
    try:
        for dataset in recipe.datasets:
            dataset_facts(dataset, folder)
    except InvalidInputError as error:
        here.hint(f"{error}. Meanwhile {other} stands in: only what is expected of any dataset is judged.")
        return recipe.on(lambda _: other), recipe.datasets
    return recipe, ()


def _page(cooked: RecipeRun, width: int | None) -> RenderableType:
    parts: list[RenderableType] = []
    for part, trained in zip(cooked.recipe.experiments, cooked.trained, strict=False):
        name = f"{cooked.recipe.name}{': ' if part.name else ''}{part.name}"
        parts += [cell(name, "bold"), tables.leaderboard_tables(documents.rows(trained.runs), width), Text()]
    if cooked.instead_of:
        parts.append(cell(f"On {' '.join(cooked.recipe.datasets)} instead of {' '.join(cooked.instead_of)}:"))
    return Group(*parts, claims.claims_table(cooked.judged), Text())


def _document(cooked: RecipeRun) -> dict[str, Any]:
    compared = [
        {"experiment": part.name}
        | documents.comparison_document(trained.runs[0].comparison_id, part.comparison, trained.runs)
        for part, trained in zip(cooked.recipe.experiments, cooked.trained, strict=False)
    ]
    runs = [run for trained in cooked.trained for run in trained.runs]
    # As a comparison's own document, of all parts together: `comparison` is then the first part's.
    whole = documents.comparison_document(runs[0].comparison_id, cooked.recipe.experiments[0].comparison, runs)
    return whole | {
        "recipe": cooked.recipe.name,
        "datasets": list(cooked.recipe.datasets),
        "instead_of": list(cooked.instead_of),
        "comparisons": compared,
        "claims": [documents.claim_document(judged) for judged in cooked.judged],
    }


def _exit_code(cooked: Sequence[RecipeRun]) -> int:
    """0 when every run came to a result: a claim that fails is one."""
    from initlab_tui.cli import follow_runs

    codes = [follow_runs.exit_code(trained, divergence_is_expected=True) for one in cooked for trained in one.trained]
    return max(codes)
