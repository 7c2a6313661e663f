"""The tables that the commands print, at several widths and in a pipe."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.leaderboard import Outcome, leaderboard
from initlab_tui.reports import columns
from initlab_tui.reports.tables import leaderboard_tables, runs_table, uncut_width
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, list_runs

REASON = "the worker ended with signal 9 (SIGKILL), possibly out of memory: " + "stopped by the kernel " * 12


def lines(renderable: object, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def done(run: Run, loss: float) -> Run:
    finished = dataclasses.replace(run, status=RunStatus.DONE, step=12_345, total_steps=12_345)
    return dataclasses.replace(finished, test_accuracy=0.8654, test_loss=loss)


@pytest.fixture
def runs(store: Store, tmp_path: Path) -> list[Run]:
    """Three runs: one with a long initializer name, one with a long reason."""
    names = ("he_normal", "import:my_package.my_module.MyInitializer:scale=0.125,mode=fan_in", "zeros")
    specs = [RunSpec(initializer=Initializer.parse(name)) for name in names]
    queue.enqueue(store, None, specs, Requirements("cpu", 1, None, tmp_path))
    first, second, third = list_runs(store)
    return [
        done(first, 0.012345),
        done(second, 2.3456e-05),
        dataclasses.replace(third, id=1_234_567, status=RunStatus.CRASHED, reason=REASON),
    ]


@pytest.mark.parametrize("width", [80, 120, 160, 200])
def test_a_long_reason_never_truncates_the_numbers_of_a_run(runs: list[Run], width: int) -> None:
    header, *rows = lines(runs_table(runs, width), width)
    assert all(len(line) <= width for line in (header, *rows)) and len(rows) == 3
    assert header.split()[0] == "id" and header.split()[-1] == "reason"
    assert rows[2].split()[0] == "1234567" and "crashed" in rows[2]
    assert "86.5" in rows[0] and "0.01235" in rows[0] and "2.346e-05" in rows[1]
    assert rows[2].rstrip().endswith("…") and "the worker" in rows[2]


def test_in_a_pipe_nothing_is_truncated(runs: list[Run]) -> None:
    table = runs_table(runs, None)
    _, *rows = lines(table, uncut_width(table))
    assert len(rows) == 3 and "…" not in "".join(rows)
    assert (
        rows[2].rstrip().endswith(REASON.strip())
        and "my_package.my_module.MyInitializer scale=0.125,mode=fan_in" in rows[1]
    )


def test_the_reason_column_is_left_out_if_no_run_has_a_reason(runs: list[Run]) -> None:
    assert "reason" not in lines(runs_table(runs[:2], 200), 200)[0]


@pytest.mark.parametrize("width", [80, 120, 160, None])
def test_the_leaderboard_truncates_names_before_numbers(width: int | None) -> None:
    name = Initializer.parse("import:my_package.my_module.MyInitializer:scale=0.125,mode=fan_in")
    specs = [
        RunSpec(initializer=initializer, activation=activation, seed=seed)
        for initializer in (name, Initializer.parse("he_normal"))
        for activation in ("relu", "tanh")
        for seed in range(2)
    ]
    outcomes = [
        Outcome(run_id, spec, spec.spec_hash, RunStatus.DONE, 0.5 + run_id / 100, 1.2345, 75.0, 123_456.0, 100, "f")
        for run_id, spec in enumerate(specs)
    ]
    text = lines(leaderboard_tables(leaderboard(outcomes), width), width or 200)
    assert len(text) == 7 and all(len(line) <= (width or 200) for line in text)
    assert all(f" {rank} " in f" {line}" and "±" in line for rank, line in enumerate(text[2:6], 1))
    assert ("123k" in text[2]) == (width != 80)


def test_a_group_without_a_finished_run_shows_no_rank() -> None:
    spec = RunSpec()
    (row,) = leaderboard([Outcome(1, spec, spec.spec_hash, RunStatus.QUEUED, None, None, 0.0, None, None, None)])
    assert columns.RANK.show(row) == "" and columns.STATUS.show(row) == "queued"
