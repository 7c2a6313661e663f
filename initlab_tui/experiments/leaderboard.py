"""From single runs to the leaderboard: groups over seeds, intervals, differences paired by seed, ranks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from initlab_tui.experiments.spec import RunSpec

CONFIDENCE = 0.95
# From the gravest: a group's status is that of its worst run.
STATUSES = ("crashed", "failed", "diverged", "stopped", "paused", "running", "queued", "done")
# Of a seed's several runs the one that came to a result speaks for it, then one that broke.
WEIGHT = {"done": 2, "diverged": 2, "failed": 1, "crashed": 1}


@dataclass(frozen=True)
class Outcome:
    """What the leaderboard needs of a run; accuracies are fractions, None where nothing was measured.

    `fingerprint` tells datasets of one name apart.
    """

    run_id: int
    spec: RunSpec
    status: str
    test_accuracy: float | None
    test_loss: float | None
    seconds: float
    samples_per_second: float | None
    total_steps: int | None
    fingerprint: str | None


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its Student t interval; no interval for fewer than two values."""

    values: tuple[float, ...]
    mean: float | None
    stddev: float | None
    ci_low: float | None
    ci_high: float | None

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def half_width(self) -> float | None:
        return None if self.ci_high is None or self.mean is None else self.ci_high - self.mean


@dataclass(frozen=True)
class Difference:
    """This group's accuracy minus the first group's, over the seeds that both have.

    `verdict` is `behind` where the interval lies below zero, `ahead` where above (its seeds are not all the
    first's), `undecided` where it holds zero, and `too_few_seeds` where fewer than two are shared. The interval
    is one group's alone: with many groups, some will lie beyond theirs by chance.
    """

    accuracy: Estimate
    verdict: str


@dataclass(frozen=True)
class Row:
    """One group of runs that differ in nothing but the seed, ranked among those on the same data.

    The estimates are over the runs that are done; `statuses` counts all. `spec` is that of the first seed.
    """

    rank: int
    spec: RunSpec
    fingerprint: str | None
    seeds: tuple[int, ...]
    run_ids: tuple[int, ...]
    statuses: tuple[tuple[str, int], ...]
    test_accuracy: Estimate
    test_loss: Estimate
    versus_first: Difference | None
    seconds: float
    samples_per_second: float | None
    total_steps: int | None

    @property
    def n(self) -> int:
        return self.test_accuracy.n

    @property
    def status(self) -> str:
        return self.statuses[0][0]


def estimate(values: Iterable[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean, standard deviation (n - 1) and two-sided t interval of `values`."""
    kept = tuple(values)
    if not kept:
        return Estimate((), None, None, None, None)
    mean = fmean(kept)
    if len(kept) < 2:
        return Estimate(kept, mean, None, None, None)
    from scipy.special import stdtrit  # a quarter of a second to import

    deviation = stdev(kept)
    half = float(stdtrit(len(kept) - 1, (1 + confidence) / 2)) * deviation / math.sqrt(len(kept))
    return Estimate(kept, mean, deviation, mean - half, mean + half)


def leaderboard(outcomes: Iterable[Outcome]) -> list[Row]:
    """Group runs over seeds and rank the groups by mean test accuracy, one ranking for each set of data.

    A seed that was run twice counts once, by its newest run that came to a result: the same seed gives the same
    result, and counting it again would feign certainty. Groups with a run that diverged come after those without,
    since the mean of the survivors flatters them; a crash or a failure says nothing of the start and does not count
    against it. Groups where nothing is done come last, those that broke at the very end; none is dropped.
    """
    boards: dict[tuple[str, str | None], dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        board = boards.setdefault((outcome.spec.dataset, outcome.fingerprint), {})
        board.setdefault(outcome.spec.identity, []).append(outcome)
    _join_unstarted(boards)
    rows = []
    for (_, fingerprint), groups in sorted(boards.items(), key=lambda item: str(item[0])):
        ordered = sorted((_one_a_seed(group) for group in groups.values()), key=_order)
        rows += [_row(rank, group, ordered[0], fingerprint) for rank, group in enumerate(ordered, 1)]
    return rows


def _join_unstarted(boards: dict[tuple[str, str | None], dict[str, list[Outcome]]]) -> None:
    """Runs that never read their data have no fingerprint: they join the board of their dataset's name."""
    for dataset in {name for name, fingerprint in boards if fingerprint is None}:
        known = [key for key in boards if key[0] == dataset and key[1] is not None]
        if known:
            for identity, group in boards.pop((dataset, None)).items():
                boards[known[-1]].setdefault(identity, []).extend(group)


def _one_a_seed(group: Sequence[Outcome]) -> list[Outcome]:
    by_seed: dict[int, Outcome] = {}
    for outcome in sorted(group, key=lambda outcome: (WEIGHT.get(outcome.status, 0), outcome.run_id)):
        by_seed[outcome.spec.seed] = outcome
    return [by_seed[seed] for seed in sorted(by_seed)]


def _done(group: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in group if outcome.status == "done" and outcome.test_accuracy is not None]


def _order(group: Sequence[Outcome]) -> tuple[int, float, int]:
    accuracies = [outcome.test_accuracy or 0.0 for outcome in _done(group)]
    statuses = {outcome.status for outcome in group}
    if accuracies:
        return int("diverged" in statuses), -fmean(accuracies), group[0].run_id
    return 2 + bool(statuses & {"diverged", "failed", "crashed"}), 0.0, group[0].run_id


def _row(rank: int, group: Sequence[Outcome], first: Sequence[Outcome], fingerprint: str | None) -> Row:
    done = _done(group)
    counts = Counter(outcome.status for outcome in group)
    speeds = [outcome.samples_per_second for outcome in group if outcome.samples_per_second is not None]
    return Row(
        rank=rank,
        spec=group[0].spec,
        fingerprint=fingerprint,
        seeds=tuple(outcome.spec.seed for outcome in group),
        run_ids=tuple(outcome.run_id for outcome in group),
        statuses=tuple((status, counts[status]) for status in STATUSES if counts[status]),
        test_accuracy=estimate(outcome.test_accuracy or 0.0 for outcome in done),
        test_loss=estimate(outcome.test_loss for outcome in done if outcome.test_loss is not None),
        versus_first=None if rank == 1 else _difference(done, _done(first)),
        seconds=fmean(outcome.seconds for outcome in done or group),
        samples_per_second=fmean(speeds) if speeds else None,
        total_steps=max((outcome.total_steps or 0 for outcome in group), default=0) or None,
    )


def _difference(group: Sequence[Outcome], first: Sequence[Outcome]) -> Difference:
    accuracy = {outcome.spec.seed: outcome.test_accuracy or 0.0 for outcome in first}
    paired = estimate(
        (outcome.test_accuracy or 0.0) - accuracy[outcome.spec.seed]
        for outcome in group
        if outcome.spec.seed in accuracy
    )
    if paired.ci_low is None or paired.ci_high is None:
        verdict = "too_few_seeds"
    elif paired.ci_high < 0:
        verdict = "behind"
    else:
        verdict = "ahead" if paired.ci_low > 0 else "undecided"
    return Difference(paired, verdict)


def varying(specs: Sequence[RunSpec]) -> list[str]:
    """The names of the fields in which the specs differ, the seed left out, in the order of the spec."""
    dumped = [spec.model_dump(mode="json", exclude={"seed"}) for spec in specs]
    names = dumped[0] if dumped else {}
    return [name for name in names if any(other[name] != dumped[0][name] for other in dumped)]
