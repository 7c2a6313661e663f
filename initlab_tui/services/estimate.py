"""Estimates the duration of a comparison from the runs in the store."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from initlab_tui.domain.network import Network
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store.runs import Run

# The model for a store without earlier runs: layers at this speed, with six operations per multiplication of an image
# (two forward, four backward), plus a fixed time per sample and per step.
FLOPS_PER_SECOND = 50e9
FLOPS_PER_MULTIPLICATION = 6.0
SAMPLE_SECONDS = 1e-5  # limits the speed to 100,000 samples/s
STEP_SECONDS = 1e-4  # 9e-5 was measured with batches of one on digits
EAGER_FACTOR = 30.0
COMPILE_SECONDS = 3.0  # XLA takes 2 to 8 s for a network
FORWARD_SHARE = 1 / 3  # the work of evaluating a sample, relative to training on it
TRAIN_TO_TEST = 6  # training images per test image, as in MNIST
RECENT = 100  # the number of latest finished runs to consider


@dataclass(frozen=True)
class Expected:
    """The wall time in seconds until the last run ends, and the basis of the estimate as text."""

    seconds: float
    basis: str


class _Network(NamedTuple):
    """The fields of a spec that determine the compiled network and its speed."""

    dataset: str
    network: Network
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    l2: float
    batch_size: int
    execution: str

    @classmethod
    def of(cls, spec: RunSpec) -> _Network:
        compiled = (spec.optimizer, spec.l2, spec.batch_size, spec.execution)
        return cls(spec.dataset, spec.network, spec.hidden, spec.activation, *compiled)


class _Pace(NamedTuple):
    """Training time per sample and compile time of a network in seconds, and their basis; rank 0 is most reliable."""

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
    """Estimate how long `specs` take, all on images of `shape` in `classes` classes, with this number of workers.

    `done` holds the runs of the store, newest first. Only the first RECENT runs that finished on `device` with
    `threads` (None: any) are read, so it may be long or lazy. The time per sample is that of the last run of the same
    network; or that of the last run of any network, scaled by the work per sample; or a rough guess. The time to start
    the workers is not included.
    """
    recent = list(islice((run for run in done if _is_comparable(run, device, threads)), RECENT))
    newest: dict[_Network, Run] = {}
    for run in recent:
        newest.setdefault(_Network.of(run.spec), run)
    paces: dict[_Network, _Pace] = {}
    jobs = []
    for spec in specs:
        network = _Network.of(spec)
        if network not in paces:
            paces[network] = _pace(spec, spec.graph(shape, classes).multiplications, newest, recent)
        jobs.append((network, _samples(spec, train_images) * paces[network].sample_seconds))
    basis = max(paces.values(), key=lambda pace: pace.rank).basis if paces else "nothing to train"
    return Expected(_end_of_last(jobs, paces, workers), basis)


def _is_comparable(run: Run, device: str | None, threads: int | None) -> bool:
    """Return whether the speed of the run is known and was measured on this device."""
    return (
        run.status is RunStatus.DONE
        and run.samples_per_second is not None
        and device in (None, run.device)
        and threads in (None, run.threads)
    )


def _pace(spec: RunSpec, multiplications: int, newest: dict[_Network, Run], recent: Sequence[Run]) -> _Pace:
    modelled = _modelled_sample_seconds(spec, multiplications)
    same = newest.get(_Network.of(spec))
    known = [run for run in recent if _multiplications_of(run)]
    # The execution mode changes the speed by an order of magnitude, so prefer an older run with the same mode.
    same_mode = [run for run in known if run.spec.execution == spec.execution]
    compiling = _compile_seconds(spec, [*([same] if same else []), *same_mode])
    if same:
        return _Pace(1 / (same.samples_per_second or 1.0), compiling, 0, f"estimated from run {same.id}")
    if known:
        other = (same_mode or known)[0]
        scale = modelled / _modelled_sample_seconds(other.spec, _multiplications_of(other))
        seconds = scale / (other.samples_per_second or 1.0)
        return _Pace(seconds, compiling, 1, f"scaled from run {other.id}")
    return _Pace(modelled, compiling, 2, "a rough guess")


def _modelled_sample_seconds(spec: RunSpec, multiplications: int) -> float:
    """Return the modelled training time per sample, also used to scale the measured time of another network."""
    seconds = (
        multiplications * FLOPS_PER_MULTIPLICATION / FLOPS_PER_SECOND + SAMPLE_SECONDS + STEP_SECONDS / spec.batch_size
    )
    return seconds * (EAGER_FACTOR if spec.execution == "eager" else 1.0)


def _compile_seconds(spec: RunSpec, runs: Iterable[Run]) -> float:
    """Return the compile time of the first run that compiled; a run whose network was already compiled recorded 0."""
    known = (float(run.record.get("compile_seconds") or 0.0) for run in runs)
    default = 0.0 if spec.execution == "eager" else COMPILE_SECONDS
    return next((seconds for seconds in known if seconds), default)


def _multiplications_of(run: Run) -> int:
    """Return the multiplications with weights for one image of a run, or 0 if they were not recorded."""
    # Runs of earlier versions recorded the weights, of which a dense network uses each once for an image.
    return int(run.record.get("multiplications") or run.record.get("weights") or 0)


def _samples(spec: RunSpec, train_images: int) -> float:
    """Return the number of training samples of a run, plus its evaluations as an equivalent number."""
    per_epoch = train_images // spec.batch_size
    steps = per_epoch * spec.epochs
    evaluations = 1 + spec.epochs
    if spec.eval_every:
        # Evaluations at the end of an epoch are counted twice, which is accurate enough.
        evaluations += steps // spec.eval_every
    return steps * spec.batch_size + evaluations * (train_images / TRAIN_TO_TEST) * FORWARD_SHARE


def _end_of_last(jobs: Iterable[tuple[_Network, float]], paces: dict[_Network, _Pace], workers: int) -> float:
    """Return the time at which the last job ends if each job is taken by the first free worker.

    A worker compiles each network once; that its cache is small is not modelled.
    """
    free: list[tuple[float, int]] = [(0.0, number) for number in range(max(1, workers))]
    compiled: set[tuple[int, _Network]] = set()
    for network, seconds in jobs:
        begin, number = free[0]
        compiling = 0.0 if (number, network) in compiled else paces[network].compile_seconds
        compiled.add((number, network))
        heapq.heapreplace(free, (begin + compiling + seconds, number))
    return max(end for end, _ in free)
