"""Commands on a store that permission bits protect, as for any user but root, whom they do not stop."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from tests.conftest import command_environment, command_line
from tests.database import execute

RUN = ("run", "--epochs", "1", "--detach")


def command(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command without the privilege of root to ignore permission bits."""
    unprivileged = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("permission bits do not bind root, and there is no setpriv to change that")
        unprivileged = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    line = [*unprivileged, *command_line([*arguments, "--store", str(store)])]
    return subprocess.run(line, capture_output=True, text=True, env=command_environment(store.parent), timeout=100)


@pytest.fixture
def path(store: Store) -> Path:
    """A store with a run that is done."""
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    execute(store, "UPDATE runs SET status = 'done', test_accuracy = 0.5, test_loss = 1.0")
    store.close()
    return store.path


def test_a_store_without_write_permission_is_shown_and_not_changed(path: Path) -> None:
    path.chmod(0o400)
    before = path.read_bytes()
    for shown in ("runs", "show 1", "leaderboard"):
        assert command(path, *shown.split()).returncode == 0, shown
    for change in (RUN, ("stop", "--all"), ("retry", "1")):
        refused = command(path, *change)
        assert (refused.returncode, refused.stdout) == (2, ""), change
        assert "can be read but not changed: you have no permission to write to it" in refused.stderr
    assert path.read_bytes() == before


def test_a_files_folder_without_write_permission_is_refused_before_anything_is_queued(path: Path) -> None:
    folder = path.with_name("lab.db-files")
    folder.mkdir(mode=0o500, exist_ok=True)
    folder.chmod(0o500)
    refused = command(path, *RUN)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "the folder of logs and checkpoints" in refused.stderr and "cannot be written" in refused.stderr
    assert command(path, "runs").stdout.count("\n") == 2  # the heading and the run that was there
