"""The content of a BLOB with the points of a curve."""

from __future__ import annotations

import math
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlab_tui.store.point_codec import (
    POINTS_PER_BLOCK,
    DamagedPointsError,
    Points,
    decode,
    encode,
    to_float32,
)
from initlab_tui.store.rows import MAX_STEP

FLOATS = st.floats(allow_infinity=False)


@st.composite
def points(draw: st.DrawFn) -> Points:
    steps = sorted(draw(st.sets(st.integers(0, MAX_STEP), min_size=1, max_size=POINTS_PER_BLOCK)))
    values = st.lists(FLOATS, min_size=len(steps), max_size=len(steps))
    return Points(steps, draw(values), draw(values))


def bits(found: Points) -> tuple[object, ...]:
    """Return points in a form in which NaN is equal to itself, and 0.0 is not equal to -0.0."""
    return (tuple(found.steps), *(tuple(map(repr, column)) for column in (found.losses, found.accuracies)))


@given(points())
def test_any_points_are_read_as_they_were_written(written: Points) -> None:
    assert bits(decode(encode(written))) == bits(written)


@pytest.mark.parametrize("images", (360, 3000, 10_000))
def test_evaluations_are_exact_and_take_less_than_six_bytes(images: int) -> None:
    chance = random.Random(images)
    # As they are computed: a sum in float32, and a count.
    losses = [to_float32(chance.uniform(0.1, 0.2) * images) / images for _ in range(POINTS_PER_BLOCK)]
    accuracies = [chance.randint(images * 95 // 100, images * 97 // 100) / images for _ in range(POINTS_PER_BLOCK)]
    written = Points(range(0, 44 * POINTS_PER_BLOCK, 44), losses, accuracies)
    assert bits(decode(encode(written))) == bits(written)
    assert len(encode(written)) < 6 * POINTS_PER_BLOCK


def content(raw: bytes) -> bytes:
    return zlib.compress(raw)


@pytest.mark.parametrize(
    "damaged",
    (
        pytest.param(None, id="NULL"),
        pytest.param("text", id="text"),
        pytest.param(5, id="number"),
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="not compressed"),
        pytest.param(content(b""), id="nothing"),
        pytest.param(content(struct.pack("<I", 1)), id="no points"),
        pytest.param(content(bytes(28)), id="denominator 0"),
        pytest.param(content(struct.pack("<I", 1) + bytes(25)), id="part of a number"),
        pytest.param(content(struct.pack("<I", 1) + bytes(24 * (POINTS_PER_BLOCK + 1))), id="too many points"),
        pytest.param(content(bytes(1_000_000_000)), id="bomb"),
        pytest.param(encode(Points([1], [1.0], [1.0])) + b"more", id="more after the end"),
        pytest.param(encode(Points([1], [1.0], [1.0]))[:-1], id="cut"),
        pytest.param(encode(Points([2, 1], [1.0, 1.0], [1.0, 1.0])), id="steps in wrong order"),
        pytest.param(encode(Points([1, 1], [1.0, 1.0], [1.0, 1.0])), id="the same step twice"),
        pytest.param(encode(Points([-1], [1.0], [1.0])), id="negative step"),
    ),
)
def test_damaged_content_is_refused(damaged: object) -> None:
    with pytest.raises(DamagedPointsError):
        decode(damaged)


def test_no_changed_byte_gives_other_points() -> None:
    points = Points(range(1, 51), [1 / step for step in range(1, 51)], [0.5] * 50)
    written = encode(points)
    refused = 0
    for place in range(len(written)):
        try:
            found = decode(written[:place] + bytes([written[place] ^ 0x40]) + written[place + 1 :])
        except DamagedPointsError:
            refused += 1
        else:  # not every bit has a meaning
            assert bits(found) == bits(points)
    assert refused > 0.99 * len(written)


def test_infinite_values_are_read_as_nan() -> None:
    found = decode(encode(Points([1, 2], [math.inf, 1.0], [0.5, -math.inf])))
    assert math.isnan(found.losses[0]) and math.isnan(found.accuracies[1]) and found.losses[1] == 1.0
