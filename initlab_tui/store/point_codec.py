"""The points of a curve as the content of a BLOB: columns of numbers, compressed without loss.

Steps are stored as differences, and losses and accuracies as numerators if they are fractions with a common
denominator: those on a test set of 360 images are float32 sums and counts divided by 360. The bytes of all numbers are
ordered by their significance, because the first bytes of similar numbers are equal, and the last ones of a number with
the precision of float32 are 0. So a training step or an evaluation takes about 4 bytes. The checksum of zlib detects
damage.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate, pairwise

from initlab_tui.store.rows import MAX_STEP

POINTS_PER_BLOCK = 128  # so that a row is less than a quarter of a page, and SQLite needs no overflow pages
NUMBER = 8  # bytes: an int64 or a float64, the less significant first
COLUMNS = 3
HEADER = 4  # bytes: the denominator
MAX_BYTES = HEADER + POINTS_PER_BLOCK * COLUMNS * NUMBER
MAX_DENOMINATOR = 1_000_000
LEVEL = 6


class DamagedPointsError(ValueError):
    """The content of a BLOB is not points of a curve."""


@dataclass(frozen=True)
class Points:
    """Steps in increasing order, and a loss and an accuracy for each; NaN for values that were not finite."""

    steps: Sequence[int]
    losses: Sequence[float]
    accuracies: Sequence[float]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, part: slice) -> Points:
        return Points(self.steps[part], self.losses[part], self.accuracies[part])

    def __add__(self, other: Points) -> Points:
        return Points([*self.steps, *other.steps], [*self.losses, *other.losses], [*self.accuracies, *other.accuracies])


NO_POINTS = Points((), (), ())


def encode(points: Points) -> bytes:
    """Return 1 to POINTS_PER_BLOCK points as the content of a BLOB; the same points give the same bytes."""
    steps = [points.steps[0], *(after - before for before, after in pairwise(points.steps))]
    denominator = _common_denominator(points.accuracies)
    numerators = _numerators(points, denominator)
    if numerators is None:
        denominator, numerators = 1, (points.losses, points.accuracies)
    columns = (_pack("q", steps), *(_pack("d", column) for column in numerators))
    return zlib.compress(struct.pack("<I", denominator) + b"".join(map(_by_significance, columns)), LEVEL)


def decode(content: object) -> Points:
    """Return the points in the content of a BLOB, which may come from an untrusted store.

    Raises:
        DamagedPointsError: if it is damaged, is longer than any block, or has steps that do not increase.
    """
    raw = _decompress(content)
    (denominator,), raw = struct.unpack("<I", raw[:HEADER]), raw[HEADER:]
    size = len(raw) // COLUMNS
    differences, losses, accuracies = (
        struct.unpack(f"<{size // NUMBER}{kind}", _by_number(raw[number * size : (number + 1) * size]))
        for number, kind in enumerate("qdd")
    )
    steps = tuple(accumulate(differences))
    if differences[0] < 0 or min(differences[1:], default=1) < 1 or steps[-1] > MAX_STEP or not denominator:
        raise DamagedPointsError("the steps of a curve do not increase, or its denominator is 0")
    return Points(steps, _quotients(losses, denominator), _quotients(accuracies, denominator))


def _common_denominator(values: Sequence[float]) -> int:
    """Return the smallest number of which all values are multiples of the reciprocal; 1 if it is large."""
    common = 1
    for value in set(values):
        common = math.lcm(common, _denominator(value))
        if not 0 < common <= MAX_DENOMINATOR:
            return 1
    return common


@lru_cache(4096)
def _denominator(value: float) -> int:
    """Return the denominator of a value as the nearest fraction; 0 if it is not equal to that."""
    if not math.isfinite(value):
        return 0
    fraction = Fraction(value).limit_denominator(MAX_DENOMINATOR)
    return fraction.denominator if fraction.numerator / fraction.denominator == value else 0


def _numerators(points: Points, denominator: int) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return losses and accuracies × `denominator`, in float32; None if dividing these would not give them exactly."""
    found = []
    for column in (points.losses, points.accuracies):
        try:
            numerators = _rounded([value * denominator for value in column])
        except OverflowError:  # larger than any float32
            return None
        if _pack("d", _quotients(numerators, denominator)) != _pack("d", column):
            return None
        found.append(numerators)
    return found[0], found[1]


def to_float32(value: float) -> float:
    """Return the nearest float32; the value itself if it is larger than any."""
    try:
        (rounded,) = _rounded([value])
    except OverflowError:
        return value
    return rounded


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values))


def _quotients(values: Sequence[float], denominator: int) -> tuple[float, ...]:
    """Return values / denominator, NaN for those that are not finite."""
    if math.isfinite(sum(values)):
        return tuple([value / denominator for value in values])
    return tuple([value / denominator if math.isfinite(value) else math.nan for value in values])


def _decompress(content: object) -> bytes:
    if not isinstance(content, bytes):
        raise DamagedPointsError("the points of a curve are not a BLOB")
    reader = zlib.decompressobj()
    try:
        raw = reader.decompress(content, MAX_BYTES + 1)
    except zlib.error as error:
        raise DamagedPointsError(f"the points of a curve cannot be decompressed: {error}") from None
    size = len(raw) - HEADER
    if not 0 < size <= MAX_BYTES - HEADER or size % (COLUMNS * NUMBER) or not reader.eof or reader.unused_data:
        raise DamagedPointsError(f"the points of a curve have a wrong length: {len(raw)} bytes")
    return raw


def _pack(kind: str, values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}{kind}", *values)


def _by_significance(column: bytes) -> bytes:
    return b"".join(column[place::NUMBER] for place in range(NUMBER))


def _by_number(column: bytes) -> bytes:
    numbers, count = bytearray(len(column)), len(column) // NUMBER
    for place in range(NUMBER):
        numbers[place::NUMBER] = column[place * count : (place + 1) * count]
    return bytes(numbers)
