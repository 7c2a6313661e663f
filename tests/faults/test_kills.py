"""Kills of workers and monitors, in a small number; `kills.py` and `nth_write.py` run the long versions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import kills
from tests.faults.forked_workers import ForkedWorkers, forked_workers
from tests.faults.nth_write import kill_before, make_template
from tests.faults.write_trace import Write, can_trace


def test_random_kills_lose_nothing_and_every_run_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    found = kills.kill_at_random(tmp_path, kills=3, seed=random.randrange(1_000_000), epochs=100)
    assert found.count == 3 and found.runs >= kills.QUEUED


@pytest.fixture(scope="module")
def forked() -> Iterator[ForkedWorkers]:
    if not can_trace():
        pytest.skip("this kernel or processor does not support the trace of writes")
    with forked_workers() as workers:
        yield workers


@pytest.fixture(scope="module")
def template(forked: ForkedWorkers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(forked, tmp_path_factory.mktemp("template"))


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("pwrite", "lab.db-wal"),
        ("rename", "run-2.previous.npz"),
        ("rename", "run-2.npz"),
        ("unlink", "run-2.previous.npz"),
    ],
)
def test_a_worker_killed_before_a_write_loses_nothing(
    forked: ForkedWorkers, template: Path, tmp_path: Path, kind: str, file: str
) -> None:
    def is_fatal(write: Write) -> bool:
        return (write.kind, write.file) == (kind, file)

    killed = kill_before(forked, template, tmp_path / "killed", is_fatal)
    assert is_fatal(killed.writes[-1]) and killed.status is not None
