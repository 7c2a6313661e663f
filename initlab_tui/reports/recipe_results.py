"""The claims of the recipes that a store has runs of: in a line, and as a page."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.domain.claims.evaluation import ClaimResult
from initlab_tui.reports.claims import BOUNDS, KINDS, MARKS, STYLES, VERDICTS, expected, observed, seeds_of
from initlab_tui.reports.format import cell, plain
from initlab_tui.reports.tables import table
from initlab_tui.services.recipe_results import RecipeResult

NONE_YET = "No comparison here has all groups of a recipe. Back in the lab e chooses a recipe, and r runs it."


def tally(claimed: RecipeResult) -> Text:
    """`he-vs-xavier-deep claims: ✓ 4 reproduced, ✗ 1 not reproduced, ? 1 not decided`."""
    verdicts = [one.verdict for one in claimed.judged]
    counts = [
        Text(f"{MARKS[verdict]} {verdicts.count(verdict)} {words}", STYLES[verdict])
        for verdict, words in VERDICTS.items()
        if verdict in verdicts
    ]
    return Text.assemble(plain(f"{claimed.recipe.name} claims: "), Text(", ").join(counts))


def page(found: Sequence[RecipeResult]) -> RenderableType:
    """Each recipe with its claims beside what came of them."""
    parts: list[RenderableType] = []
    for claimed in found:
        recipe = claimed.recipe
        parts += [cell(f"{recipe.name}: {recipe.title}", "bold"), cell(recipe.claim), cell(recipe.source, "dim")]
        parts += [cell(_runs(claimed), "dim"), Text(), _claims(claimed.judged), Text(), tally(claimed), Text()]
    return Group(*parts, cell(BOUNDS, "dim")) if parts else Text(NONE_YET)


def _runs(claimed: RecipeResult) -> str:
    many = "s" if len(claimed.comparisons) > 1 else ""
    instead = (
        ", not on the recipe's own: only what is claimed of any dataset is judged" if claimed.on_substitute else ""
    )
    datasets = " ".join(claimed.recipe.datasets)
    return f"judged by comparison{many} {', '.join(map(str, claimed.comparisons))} on {datasets}{instead}"


def _claims(judged: Sequence[ClaimResult]) -> RenderableType:
    """Verdicts to the left, so that they are found at a glance in a narrow terminal too."""
    made = table("", "", folded=[""])
    for one in judged:
        made.add_row(cell(f"{MARKS[one.verdict]} {VERDICTS[one.verdict]}", STYLES[one.verdict]), _outcome(one))
    return made


def _outcome(one: ClaimResult) -> Text:
    """The claim, and below it what was claimed beside what was observed."""
    claimed = one.claim
    said = f"{KINDS[claimed.kind]}: {expected(claimed)} · observed: {observed(one)}, n {seeds_of(one)}"
    lines = [
        cell(claimed.statement, "bold"),
        cell(said),
        *([cell(one.reason, STYLES[one.verdict])] if one.reason else []),
    ]
    return Text("\n").join(lines)
