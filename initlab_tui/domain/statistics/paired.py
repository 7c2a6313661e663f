"""Comparing two groups of runs over the seeds that they share."""

from __future__ import annotations

from collections.abc import Mapping


def paired_differences(values: Mapping[int, float], baseline: Mapping[int, float]) -> list[float]:
    """Return `values` minus `baseline` for every seed in both, in the order of `values`.

    A shared seed means the same data order and often the same draws, so the difference varies less than either value.
    """
    return [value - baseline[seed] for seed, value in values.items() if seed in baseline]
