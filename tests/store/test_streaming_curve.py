from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from initlab_tui.domain.events import Stepped
from initlab_tui.store import progress
from initlab_tui.store.curves import Curve, read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run
from initlab_tui.store.streaming_curve import StreamingCurve
from tests.store.test_database import claimed


@pytest.fixture
def run(store: Store) -> Run:
    return claimed(store)


def train(store: Store, run: Run, first: int, last: int, loss: Callable[[int], float] = lambda step: 1 / step) -> None:
    steps = range(first, last + 1)
    losses, accuracies = tuple(map(loss, steps)), tuple(step / 1e6 for step in steps)
    progress.record(store, run, [Stepped(first, losses, accuracies, 1.0, len(steps))])


def test_a_short_curve_is_returned_unchanged(store: Store, run: Run) -> None:
    streaming = StreamingCurve(run.id, 4)
    assert streaming.read(store) == Curve((), (), ())
    for step in range(1, 9):
        train(store, run, step, step)
        assert streaming.read(store) == read_curve(store, run.id, "train")


@pytest.mark.parametrize("chunks", ([1] * 70, [3, 1, 40, 2, 13, 1, 10], [70]), ids=str)
def test_points_are_means_of_equal_ranges_however_often_it_was_read(store: Store, run: Run, chunks: list[int]) -> None:
    streaming, done = StreamingCurve(run.id, 5), 0
    for chunk in chunks:
        train(store, run, done + 1, done + chunk)
        done += chunk
        curve = streaming.read(store)
    assert curve.steps == (8, 16, 24, 32, 40, 48, 56, 64, 70)
    assert curve.losses[1] == pytest.approx(math.fsum(1 / step for step in range(9, 17)) / 8)
    assert curve.losses[-1] == pytest.approx(math.fsum(1 / step for step in range(65, 71)) / 6)
    assert curve.accuracies[0] == pytest.approx(4.5e-6)


def test_a_non_finite_loss_leaves_a_gap_that_survives_merging(store: Store, run: Run) -> None:
    streaming = StreamingCurve(run.id, 2)
    train(store, run, 1, 4, lambda step: math.inf if step == 2 else 1.0)
    assert [math.isnan(loss) for loss in streaming.read(store).losses] == [False, True, False, False]
    train(store, run, 5, 8, lambda _: 1.0)
    assert [math.isnan(loss) for loss in streaming.read(store).losses] == [True, False, False, False]
    assert not any(map(math.isnan, streaming.read(store).accuracies))


def test_reading_costs_the_same_however_long_the_run_is(store: Store, run: Run) -> None:
    streaming = StreamingCurve(run.id, 48)
    costs = []
    for last in (1_000, 20_000, 40_000):
        train(store, run, last - 999 if last == 1_000 else last - 18_999, last - 100)
        streaming.read(store)
        train(store, run, last - 99, last)
        instructions = [0]

        def count(counted: list[int] = instructions) -> None:
            counted[0] += 1

        store._connection.set_progress_handler(count, 10)
        streaming.read(store)
        store._connection.set_progress_handler(None, 0)
        costs.append(instructions[0])
    assert max(costs) < 10 * costs[0], costs
