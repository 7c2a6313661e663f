"""About how long a comparison will take, from what was trained in this store before."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from initlab_tui.domain.spec import RunSpec
from initlab_tui.store.runs import Run

# Of a worker where nothing is known: dense layers at this speed, six operations a weight and sample (two forward,
# four backward), and what a sample and a step cost however small the network is.
FLOPS_PER_SECOND = 50e9
FLOPS_PER_WEIGHT = 6.0
SAMPLE_SECONDS = 1e-5  # so never more than 100,000 samples/s
STEP_SECONDS = 1e-4  # measured with batches of one on digits: 9e-5
EAGER_FACTOR = 30.0
COMPILE_SECONDS = 3.0  # XLA takes 2 to 8 s for a network
FORWARD_SHARE = 1 / 3  # of a training step's work, which is all that an evaluation does
TRAIN_TO_TEST = 6  # training images for one test image, as in MNIST
RECENT = 100  # done runs that are looked at, from the newest


@dataclass(frozen=True)
class Expected:
    """Wall time in seconds until the last run is over, and in words what the figure rests on."""

    seconds: float
    basis: str


class _Network(NamedTuple):
    """What is compiled once and trains at one speed."""

    dataset: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    l2: float
    batch_size: int
    execution: str

    @classmethod
    def of(cls, spec: RunSpec) -> _Network:
        compiled = (spec.optimizer, spec.l2, spec.batch_size, spec.execution)
        return cls(spec.dataset, spec.hidden, spec.activation, *compiled)


class _Pace(NamedTuple):
    """A network's training speed in seconds a sample, what compiling it takes, and how it is known (0 best)."""

    sample_seconds: float
    compile_seconds: float
    rank: int
    basis: str


def expected_seconds(
    specs: Sequence[RunSpec],
    shape: Sequence[int],
    classes: int,
    train_images: int,
    workers: int,
    done: Iterable[Run],
    *,
    device: str | None = None,
    threads: int | None = None,
) -> Expected:
    """About how long `specs`, all on images of `shape` in `classes`, take on so many workers.

    `done` are this store's runs, the newest first; only the first RECENT that were done on `device` with `threads`
    (None: any) are taken from it, so it may be long or lazy. A network trains as fast as it did the last time; else
    as the last run did, scaled by the work of a sample; else at a rough figure. Start of the workers left out.
    """
    recent = list(islice((run for run in done if _tells(run, device, threads)), RECENT))
    newest: dict[_Network, Run] = {}
    for run in recent:
        newest.setdefault(_Network.of(run.spec), run)
    paces: dict[_Network, _Pace] = {}
    jobs = []
    for spec in specs:
        network = _Network.of(spec)
        if network not in paces:
            paces[network] = _pace(spec, _weights(spec, shape, classes), newest, recent)
        jobs.append((network, _samples(spec, train_images) * paces[network].sample_seconds))
    basis = max(paces.values(), key=lambda pace: pace.rank).basis if paces else "nothing to train"
    return Expected(_last_ends(jobs, paces, workers), basis)


def _tells(run: Run, device: str | None, threads: int | None) -> bool:
    """Whether the run's speed is known and is one of this device."""
    return (
        run.status == "done"
        and run.samples_per_second is not None
        and device in (None, run.device)
        and threads in (None, run.threads)
    )


def _pace(spec: RunSpec, weights: int, newest: dict[_Network, Run], recent: Sequence[Run]) -> _Pace:
    modelled = _modelled_sample_seconds(spec, weights)
    same = newest.get(_Network.of(spec))
    known = [run for run in recent if _weights_of(run)]
    # Another way of execution is another order of magnitude: one that ran the same way tells more, if older.
    alike = [run for run in known if run.spec.execution == spec.execution]
    compiling = _compile_seconds(spec, [*([same] if same else []), *alike])
    if same:
        return _Pace(1 / (same.samples_per_second or 1.0), compiling, 0, f"judged by run {same.id}")
    if known:
        other = (alike or known)[0]
        scale = modelled / _modelled_sample_seconds(other.spec, _weights_of(other))
        seconds = scale / (other.samples_per_second or 1.0)
        return _Pace(seconds, compiling, 1, f"scaled from run {other.id}")
    return _Pace(modelled, compiling, 2, "a rough guess")


def _modelled_sample_seconds(spec: RunSpec, weights: int) -> float:
    """The rough figure for one sample of training, and the measure by which networks are scaled."""
    seconds = weights * FLOPS_PER_WEIGHT / FLOPS_PER_SECOND + SAMPLE_SECONDS + STEP_SECONDS / spec.batch_size
    return seconds * (EAGER_FACTOR if spec.execution == "eager" else 1.0)


def _compile_seconds(spec: RunSpec, runs: Iterable[Run]) -> float:
    """What the first of `runs` that compiled took: a run that found its network compiled says 0."""
    known = (float(run.record.get("compile_seconds") or 0.0) for run in runs)
    default = 0.0 if spec.execution == "eager" else COMPILE_SECONDS
    return next((seconds for seconds in known if seconds), default)


def _weights(spec: RunSpec, shape: Sequence[int], classes: int) -> int:
    return sum((kernel.fan_in + 1) * kernel.fan_out for kernel in spec.layer_shapes(shape, classes))


def _weights_of(run: Run) -> int:
    """How many weights a run trained, 0 where its record does not tell."""
    return int(run.record.get("weights") or 0)


def _samples(spec: RunSpec, train_images: int) -> float:
    """The samples that a run trains on, and those it evaluates as so many of training."""
    per_epoch = train_images // spec.batch_size
    steps = per_epoch * spec.epochs
    evaluations = 1 + spec.epochs
    if spec.eval_every:
        # At the end of an epoch there is one anyway.
        evaluations += steps // spec.eval_every
    return steps * spec.batch_size + evaluations * (train_images / TRAIN_TO_TEST) * FORWARD_SHARE


def _last_ends(jobs: Iterable[tuple[_Network, float]], paces: dict[_Network, _Pace], workers: int) -> float:
    """When the last of `jobs` is over, each in turn taken by the worker that is free first.

    A worker compiles each network that it has not had; which of its few kept ones it gave up is not followed.
    """
    free: list[tuple[float, int]] = [(0.0, number) for number in range(max(1, workers))]
    compiled: set[tuple[int, _Network]] = set()
    for network, seconds in jobs:
        start, number = free[0]
        compiling = 0.0 if (number, network) in compiled else paces[network].compile_seconds
        compiled.add((number, network))
        heapq.heapreplace(free, (start + compiling + seconds, number))
    return max(end for end, _ in free)
