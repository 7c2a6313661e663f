"""Recipes and what came of them: in words, as tables, and as the README's table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.text import Text

from initlab_tui.domain.claims.evaluation import ClaimResult
from initlab_tui.domain.claims.recipe import Claim, Experiment, Figure, Recipe
from initlab_tui.domain.fields import hidden_text
from initlab_tui.domain.statistics.intervals import Estimate
from initlab_tui.reports.format import SETTING, cell, initializer_name, number, plain, short
from initlab_tui.reports.tables import table

VERDICTS = {"reproduced": "reproduced", "not_reproduced": "not reproduced", "undecided": "not decided"}
MARKS = {"reproduced": "✓", "not_reproduced": "✗", "undecided": "?"}
KINDS = {"published": "claimed by the source", "measured": "claimed by this project"}
BOUNDS = (
    "Where a claim is in words, its bounds (at least, at most, from … to) are set by the recipe: see its notes "
    "(initlab-tui recipe show NAME)."
)
STYLES = {"reproduced": "green", "not_reproduced": "red", "undecided": "yellow"}


def expected(claim: Claim) -> str:
    """What is claimed, with the tolerance that it is held to."""
    if claim.order:
        by = f" by more than {_difference(claim, claim.tolerance)}" if claim.tolerance else ""
        said = f"none of {len(claim.order)} behind the one before{by}"
    elif claim.equals is not None:
        unit = " points" if claim.against and _is_share(claim) else ""
        sign = "+" if claim.against else ""
        value = _value(claim, claim.equals, bool(claim.against), sign)
        said = f"{value} ± {_value(claim, claim.tolerance or 0.0, True)}{unit}"
        said += " %" if _is_share(claim) and not unit else ""
    else:
        said = _bounds(claim)
    if claim.epoch is None:
        return said
    return f"{said} after epoch {claim.epoch}" if claim.epoch else f"{said} before the first step"


def _bounds(claim: Claim) -> str:
    """`at least 30.00 %`, or of a difference `from -1.00 to +1.00 points ahead`."""
    apart, share = claim.against is not None, _is_share(claim)
    if apart and claim.at_least == 0 and claim.at_most is None:
        return "ahead"
    low, high = (
        None if bound is None else _value(claim, bound, apart, "+" if apart else "")
        for bound in (claim.at_least, claim.at_most)
    )
    unit = (" points" if apart else " %") if share else ""
    said = f"from {low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"
    return f"{said}{unit}{' ahead' if apart else ''}"


def observed(judged: ClaimResult) -> str:
    """What was observed: the mean with its 95 % interval, or the differences' between groups."""
    claim = judged.claim
    if not seeds_of(judged):
        return "–"
    if claim.against or claim.order:
        unit = " points" if _is_share(claim) else ""
        return ", ".join(_interval(claim, each, signed=True) for each in judged.observed) + unit
    unit = " %" if _is_share(claim) else ""
    return _interval(claim, judged.observed[0]) + unit


def _interval(claim: Claim, each: Estimate, *, signed: bool = False) -> str:
    if each.mean is None:
        return "–"
    sign = "+" if signed else ""
    half = "" if each.half_width is None else f" ± {_value(claim, each.half_width, True)}"
    return _value(claim, each.mean, signed, sign) + half


def _is_share(claim: Claim) -> bool:
    return claim.observable == "test_accuracy"


def _value(claim: Claim, value: float, is_difference: bool = False, sign: str = "") -> str:
    if _is_share(claim):
        return f"{100 * value:{sign}.2f}"
    return f"{value:{sign}.2g}" if is_difference else number(value)


def _difference(claim: Claim, value: float) -> str:
    return _value(claim, value, True) + (" points" if _is_share(claim) else "")


def verdict(judged: ClaimResult) -> str:
    """`reproduced`, `not reproduced`, or `not decided` with the reason."""
    return VERDICTS[judged.verdict] + (f" ({judged.reason})" if judged.reason else "")


def seeds_of(judged: ClaimResult) -> int:
    """Over how many seeds it was judged."""
    return min((each.n for each in judged.observed), default=0)


def claims_table(judged: Sequence[ClaimResult]) -> RenderableType:
    """Each claim beside what came of it."""
    made = table("", "claim", "kind", "expected", "observed", "n", "verdict", right=["n"], folded=_FOLDED)
    for one in judged:
        style = STYLES[one.verdict]
        claimed = one.claim
        made.add_row(
            cell(MARKS[one.verdict], style),
            *(
                cell(words)
                for words in (claimed.statement, claimed.kind, expected(claimed), observed(one), seeds_of(one))
            ),
            cell(verdict(one), style),
        )
    return Stack(made, cell(f"published: claimed by the source; measured: by this project. {BOUNDS}", "dim"))


_FOLDED = ("claim", "expected", "observed", "verdict", "what it is", "source", "last measured")


def recipes_table(recipes: Iterable[Recipe]) -> RenderableType:
    made = table("recipe", "what it is", "source", "runs", "last measured", right=["runs"], folded=_FOLDED)
    for recipe in recipes:
        runs = sum(1 for _ in recipe.specs())
        source = f"{recipe.source.author} {recipe.source.year}"
        made.add_row(cell(recipe.name, "bold"), *map(cell, (recipe.title, source, runs, _last(recipe))))
    return made


def _last(recipe: Recipe) -> str:
    """`2 reproduced, 1 not reproduced`."""
    if not recipe.measured:
        return "never"
    verdicts = [figure.verdict for figure in recipe.measured.figures]
    return ", ".join(f"{verdicts.count(one)} {words}" for one, words in VERDICTS.items() if one in verdicts)


def recipe_page(recipe: Recipe) -> RenderableType:
    """A recipe in full: source, claim, settings, claims, and what was measured last."""
    facts = table("", "", folded=[""])
    facts.add_row(cell("source", "dim"), cell(recipe.source))
    facts.add_row(cell("claim", "dim"), cell(recipe.claim))
    if recipe.notes:
        facts.add_row(cell("notes", "dim"), cell(" ".join(recipe.notes.split())))
    for part in recipe.experiments:
        for name, value in _settings(part):
            facts.add_row(cell(f"{part.name} {name}".strip(), "dim"), cell(value))
    return Stack(cell(f"{recipe.name}: {recipe.title}", "bold"), facts, Text(), _expectations(recipe), *_when(recipe))


def _settings(part: Experiment) -> Iterable[tuple[str, str]]:
    base = part.base.model_dump(mode="json")
    lists = {
        "hidden": [hidden_text(widths) for widths in part.hidden],
        "activation": part.activations,
        "learning_rate": part.learning_rates,
    }
    own = {name: " ".join(map(str, values)) for name, values in lists.items() if values}
    words = [label.format(own.get(name) or short(base[name])) for name, label in SETTING.items()]
    yield "settings", " · ".join([base["dataset"], *words, *([f"l2 {base['l2']:g}"] if base["l2"] else [])])
    yield "starts", ", ".join(map(initializer_name, part.initializers))
    yield "seeds", " ".join(map(str, part.seeds))


def _expectations(recipe: Recipe) -> RenderableType:
    made = table("claim", "kind", "source", "expected", "last measured", folded=_FOLDED)
    figures = recipe.measured.figures if recipe.measured else [None] * len(recipe.claims)
    for claimed, figure in zip(recipe.claims, figures, strict=True):
        last = f"{figure.observed}: {VERDICTS[figure.verdict]}, n {figure.n}" if figure else "never"
        made.add_row(*map(cell, (claimed.statement, claimed.kind, claimed.source, expected(claimed), last)))
    return made


def _when(recipe: Recipe) -> list[Text]:
    kept = recipe.measured
    return [cell(f"last measured {kept.date} on {kept.data} with {kept.versions}", "dim")] if kept else []


def markdown(recipes: Iterable[Recipe]) -> str:
    """The README's table of claims, of the recipes that were measured."""
    rows: list[Sequence[str]] = [_COLUMNS, ("---",) * len(_COLUMNS)]
    for recipe in recipes:
        if recipe.measured:
            on = f"{recipe.measured.data}, {recipe.measured.date}"
            rows += [
                (f"`{recipe.name}`", claimed.statement, claimed.kind, expected(claimed), *_figures(figure), on)
                for claimed, figure in zip(recipe.claims, recipe.measured.figures, strict=True)
            ]
    return "\n".join(f"| {' | '.join(_in_markdown(words) for words in row)} |" for row in rows)


_COLUMNS = ("recipe", "claim", "kind", "claimed", "measured here", "n", "verdict", "on")


def _figures(figure: Figure) -> tuple[str, str, str]:
    return figure.observed, str(figure.n), f"**{VERDICTS[figure.verdict]}**"


def _in_markdown(words: str) -> str:
    return plain(" ".join(words.split())).replace("|", "\\|")
