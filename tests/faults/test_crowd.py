"""Several followers and workers on one store at the same time; `python -m tests.faults.crowd` does it for longer."""

from __future__ import annotations

from pathlib import Path

from tests.faults.crowd import crowd


def test_followers_and_workers_on_one_store_neither_block_nor_miss_anything(tmp_path: Path) -> None:
    found = crowd(tmp_path, seconds=5, worker_count=2, followers=4)
    assert found.complaints == []
    assert found.attached >= 1 and found.runs > 8
