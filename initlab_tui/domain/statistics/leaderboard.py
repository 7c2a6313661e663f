"""From single runs to the leaderboard: groups over seeds, intervals, differences paired by seed, ranks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec

CONFIDENCE = 0.95
# The worst first: a group has the status of its worst run.
_WORST_FIRST = (
    RunStatus.CRASHED,
    RunStatus.FAILED,
    RunStatus.DIVERGED,
    RunStatus.STOPPED,
    RunStatus.PAUSED,
    RunStatus.RUNNING,
    RunStatus.QUEUED,
    RunStatus.DONE,
)


@dataclass(frozen=True)
class Outcome:
    """What the leaderboard needs of a run; accuracies are fractions, None where nothing was measured.

    `spec_hash` is the spec's, kept with the run, since it takes a while to work out; `fingerprint` tells datasets
    of one name apart; `verdict` is that of the layers at step 0, empty where they were not measured.
    """

    run_id: int
    spec: RunSpec
    spec_hash: str
    status: RunStatus
    test_accuracy: float | None
    test_loss: float | None
    seconds: float
    samples_per_second: float | None
    total_steps: int | None
    fingerprint: str | None
    verdict: str = ""


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
    `verdicts` counts those of the layers at step 0, the most frequent first.
    """

    rank: int
    spec: RunSpec
    fingerprint: str | None
    seeds: tuple[int, ...]
    run_ids: tuple[int, ...]
    statuses: tuple[tuple[RunStatus, int], ...]
    test_accuracy: Estimate
    test_loss: Estimate
    versus_first: Difference | None
    seconds: float
    samples_per_second: float | None
    total_steps: int | None
    verdicts: tuple[tuple[str, int], ...]

    @property
    def n(self) -> int:
        return self.test_accuracy.n

    @property
    def status(self) -> RunStatus:
        return self.statuses[0][0]


NOTHING = Estimate((), None, None, None, None)


def estimate(values: Iterable[float], confidence: float = CONFIDENCE) -> Estimate:
    """Mean, standard deviation (n - 1) and two-sided t interval of `values`."""
    kept = tuple(values)
    if len(kept) < 2:
        return Estimate(kept, float(kept[0]), None, None, None) if kept else NOTHING
    mean, deviation = _mean(kept), _stddev(kept)
    half = _t_quantile(len(kept), confidence) * deviation / math.sqrt(len(kept))
    return Estimate(kept, mean, deviation, mean - half, mean + half)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _stddev(values: Sequence[float]) -> float:
    """As `statistics.stdev` to some units in the last place, in a twentieth of its time."""
    shifted = [value - values[0] for value in values]  # so that equal values have none at all
    return math.dist(shifted, [_mean(shifted)] * len(shifted)) / math.sqrt(len(shifted) - 1)


@lru_cache
def _t_quantile(n: int, confidence: float) -> float:
    from scipy.special import stdtrit  # a quarter of a second to import

    return float(stdtrit(n - 1, (1 + confidence) / 2))


class _Group(NamedTuple):
    """Runs that differ in nothing but the seed, one of each, in the seeds' order.

    `done` are those to average over, and `accuracy` is their average.
    """

    runs: Sequence[Outcome]
    done: Sequence[Outcome]
    accuracy: Estimate


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
        board.setdefault(outcome.spec_hash, []).append(outcome)
    _join_unstarted(boards)
    rows = []
    for (_, fingerprint), groups in sorted(boards.items(), key=lambda item: str(item[0])):
        ordered = sorted(map(_group, groups.values()), key=_order)
        first = {outcome.spec.seed: outcome.test_accuracy or 0.0 for outcome in ordered[0].done}
        rows += [_row(rank, group, first, fingerprint) for rank, group in enumerate(ordered, 1)]
    return rows


def _join_unstarted(boards: dict[tuple[str, str | None], dict[str, list[Outcome]]]) -> None:
    """Runs that never read their data have no fingerprint: they join the board of their dataset's name."""
    for dataset in {name for name, fingerprint in boards if fingerprint is None}:
        known = [key for key in boards if key[0] == dataset and key[1] is not None]
        if known:
            for spec_hash, group in boards.pop((dataset, None)).items():
                boards[known[-1]].setdefault(spec_hash, []).extend(group)


def _group(outcomes: Sequence[Outcome]) -> _Group:
    runs = _one_a_seed(outcomes)
    done = [outcome for outcome in runs if outcome.status is RunStatus.DONE and outcome.test_accuracy is not None]
    return _Group(runs, done, estimate([outcome.test_accuracy or 0.0 for outcome in done]))


def _one_a_seed(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    if len(outcomes) == 1:
        return outcomes
    by_seed = {outcome.spec.seed: outcome for outcome in sorted(outcomes, key=_decisiveness)}
    return [by_seed[seed] for seed in sorted(by_seed)]


def _decisiveness(outcome: Outcome) -> tuple[int, int]:
    """Order the runs of one seed so that the last counts: one with a result, else a broken one, else the newest."""
    status = outcome.status
    return 2 if status.has_result else int(status.is_broken), outcome.run_id


def _order(group: _Group) -> tuple[int, float, int]:
    statuses = [outcome.status for outcome in group.runs]
    if group.accuracy.mean is not None:
        return int(RunStatus.DIVERGED in statuses), -group.accuracy.mean, group.runs[0].run_id
    return 2 + any(status.is_broken for status in statuses), 0.0, group.runs[0].run_id


def _row(rank: int, group: _Group, first: Mapping[int, float], fingerprint: str | None) -> Row:
    """The group's row; `first` are the accuracies of the one ranked first, by seed."""
    runs, done, accuracy = group
    statuses = [outcome.status for outcome in runs]
    speeds = [outcome.samples_per_second for outcome in runs if outcome.samples_per_second is not None]
    return Row(
        rank=rank,
        spec=runs[0].spec,
        fingerprint=fingerprint,
        seeds=tuple([outcome.spec.seed for outcome in runs]),
        run_ids=tuple([outcome.run_id for outcome in runs]),
        statuses=tuple([(status, statuses.count(status)) for status in _WORST_FIRST if status in statuses]),
        test_accuracy=accuracy,
        test_loss=estimate([outcome.test_loss for outcome in done if outcome.test_loss is not None]),
        versus_first=None if rank == 1 else _difference(done, first),
        seconds=_mean([outcome.seconds for outcome in done or runs]),
        samples_per_second=_mean(speeds) if speeds else None,
        total_steps=max([outcome.total_steps or 0 for outcome in runs]) or None,
        verdicts=tuple(Counter([outcome.verdict for outcome in runs if outcome.verdict]).most_common()),
    )


def _difference(group: Sequence[Outcome], first: Mapping[int, float]) -> Difference:
    paired = estimate(
        [(outcome.test_accuracy or 0.0) - first[outcome.spec.seed] for outcome in group if outcome.spec.seed in first]
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
    if not specs:
        return []
    first = specs[0]
    names = [name for name in RunSpec.model_fields if name != "seed"]
    return [name for name in names if any(getattr(spec, name) != getattr(first, name) for spec in specs)]
