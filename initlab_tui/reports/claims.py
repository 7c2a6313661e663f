"""Claims and their results as rows of text, from which the command line, the lab, JSON and Markdown are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from initlab_tui.domain.claims.evaluation import ClaimResult
from initlab_tui.domain.claims.recipe import Claim, Figure, Recipe, Verdict
from initlab_tui.domain.statistics.intervals import Estimate
from initlab_tui.reports.escape import cell, plain
from initlab_tui.reports.format import number
from initlab_tui.reports.tables import table

if TYPE_CHECKING:
    from initlab_tui.services.recipes import RecipeResult

VERDICTS: dict[Verdict, str] = {
    "reproduced": "reproduced",
    "not_reproduced": "not reproduced",
    "undecided": "undecided",
}
MARKS: dict[Verdict, str] = {"reproduced": "✓", "not_reproduced": "✗", "undecided": "?"}
STYLES: dict[Verdict, str] = {"reproduced": "green", "not_reproduced": "red", "undecided": "yellow"}
BOUNDS = (
    "The 95 % interval over the seeds decides: reproduced if all of it lies within the expected bounds, not "
    "reproduced if all of it lies outside. If a source gives no number, the recipe sets the bounds, and its notes "
    "explain them (initlab-tui recipe show NAME)."
)


@dataclass(frozen=True)
class ClaimRow:
    """A claim and its result as text; `verdict` is None and `observed` a dash if it was never evaluated."""

    statement: str
    kind: str
    source: str
    expected: str
    observed: str
    seeds: int
    verdict: Verdict | None
    reason: str = ""


def result_row(result: ClaimResult) -> ClaimRow:
    """Return the row of a claim that was evaluated with stored runs."""
    claim = result.claim
    values = (expected(claim), observed(result), result.seeds, result.verdict, result.reason)
    return ClaimRow(claim.statement, claim.kind, claim.source, *values)


def recorded_rows(recipe: Recipe) -> list[ClaimRow]:
    """Return the rows of a recipe's claims with the results recorded in its file."""
    figures: Sequence[Figure | None] = recipe.measured.figures if recipe.measured else [None] * len(recipe.claims)
    return [
        ClaimRow(
            claim.statement,
            claim.kind,
            claim.source,
            expected(claim),
            *((figure.observed, figure.n, figure.verdict) if figure else ("–", 0, None)),
        )
        for claim, figure in zip(recipe.claims, figures, strict=True)
    ]


def claims_list(rows: Iterable[ClaimRow], heading: str = "observed") -> RenderableType:
    """Return the list of claims, with the verdicts first so that they are visible in narrow terminals too."""
    made = table("", "", folded=[""])
    for row in rows:
        style = STYLES[row.verdict] if row.verdict else "dim"
        words = f"{MARKS[row.verdict]} {VERDICTS[row.verdict]}" if row.verdict else "not run yet"
        result = f" · {heading}: {row.observed}, n {row.seeds}" if row.seeds else ""
        lines = [
            cell(row.statement, "bold"),
            cell(f"{row.kind} ({row.source}): {row.expected}{result}"),
            *([cell(row.reason, style)] if row.reason else []),
        ]
        made.add_row(cell(words, style), Text("\n").join(lines))
    return made


def results_page(results: Sequence[RecipeResult]) -> RenderableType:
    """Return each recipe with its claims and their results."""
    parts = [part for result in results for part in (*_result_parts(result), Text())]
    return Group(*parts, cell(BOUNDS, "dim"))


def _result_parts(result: RecipeResult) -> Iterable[RenderableType]:
    recipe = result.recipe
    yield cell(f"{recipe.name}: {recipe.title}", "bold")
    yield cell(recipe.claim)
    yield cell(recipe.source, "dim")
    yield cell(_evaluated_from(result), "dim")
    yield Text()
    yield claims_list(map(result_row, result.claims))
    yield Text()
    yield tally(result)


def _evaluated_from(result: RecipeResult) -> str:
    """Return the source of a result, such as `from comparisons 1, 2 on mnist; not run yet: adam`."""
    datasets = " ".join(result.recipe.datasets)
    if not result.comparisons:
        return "not run yet"
    plural = "s" if len(result.comparisons) > 1 else ""
    text = f"from comparison{plural} {', '.join(map(str, result.comparisons))} on {datasets}"
    if result.on_substitute:
        text += f" instead of {' '.join(result.instead_of)}: only claims about any dataset are evaluated"
    if result.missing:
        text += f"; not run yet: {', '.join(experiment.name for experiment in result.missing)}"
    return text


def tally(result: RecipeResult) -> Text:
    """Return the number of claims with each verdict, such as `zero-symmetry claims: ✓ 4 reproduced`."""
    verdicts = [claim.verdict for claim in result.claims]
    counts = [
        Text(f"{MARKS[verdict]} {verdicts.count(verdict)} {words}", STYLES[verdict])
        for verdict, words in VERDICTS.items()
        if verdict in verdicts
    ]
    return Text.assemble(plain(f"{result.recipe.name} claims: "), Text(", ").join(counts))


def expected(claim: Claim) -> str:
    """Return the bounds of a claim as text, such as `85.35 ± 2.00 %` or `at least +10.00 points ahead`."""
    if claim.order:
        by = f" by more than {_value(claim, claim.tolerance, True)}{_unit(claim, True)}" if claim.tolerance else ""
        text = f"none of {len(claim.order)} worse than the one before{by}"
    elif claim.equals is not None:
        is_difference = claim.against is not None
        value = _value(claim, claim.equals, is_difference, "+" if is_difference else "")
        text = f"{value} ± {_value(claim, claim.tolerance or 0.0, True)}{_unit(claim, is_difference)}"
    else:
        text = _bounds(claim)
    if claim.epoch is None:
        return text
    return f"{text} after epoch {claim.epoch}" if claim.epoch else f"{text} before the first step"


def _bounds(claim: Claim) -> str:
    """Return `at least 30.00 %`, or for a difference `from -1.00 to +1.00 points ahead`."""
    is_difference = claim.against is not None
    if is_difference and claim.at_least == 0 and claim.at_most is None:
        return "ahead"
    low, high = (
        None if bound is None else _value(claim, bound, is_difference, "+" if is_difference else "")
        for bound in (claim.at_least, claim.at_most)
    )
    text = f"from {low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
    return f"{text}{_unit(claim, is_difference)}{' ahead' if is_difference else ''}"


def observed(result: ClaimResult) -> str:
    """Return the observed mean with its 95 % interval, or the differences between groups; a dash without runs."""
    claim = result.claim
    if not result.seeds:
        return "–"
    is_difference = bool(claim.against or claim.order)
    return ", ".join(_interval(claim, each, is_difference) for each in result.observed) + _unit(claim, is_difference)


def _interval(claim: Claim, each: Estimate, is_difference: bool) -> str:
    if each.mean is None:
        return "–"
    half = "" if each.half_width is None else f" ± {_value(claim, each.half_width, True)}"
    return _value(claim, each.mean, is_difference, "+" if is_difference else "") + half


def _is_accuracy(claim: Claim) -> bool:
    return claim.observable == "test_accuracy"


def _unit(claim: Claim, is_difference: bool) -> str:
    if not _is_accuracy(claim):
        return ""
    return " points" if is_difference else " %"


def _value(claim: Claim, value: float, is_difference: bool = False, sign: str = "") -> str:
    if _is_accuracy(claim):
        return f"{100 * value:{sign}.2f}"
    return f"{value:{sign}.2g}" if is_difference else number(value)
