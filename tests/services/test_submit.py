"""Submitting a comparison: checks, queue and workers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.services import submit
from initlab_tui.services.resources import Resources
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs

COMPARISON = Comparison.checked(initializers=["zeros", "he_normal"], seeds=[0, 1])


def test_submit_queues_the_runs_and_starts_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[WorkerPlan, float]] = []

    def start(_: Store, plan: WorkerPlan, idle: float) -> list[int]:
        started.append((plan, idle))
        return [7]

    monkeypatch.setattr(supervisor, "start_workers", start)
    submission = submit.prepare(COMPARISON, None, Path("/"), Resources("cpu", 1, 2))
    assert list_runs(store) == []
    submitted = submit.submit(store, submission, idle=5.0)
    runs = list_runs(store, submitted.ids)
    assert [run.spec for run in runs] == list(COMPARISON.runs())
    assert {(run.device, run.threads, run.import_folder) for run in runs} == {("cpu", 2, "/")}
    assert started == [(WorkerPlan(workers=1, threads=2, device="cpu"), 5.0)]
    assert submitted.worker_ids == (7,)
    assert submitted.facts.train == 1437


def test_runs_are_stopped_when_no_worker_can_be_started(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    submission = submit.prepare(COMPARISON, None, Path("/"), Resources("cpu"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        submit.submit(store, submission)
    assert {run.status for run in list_runs(store)} == {RunStatus.STOPPED}


def test_invalid_comparisons_are_refused_before_anything_is_written(store: Store) -> None:
    large_batch = COMPARISON.model_copy(update={"base": RunSpec(batch_size=2000)})
    with pytest.raises(InvalidInputError, match="batch_size must be <= 1437"):
        submit.prepare(large_batch, None, Path("/"))
    with pytest.raises(InvalidInputError, match="unknown device 'abacus'"):
        submit.prepare(COMPARISON, None, Path("/"), Resources("abacus"))
    assert list_runs(store) == []


def test_a_missing_module_is_refused_without_starting_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    mistyped = Comparison.checked(initializers=["zeros", "import:my_strats.he"], seeds=[0])
    with pytest.raises(InvalidInputError, match=f"no module named 'my_strats' in {tmp_path}") as caught:
        submit.prepare(mistyped, None, tmp_path)
    assert [problem.field for problem in caught.value.problems] == ["initializer"]


@pytest.mark.parametrize("quiet", [True, False])
def test_download_progress_is_shown_unless_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    fake_python = tmp_path / "python"
    fake_python.write_text("#!/bin/sh\necho Downloading data\necho connection refused >&2\nexit 3\n")
    fake_python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake_python))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    spec = COMPARISON.model_copy(update={"base": RunSpec(dataset="mnist")})
    with pytest.raises(InvalidInputError, match="connection refused"):
        submit.prepare(spec, None, Path("/"), quiet=quiet)
    assert capfd.readouterr() == (("", "") if quiet else ("", "Downloading data\n"))
