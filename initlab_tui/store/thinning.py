"""Training steps reduced to a number of points that grows with the logarithm of the length of the run.

The first 2 × POINTS steps are all kept. Whenever the number of steps has doubled since then, a point is the mean over
twice as many steps as before, so each doubling adds POINTS points. How many steps belong to a point depends on the step
alone: nothing is merged later, and a run may be stopped at any time. Sums are added up step by step, so the points
depend neither on the chunks in which the steps arrive nor on interruptions. A point also ends where the loss becomes
NaN or infinite, so that this step remains exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import chain, takewhile
from operator import add

from initlab_tui.store.point_codec import Points, to_float32

POINTS = 4096  # a power of two; the chart shows at most 400, each the mean of many of these


def stride_at(step: int) -> int:
    """Return the number of steps in a point to which this training step, counted from 1, belongs: a power of two."""
    return 1 << max(0, ((step - 1) // POINTS).bit_length() - 1)


def is_open(step: int) -> bool:
    """Return whether more steps belong to the point that ends with this one so far."""
    return step % stride_at(step) != 0


def steps_in_points(steps: Sequence[int]) -> Iterator[int]:
    """Yield the number of training steps in each point."""
    for step, before in zip(steps, chain((0,), steps), strict=False):
        stride = stride_at(step)
        yield step - max(before, (step - 1) // stride * stride)


def with_means(points: Points) -> Points:
    """Return points in which the last one has means too, even if more steps belong to it."""
    if not len(points) or not is_open(points.steps[-1]):
        return points
    (*_, count) = steps_in_points(points.steps[-2:])
    return points[:-1] + Points(points.steps[-1:], [points.losses[-1] / count], [points.accuracies[-1] / count])


class Thinner:
    """The last points of a run, to which steps are added; while more steps belong to the last point, it has sums."""

    def __init__(self, points: Points) -> None:
        self._steps = list(points.steps)
        self._losses, self._accuracies = list(points.losses), list(points.accuracies)

    @property
    def points(self) -> Points:
        return Points(self._steps, self._losses, self._accuracies)

    @property
    def last(self) -> int:
        """The last step, -1 if there is none."""
        return self._steps[-1] if self._steps else -1

    def add(self, first: int, losses: Sequence[float], accuracies: Sequence[float]) -> None:
        """Add the values of consecutive steps, which begin with `first`."""
        done = max(0, min(len(losses), 2 * POINTS - first + 1))
        self.add_every(first, losses[:done], accuracies[:done])
        while done < len(losses):
            stride = stride_at(first + done)
            part = losses[done : done + stride - (first + done - 1) % stride]
            part = part[: _same_kind(part)]
            self._add_to_point(first + done, part, accuracies[done : done + len(part)])
            done += len(part)

    def add_every(self, first: int, losses: Sequence[float], accuracies: Sequence[float]) -> None:
        """Add the values of consecutive steps, which begin with `first`, as a point for each."""
        self._steps += range(first, first + len(losses))
        self._losses += map(_or_nan, losses)
        self._accuracies += map(_or_nan, accuracies)

    def _add_to_point(self, first: int, losses: Sequence[float], accuracies: Sequence[float]) -> None:
        """Add steps of one point."""
        loss, accuracy = 0.0, 0.0
        if self._steps and is_open(self._steps[-1]):
            if math.isfinite(self._losses[-1]) == math.isfinite(losses[0]) and self._steps[-1] == first - 1:
                loss, accuracy = self._losses.pop(), self._accuracies.pop()
                self._steps.pop()
            else:
                self._replace_sums()
        self._steps.append(first + len(losses) - 1)
        self._losses.append(_or_nan(reduce(add, losses, loss)))
        self._accuracies.append(_or_nan(reduce(add, accuracies, accuracy)))
        if not is_open(self._steps[-1]):
            self._replace_sums()

    def _replace_sums(self) -> None:
        """Replace the sums of the last point by means."""
        (*_, count) = steps_in_points(self._steps[-2:])
        self._losses[-1] = to_float32(self._losses[-1] / count)
        self._accuracies[-1] = to_float32(self._accuracies[-1] / count)


def _same_kind(losses: Sequence[float]) -> int:
    """Return how many of the first losses are finite, or how many are not."""
    if math.isfinite(reduce(add, losses)):
        return len(losses)
    is_finite = math.isfinite(losses[0])
    return sum(1 for _ in takewhile(lambda loss: math.isfinite(loss) == is_finite, losses))


def _or_nan(value: float) -> float:
    return value if math.isfinite(value) else math.nan
