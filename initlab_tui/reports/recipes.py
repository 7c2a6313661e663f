"""Recipes as a list, as a page for each, and as a Markdown table of all claims."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.domain.claims.recipe import Experiment, Recipe
from initlab_tui.domain.fields import hidden_text
from initlab_tui.reports.claims import VERDICTS, ClaimRow, claims_list, recorded_rows
from initlab_tui.reports.escape import cell, plain
from initlab_tui.reports.format import SETTING, initializer_name, short
from initlab_tui.reports.tables import table

_COLUMNS = ("recipe", "claim", "kind", "expected", "measured here", "n", "verdict", "on")


def recipes_table(recipes: Iterable[Recipe]) -> RenderableType:
    """Return the list of recipes with the number of their runs and their last results."""
    headings = ("recipe", "title", "source", "runs", "last measured")
    made = table(*headings, right=["runs"], folded=["title", "source", "last measured"])
    for recipe in recipes:
        runs = sum(1 for _ in recipe.specs())
        source = f"{recipe.source.author} {recipe.source.year}"
        made.add_row(cell(recipe.name, "bold"), *map(cell, (recipe.title, source, runs, _last_results(recipe))))
    return made


def _last_results(recipe: Recipe) -> str:
    """Return the recorded verdicts, such as `2 reproduced, 1 not reproduced`."""
    if not recipe.measured:
        return "never"
    verdicts = [figure.verdict for figure in recipe.measured.figures]
    return ", ".join(f"{verdicts.count(one)} {text}" for one, text in VERDICTS.items() if one in verdicts)


def recipe_page(recipe: Recipe) -> RenderableType:
    """Return all details of a recipe: source, settings, and each claim with its last results."""
    facts = table("", "", folded=[""])
    facts.add_row(cell("source", "dim"), cell(recipe.source))
    facts.add_row(cell("claim", "dim"), cell(recipe.claim))
    if recipe.notes:
        facts.add_row(cell("notes", "dim"), cell(" ".join(recipe.notes.split())))
    for experiment in recipe.experiments:
        for name, value in _settings(experiment):
            facts.add_row(cell(f"{experiment.name} {name}".strip(), "dim"), cell(value))
    claims = claims_list(recorded_rows(recipe), "last measured")
    return Group(cell(f"{recipe.name}: {recipe.title}", "bold"), facts, Text(), claims, *_measured_with(recipe))


def _settings(experiment: Experiment) -> Iterable[tuple[str, str]]:
    base = experiment.base.model_dump(mode="json")
    lists = {
        "network": experiment.networks,
        "hidden": [hidden_text(widths) for widths in experiment.hidden],
        "activation": experiment.activations,
        "optimizer": experiment.optimizers,
        "learning_rate": experiment.learning_rates,
    }
    compared = {name: " ".join(map(str, values)) for name, values in lists.items() if values}
    text = [label.format(compared.get(name) or short(base[name])) for name, label in SETTING.items()]
    yield "settings", " · ".join([base["dataset"], *text, *([f"l2 {base['l2']:g}"] if base["l2"] else [])])
    yield "initializers", ", ".join(map(initializer_name, experiment.initializers))
    yield "seeds", " ".join(map(str, experiment.seeds))


def _measured_with(recipe: Recipe) -> list[Text]:
    last = recipe.measured
    return [cell(f"last measured {last.date} on {last.data} with {last.versions}", "dim")] if last else []


def markdown(recipes: Iterable[Recipe]) -> str:
    """Return the claims of all recipes with recorded results as a Markdown table."""
    lines: list[Sequence[str]] = [_COLUMNS, ("---",) * len(_COLUMNS)]
    for recipe in recipes:
        if recipe.measured:
            measured_on = f"{recipe.measured.data}, {recipe.measured.date}"
            lines += [(f"`{recipe.name}`", *_cells(row), measured_on) for row in recorded_rows(recipe)]
    return "\n".join(f"| {' | '.join(_in_markdown(text) for text in line)} |" for line in lines)


def _cells(row: ClaimRow) -> tuple[str, ...]:
    verdict = f"**{VERDICTS[row.verdict]}**" if row.verdict else "–"
    return row.statement, row.kind, row.expected, row.observed, str(row.seeds), verdict


def _in_markdown(text: str) -> str:
    return plain(" ".join(text.split())).replace("|", "\\|")
