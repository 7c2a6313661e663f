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


def test_it_is_the_curve_itself_while_that_is_short(store: Store, run: Run) -> None:
    growing = StreamingCurve(run.id, 4)
    assert growing.read(store) == Curve((), (), ())
    for step in range(1, 9):
        train(store, run, step, step)
        assert growing.read(store) == read_curve(store, run.id, "train")


@pytest.mark.parametrize("chunks", ([1] * 70, [3, 1, 40, 2, 13, 1, 10], [70]), ids=str)
def test_however_it_was_looked_at_points_are_means_of_equal_stretches(
    store: Store, run: Run, chunks: list[int]
) -> None:
    growing, done = StreamingCurve(run.id, 5), 0
    for chunk in chunks:
        train(store, run, done + 1, done + chunk)
        done += chunk
        curve = growing.read(store)
    assert curve.steps == (8, 16, 24, 32, 40, 48, 56, 64, 70)
    assert curve.losses[1] == pytest.approx(math.fsum(1 / step for step in range(9, 17)) / 8)
    assert curve.losses[-1] == pytest.approx(math.fsum(1 / step for step in range(65, 71)) / 6)
    assert curve.accuracies[0] == pytest.approx(4.5e-6)


def test_a_loss_that_is_not_finite_leaves_a_gap_also_once_stretches_are_joined(store: Store, run: Run) -> None:
    growing = StreamingCurve(run.id, 2)
    train(store, run, 1, 4, lambda step: math.inf if step == 2 else 1.0)
    assert [math.isnan(loss) for loss in growing.read(store).losses] == [False, True, False, False]
    train(store, run, 5, 8, lambda _: 1.0)
    assert [math.isnan(loss) for loss in growing.read(store).losses] == [True, False, False, False]
    assert not any(map(math.isnan, growing.read(store).accuracies))


def test_a_look_costs_no_more_when_the_run_is_long(store: Store, run: Run) -> None:
    growing = StreamingCurve(run.id, 48)
    costs = []
    for last in (1_000, 20_000, 40_000):
        train(store, run, last - 999 if last == 1_000 else last - 18_999, last - 100)
        growing.read(store)
        train(store, run, last - 99, last)
        instructions = [0]

        def count(counted: list[int] = instructions) -> None:
            counted[0] += 1

        store._connection.set_progress_handler(count, 10)
        growing.read(store)
        store._connection.set_progress_handler(None, 0)
        costs.append(instructions[0])
    assert max(costs) < 10 * costs[0], costs
