from __future__ import annotations

import sys
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import Comparison, RunSpec
from initlab_tui.services import submit
from initlab_tui.services.submit import Resources
from initlab_tui.store.database import Store

COMPARISON = Comparison.checked(initializers=["zeros", "he_normal"], seeds=[0, 1])


def test_a_comparison_is_queued_as_it_was_prepared(store: Store) -> None:
    submission = submit.prepare(COMPARISON, None, Path("/"), Resources("cpu", 1, 2))
    assert store.runs() == []
    runs = store.runs(submit.enqueue(store, submission))
    assert [run.spec for run in runs] == list(COMPARISON.runs())
    assert {(run.device, run.threads, run.import_folder) for run in runs} == {("cpu", 2, "/")}
    assert (submission.plan.workers, submission.plan.threads) == (1, 2)


def test_what_cannot_be_trained_is_told_before_anything_is_written(store: Store) -> None:
    own = COMPARISON.model_copy(update={"base": RunSpec(batch_size=2000)})
    with pytest.raises(InvalidInputError, match="batch_size must be <= 1437"):
        submit.prepare(own, None, Path("/"))
    with pytest.raises(InvalidInputError, match="device 'abacus' is not here"):
        submit.prepare(COMPARISON, None, Path("/"), Resources("abacus"))
    assert store.runs() == []


@pytest.mark.parametrize("quiet", [True, False])
def test_a_screen_hears_nothing_of_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    chatty = tmp_path / "python"
    chatty.write_text("#!/bin/sh\necho Downloading data\necho oh dear >&2\nexit 3\n")
    chatty.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(chatty))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    spec = COMPARISON.model_copy(update={"base": RunSpec(dataset="mnist")})
    with pytest.raises(InvalidInputError, match="oh dear"):
        submit.prepare(spec, None, Path("/"), quiet=quiet)
    assert capfd.readouterr() == (("", "") if quiet else ("", "Downloading data\n"))
