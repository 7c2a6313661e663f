"""Curves of any length in a store, written without training, in small blocks so that they take many rows."""

from __future__ import annotations

from initlab_tui.store import sql
from initlab_tui.store.database import Store
from initlab_tui.store.point_codec import Points, decode, encode

BLOCK = 50


def fill_curve(store: Store, run_id: int, steps: int) -> None:
    """Write a training curve with the loss 1 / step and the accuracy 0.5."""
    with sql.transaction(store) as connection:
        for first in range(1, steps + 1, BLOCK):
            block = range(first, min(first + BLOCK, steps + 1))
            points = Points(block, [1 / step for step in block], [0.5] * len(block))
            insert = "INSERT INTO curves (run_id, split, step, points) VALUES (?, 'train', ?, ?)"
            connection.execute(insert, (run_id, first, encode(points)))


def is_filled(points: bytes) -> bool:
    """Return whether a block has values that `fill_curve` wrote."""
    block = decode(points)
    return all(loss == 1 / step for step, loss in zip(block.steps, block.losses, strict=True))
