"""Builds the leaderboard from runs: groups over seeds, estimates, paired differences and ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import Estimate, estimate, mean
from initlab_tui.domain.statistics.paired import paired_differences

# From worst to best: the status of a group is that of its worst run.
WORST_FIRST = (
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
    """The values of a run for the leaderboard; accuracies are fractions, None if nothing was measured.

    `spec_hash` is passed in because computing it takes a while; `fingerprint` distinguishes datasets of the same
    name; `diagnosis` is that of the layers at step 0, empty if they were not measured.
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
    diagnosis: str = ""


@dataclass(frozen=True)
class Difference:
    """The accuracy of a group minus that of the first group, over the seeds in both.

    `verdict` is `behind` if the interval lies below zero, `ahead` if above (possible because the first group may
    have other seeds too), `undecided` if it contains zero, and `too_few_seeds` if fewer than two seeds are shared.
    The interval covers this one difference: among many groups, some exclude zero by chance.
    """

    accuracy: Estimate
    verdict: str


@dataclass(frozen=True)
class Row:
    """A group of runs that differ only in their seed, ranked among the groups on the same data.

    The estimates cover the runs that are done; `statuses` counts all of them, worst first. `spec` is that of the
    first seed. `diagnoses` counts the diagnoses of the layers at step 0, most frequent first.
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
    diagnoses: tuple[tuple[str, int], ...]

    @property
    def n(self) -> int:
        return self.test_accuracy.n

    @property
    def status(self) -> RunStatus:
        return self.statuses[0][0]


class _Group(NamedTuple):
    """Runs that differ only in their seed, one for each seed, ordered by seed.

    `done` are the ones to average over, and `accuracy` is their estimate.
    """

    runs: Sequence[Outcome]
    done: Sequence[Outcome]
    accuracy: Estimate


def leaderboard(outcomes: Iterable[Outcome]) -> list[Row]:
    """Group runs over seeds and rank the groups by mean test accuracy, with one ranking for each dataset.

    A seed that was run twice counts once, by its newest run with a result: the same seed gives the same result, and
    counting it twice would overstate the certainty. Groups with a run that diverged come after those without,
    because the mean of the remaining runs flatters them; a crash or a failure says nothing about the initializer
    and does not lower the rank. Groups without a finished run come last, those that broke at the very end; no group
    is dropped.
    """
    boards: dict[tuple[str, str | None], dict[str, list[Outcome]]] = {}
    for outcome in outcomes:
        board = boards.setdefault((outcome.spec.dataset, outcome.fingerprint), {})
        board.setdefault(outcome.spec_hash, []).append(outcome)
    _join_unstarted(boards)
    rows = []
    for (_, fingerprint), groups in sorted(boards.items(), key=lambda item: str(item[0])):
        ordered = sorted(map(_group, groups.values()), key=_order)
        first = _accuracies(ordered[0].done)
        rows += [_row(rank, group, first, fingerprint) for rank, group in enumerate(ordered, 1)]
    return rows


def _join_unstarted(boards: dict[tuple[str, str | None], dict[str, list[Outcome]]]) -> None:
    """Move runs that never read their data, and so have no fingerprint, to the board of their dataset's name."""
    for dataset in {name for name, fingerprint in boards if fingerprint is None}:
        known = [key for key in boards if key[0] == dataset and key[1] is not None]
        if known:
            for spec_hash, group in boards.pop((dataset, None)).items():
                boards[known[-1]].setdefault(spec_hash, []).extend(group)


def _group(outcomes: Sequence[Outcome]) -> _Group:
    runs = _one_per_seed(outcomes)
    done = [outcome for outcome in runs if outcome.status is RunStatus.DONE and outcome.test_accuracy is not None]
    return _Group(runs, done, estimate(_accuracies(done).values()))


def _one_per_seed(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """If a seed was run more than once, use the run with a result, or else one that broke."""
    if len(outcomes) == 1:
        return outcomes
    by_seed: dict[int, Outcome] = {}
    for outcome in sorted(outcomes, key=lambda outcome: (_weight(outcome.status), outcome.run_id)):
        by_seed[outcome.spec.seed] = outcome
    return [by_seed[seed] for seed in sorted(by_seed)]


def _weight(status: RunStatus) -> int:
    return 2 if status.has_result else int(status.is_broken)


def _accuracies(done: Iterable[Outcome]) -> dict[int, float]:
    """Return the accuracies by seed."""
    return {outcome.spec.seed: outcome.test_accuracy or 0.0 for outcome in done}


def _order(group: _Group) -> tuple[int, float, int]:
    statuses = [outcome.status for outcome in group.runs]
    if group.accuracy.mean is not None:
        return int(RunStatus.DIVERGED in statuses), -group.accuracy.mean, group.runs[0].run_id
    return 2 + any(status.is_broken for status in statuses), 0.0, group.runs[0].run_id


def _row(rank: int, group: _Group, first: Mapping[int, float], fingerprint: str | None) -> Row:
    """Return the row of a group; `first` holds the accuracies of the first group by seed."""
    runs, done, accuracy = group
    statuses = [outcome.status for outcome in runs]
    speeds = [outcome.samples_per_second for outcome in runs if outcome.samples_per_second is not None]
    return Row(
        rank=rank,
        spec=runs[0].spec,
        fingerprint=fingerprint,
        seeds=tuple([outcome.spec.seed for outcome in runs]),
        run_ids=tuple([outcome.run_id for outcome in runs]),
        statuses=tuple([(status, statuses.count(status)) for status in WORST_FIRST if status in statuses]),
        test_accuracy=accuracy,
        test_loss=estimate([outcome.test_loss for outcome in done if outcome.test_loss is not None]),
        versus_first=None if rank == 1 else _difference(done, first),
        seconds=mean([outcome.seconds for outcome in done or runs]),
        samples_per_second=mean(speeds) if speeds else None,
        total_steps=max([outcome.total_steps or 0 for outcome in runs]) or None,
        diagnoses=tuple(Counter([outcome.diagnosis for outcome in runs if outcome.diagnosis]).most_common()),
    )


def _difference(done: Sequence[Outcome], first: Mapping[int, float]) -> Difference:
    paired = estimate(paired_differences(_accuracies(done), first))
    if paired.ci_low is None or paired.ci_high is None:
        verdict = "too_few_seeds"
    elif paired.ci_high < 0:
        verdict = "behind"
    else:
        verdict = "ahead" if paired.ci_low > 0 else "undecided"
    return Difference(paired, verdict)


def varying(specs: Sequence[RunSpec]) -> list[str]:
    """Return the names of the fields in which the specs differ, in the order of the spec, without the seed."""
    if not specs:
        return []
    first = specs[0]
    names = [name for name in RunSpec.model_fields if name != "seed"]
    return [name for name in names if any(getattr(spec, name) != getattr(first, name) for spec in specs)]
