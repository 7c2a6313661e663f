"""Whether an expectation was borne out: by intervals over seeds, never by bare means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from initlab_tui.domain.claims.recipe import Claim, Group, Recipe, Verdict
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import Estimate, estimate
from initlab_tui.domain.statistics.paired import paired_differences


@dataclass(frozen=True)
class RunMetrics:
    """A run, of the part of that name: each observable's values by epoch, from before the first to the last.

    Where a run did not come so far, or its value was not finite, there is none: `values` is cut short there.
    """

    part: str
    spec: RunSpec
    values: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ClaimResult:
    """An expectation and what came of it.

    `observed` is the group's estimate, or its difference to the other's; of an order, each neighbours' difference.
    `reason` says why nothing is decided, and is empty where something is.
    """

    expectation: Claim
    observed: tuple[Estimate, ...]
    verdict: Verdict
    reason: str = ""


def evaluate_claims(recipe: Recipe, observations: Iterable[RunMetrics], *, stand_in: bool = False) -> list[ClaimResult]:
    """Hold each of a recipe's expectations against what was observed.

    An interval that lies wholly within what is claimed bears it out, one wholly outside refutes it, any other
    decides nothing; fewer than two seeds have no interval. With `stand_in` the runs were on another dataset than
    the recipe's own, of which only what is expected of any dataset can be judged.
    """
    seen = list(observations)
    return [_judged(expectation, seen, stand_in) for expectation in recipe.expectations]


def _judged(expectation: Claim, seen: Sequence[RunMetrics], stand_in: bool) -> ClaimResult:
    if stand_in and not expectation.any_dataset:
        return ClaimResult(expectation, (), "undecided", "not on the dataset that it is claimed of")
    values = {group: _by_seed(group, expectation, seen) for group in expectation.groups}
    asked = max(sum(group.holds(one.part, one.spec) for one in seen) for group in expectation.groups)
    observed = tuple(estimate(each) for each in _compared(expectation, values))
    fewest = min(each.n for each in observed)
    if not asked:
        return ClaimResult(expectation, (), "undecided", "none of its runs was trained")
    if fewest < asked:
        return ClaimResult(expectation, observed, "undecided", f"{fewest} of {asked} runs have come to a result")
    if fewest < 2:
        return ClaimResult(expectation, observed, "undecided", "n too small: an interval needs two seeds or more")
    return ClaimResult(expectation, observed, *_decided(observed, expectation.bounds))


def _by_seed(group: Group, expectation: Claim, seen: Sequence[RunMetrics]) -> dict[int, float]:
    found = {}
    for one in seen:
        epoch = one.spec.epochs if expectation.epoch is None else expectation.epoch
        values = one.values.get(expectation.observable, ())
        if group.holds(one.part, one.spec) and epoch < len(values):
            found[one.spec.seed] = values[epoch]
    return found


def _compared(expectation: Claim, values: Mapping[Group, Mapping[int, float]]) -> list[list[float]]:
    """The values to estimate: a group's own, or differences paired by seed."""
    if expectation.group and not expectation.against:
        return [list(values[expectation.group].values())]
    if expectation.group and expectation.against:
        pairs = [(expectation.against, expectation.group)]
    else:
        pairs = list(zip(expectation.order, expectation.order[1:], strict=False))
    return [paired_differences(values[later], values[earlier]) for earlier, later in pairs]


def _decided(observed: Sequence[Estimate], bounds: tuple[float, float]) -> tuple[Verdict, str]:
    """Within for all, outside for any, or neither."""
    sides = [_side(each, *bounds) for each in observed]
    if all(side == "reproduced" for side in sides):
        return "reproduced", ""
    if "not_reproduced" in sides:
        return "not_reproduced", ""
    return "undecided", "spread too wide: the interval reaches over the bound"


def _side(each: Estimate, low: float, high: float) -> Verdict:
    if each.ci_low is None or each.ci_high is None:
        return "undecided"
    if low <= each.ci_low and each.ci_high <= high:
        return "reproduced"
    return "not_reproduced" if each.ci_high < low or each.ci_low > high else "undecided"
