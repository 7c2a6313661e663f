"""Decides whether claims are reproduced, by intervals over seeds and never by means alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from initlab_tui.domain.claims.recipe import Claim, Group, Recipe, Verdict
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import Estimate, estimate
from initlab_tui.domain.statistics.paired import paired_differences


@dataclass(frozen=True)
class RunMetrics:
    """A run of the named experiment, with the values of each observable by epoch; epoch 0 is before the first step.

    `values` ends before the first epoch that the run did not reach or for which the value was not finite.
    """

    experiment: str
    spec: RunSpec
    values: Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class ClaimResult:
    """A claim and its result.

    `observed` has the estimate for the group, or for its difference from the other group; for an order, one difference
    for each pair of neighbours. `reason` says why the verdict is undecided, and is empty otherwise.
    """

    claim: Claim
    observed: tuple[Estimate, ...]
    verdict: Verdict
    reason: str = ""

    @property
    def seeds(self) -> int:
        """The number of seeds on which the verdict is based."""
        return min((each.n for each in self.observed), default=0)


def evaluate_claims(recipe: Recipe, runs: Iterable[RunMetrics], *, on_substitute: bool = False) -> list[ClaimResult]:
    """Evaluate each claim of a recipe with the runs.

    A claim is reproduced if the whole interval lies within its bounds, not reproduced if the whole interval lies
    outside, and undecided otherwise; fewer than two seeds have no interval. With `on_substitute` the runs were trained
    on the substitute dataset, so only claims about any dataset are evaluated.
    """
    metrics = list(runs)
    return [_evaluate(claim, metrics, on_substitute) for claim in recipe.claims]


def _evaluate(claim: Claim, runs: Sequence[RunMetrics], on_substitute: bool) -> ClaimResult:
    if on_substitute and not claim.any_dataset:
        return ClaimResult(claim, (), "undecided", "not run on the dataset of the claim")
    values = {group: _by_seed(group, claim, runs) for group in claim.groups}
    wanted = max(sum(group.includes(run.experiment, run.spec) for run in runs) for group in claim.groups)
    if not wanted:
        return ClaimResult(claim, (), "undecided", "not run yet")
    observed = tuple(estimate(each) for each in _to_estimate(claim, values))
    fewest = min(each.n for each in observed)
    if fewest < wanted:
        return ClaimResult(claim, observed, "undecided", f"only {fewest} of {wanted} runs have a result")
    if fewest < 2:
        return ClaimResult(claim, observed, "undecided", "an interval needs at least two seeds")
    return ClaimResult(claim, observed, *_decide(observed, claim.bounds))


def _by_seed(group: Group, claim: Claim, runs: Sequence[RunMetrics]) -> dict[int, float]:
    found = {}
    for run in runs:
        epoch = run.spec.epochs if claim.epoch is None else claim.epoch
        values = run.values.get(claim.observable, ())
        if group.includes(run.experiment, run.spec) and epoch < len(values):
            found[run.spec.seed] = values[epoch]
    return found


def _to_estimate(claim: Claim, values: Mapping[Group, Mapping[int, float]]) -> list[list[float]]:
    """Return the samples to estimate: the values of one group, or differences paired by seed."""
    if claim.group and not claim.against:
        return [list(values[claim.group].values())]
    if claim.group and claim.against:
        pairs = [(claim.against, claim.group)]
    else:
        pairs = list(zip(claim.order, claim.order[1:], strict=False))
    return [paired_differences(values[later], values[earlier]) for earlier, later in pairs]


def _decide(observed: Sequence[Estimate], bounds: tuple[float, float]) -> tuple[Verdict, str]:
    """Return `reproduced` if every interval is within the bounds, `not_reproduced` if any is outside."""
    verdicts = [_verdict(each, *bounds) for each in observed]
    if all(verdict == "reproduced" for verdict in verdicts):
        return "reproduced", ""
    if "not_reproduced" in verdicts:
        return "not_reproduced", ""
    return "undecided", "the interval crosses a bound"


def _verdict(each: Estimate, low: float, high: float) -> Verdict:
    if each.ci_low is None or each.ci_high is None:
        return "undecided"
    if low <= each.ci_low and each.ci_high <= high:
        return "reproduced"
    return "not_reproduced" if each.ci_high < low or each.ci_low > high else "undecided"
