"""Training curves of long runs: fewer points for later steps, however the steps arrive."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from initlab_tui.domain.events import Evaluated, Started, Stepped
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import progress, queue, workers
from initlab_tui.store.curves import Curve, CurveReader, LatestStep, latest_step, read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.point_codec import to_float32
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run
from initlab_tui.store.thinning import POINTS, stride_at
from tests.database import execute

STRIDE = 4  # of the steps after THINNED
THINNED = 4 * POINTS
TOTAL = THINNED + 3000
Values = Callable[[int], float]


def start(store: Store, total: int) -> Run:
    """Return a new run in training."""
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    return start_queued(store, total)


def start_queued(store: Store, total: int, step: int = 0, totals: progress.Totals | None = None) -> Run:
    """Return the queued run in training, from a checkpoint at `step` if that is not 0."""
    run = queue.claim(store, workers.register(store, "cpu", 1))
    assert run is not None
    started = Started(step, total, 1000, 10, "CPU", "xla", "", 0.5, "f" * 16, {})
    progress.record_started(store, run, started, {}, totals)
    return run


@cache
def noisy(step: int) -> float:
    return to_float32(random.Random(step).expovariate(1 + step / 1000))


@cache
def share(step: int) -> float:
    return random.Random(-step).randint(0, 32) / 32


def train(store: Store, run: Run, first: int, last: int, seed: int = 0, loss: Values = noisy) -> None:
    """Record steps in chunks of random lengths."""
    chance = random.Random(seed)
    while first <= last:
        steps = range(first, min(last, first + chance.randint(1, 700)) + 1)
        progress.record(
            store, run, [Stepped(first, tuple(map(loss, steps)), tuple(map(share, steps)), 0.01, 32 * len(steps))]
        )
        first = steps.stop


def blocks(store: Store, run: Run) -> list[tuple[object, ...]]:
    return execute(store, "SELECT split, step, points FROM curves WHERE run_id = ? ORDER BY split, step", (run.id,))


@pytest.mark.parametrize(
    ("step", "stride"),
    (
        *((1, 1), (2 * POINTS, 1), (2 * POINTS + 1, 2), (4 * POINTS, 2), (4 * POINTS + 1, 4)),
        *((8 * POINTS, 4), (8 * POINTS + 1, 8), (10**9, 2**17)),
    ),
)
def test_the_stride_doubles_whenever_the_number_of_steps_has_doubled(step: int, stride: int) -> None:
    assert stride_at(step) == stride


def test_a_short_run_keeps_every_step_however_long_it_should_have_been(store: Store) -> None:
    run = start(store, 10**9)
    train(store, run, 1, 2 * POINTS)
    steps = range(1, 2 * POINTS + 1)
    assert read_curve(store, run.id, "train") == Curve(tuple(steps), tuple(map(noisy, steps)), tuple(map(share, steps)))


def test_a_long_run_keeps_the_mean_of_each_interval(store: Store) -> None:
    run = start(store, TOTAL)
    train(store, run, 1, TOTAL)
    curve = read_curve(store, run.id, "train")
    assert curve.stride == STRIDE
    every, pairs = range(1, 2 * POINTS + 1), range(2 * POINTS + 2, THINNED + 1, 2)
    assert curve.steps == (*every, *pairs, *range(THINNED + STRIDE, TOTAL + 1, STRIDE))
    for last, count in ((2 * POINTS, 1), (2 * POINTS + 2, 2), (THINNED, 2), (THINNED + 4, 4), (TOTAL, 4)):
        steps, index = range(last - count + 1, last + 1), curve.steps.index(last)
        assert curve.losses[index] == pytest.approx(math.fsum(map(noisy, steps)) / count, rel=1e-7)
        assert curve.accuracies[index] == pytest.approx(math.fsum(map(share, steps)) / count, rel=1e-7)


def test_every_evaluation_of_a_long_run_is_kept(store: Store) -> None:
    run = start(store, TOTAL)
    steps = range(0, TOTAL + 1, 20)
    for step in steps:
        progress.record(store, run, [Evaluated(step, noisy(step), share(step))])
    assert read_curve(store, run.id, "test") == Curve(tuple(steps), tuple(map(noisy, steps)), tuple(map(share, steps)))


@pytest.mark.parametrize("seed", range(3))
def test_the_stored_bytes_do_not_depend_on_the_chunks(store: Store, seed: int) -> None:
    runs = [start(store, TOTAL) for _ in range(2)]
    last = random.Random(seed).randint(1, TOTAL)
    train(store, runs[0], 1, last, seed)
    train(store, runs[1], 1, last, seed + 100)
    assert blocks(store, runs[0]) == blocks(store, runs[1])


@pytest.mark.parametrize("checkpoint", (0, 1, 2 * POINTS, 2 * POINTS + 1, THINNED - 1, THINNED + 1000, TOTAL - 1001))
@pytest.mark.parametrize("further", (0, 1, 6, 1000))
def test_a_resumed_run_stores_the_same_bytes_as_an_unbroken_one(store: Store, checkpoint: int, further: int) -> None:
    last = TOTAL
    whole = start(store, TOTAL)
    train(store, whole, 1, last)
    broken = start(store, TOTAL)
    train(store, broken, 1, checkpoint, 1)
    totals = progress.settle(store, broken)
    train(store, broken, checkpoint + 1, checkpoint + further, 2, loss=lambda _: 1e9)
    progress.release(store, broken, RunStatus.STOPPED, "on request")
    execute(store, "UPDATE runs SET checkpoint = 'run-2.npz' WHERE id = ?", (broken.id,))
    queue.resume(store, [broken.id])
    resumed = start_queued(store, TOTAL, checkpoint, totals)
    assert resumed.id == broken.id
    train(store, resumed, checkpoint + 1, last, 3)
    assert blocks(store, resumed) == blocks(store, whole)


def test_the_step_at_which_the_loss_becomes_infinite_is_exact(store: Store) -> None:
    run = start(store, TOTAL)
    bad = THINNED + 1003  # within a point

    def loss(step: int) -> float:
        return noisy(step) if step < bad else math.inf if step == bad else math.nan

    train(store, run, 1, THINNED + 1100, loss=loss)
    curve = read_curve(store, run.id, "train")
    finite = [step for step, value in zip(curve.steps, curve.losses, strict=True) if math.isfinite(value)]
    assert finite[-2:] == [THINNED + 1000, bad - 1]
    index = curve.steps.index(bad - 1)
    assert curve.losses[index] == pytest.approx((noisy(bad - 2) + noisy(bad - 1)) / 2)
    assert curve.accuracies[index + 1] == pytest.approx((share(bad) + share(bad + 1)) / 2)
    assert curve.steps[index + 1] == bad + 1


def test_the_latest_step_is_the_mean_so_far(store: Store) -> None:
    run = start(store, TOTAL)
    assert latest_step(store, run.id) is None
    train(store, run, 1, THINNED + 2)
    steps = (THINNED + 1, THINNED + 2)
    assert latest_step(store, run.id) == LatestStep(steps[1], sum(map(noisy, steps)) / 2, sum(map(share, steps)) / 2)
    assert read_curve(store, run.id, "train").losses[-1] == sum(map(noisy, steps)) / 2


def test_a_reader_follows_a_run_that_trains_is_resumed_and_retried(store: Store) -> None:
    run = start(store, TOTAL)
    reader = CurveReader(run.id, "train")
    assert reader.read(store) == Curve((), (), ())
    for first, last in ((1, 100), (101, 1000), (1001, THINNED + 1), (THINNED + 2, THINNED + 7), (900, 1100), (1, 5)):
        train(store, run, first, last)
        assert reader.read(store) == read_curve(store, run.id, "train")
        assert reader.read(store).steps[-1] == last
    execute(store, "DELETE FROM curves")
    assert reader.read(store) == Curve((), (), ())


def test_a_damaged_block_costs_its_own_points(store: Store) -> None:
    run = start(store, 1000)
    train(store, run, 1, 1000)
    whole = read_curve(store, run.id, "train")
    execute(store, "UPDATE curves SET points = x'00' WHERE step = 129")
    steps = read_curve(store, run.id, "train").steps
    assert steps == whole.steps[:128] + whole.steps[256:]


def test_a_run_whose_last_block_is_damaged_continues_after_it(store: Store) -> None:
    run = start(store, 1000)
    train(store, run, 1, 200)
    execute(store, "UPDATE curves SET points = x'00' WHERE step = 129")
    train(store, run, 201, 300)
    assert read_curve(store, run.id, "train").steps == (*range(1, 129), *range(201, 301))


def test_a_repeated_step_replaces_what_was_recorded_from_there_on(store: Store) -> None:
    run = start(store, 1000)
    train(store, run, 1, 500)
    progress.record(store, run, [Stepped(100, (5.0, 6.0), (0.5, 0.5), 0.1, 10)])
    curve = read_curve(store, run.id, "train")
    assert (curve.steps, curve.losses[-2:]) == (tuple(range(1, 102)), (5.0, 6.0))
