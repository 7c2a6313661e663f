"""A worker that the kernel kills because the memory limit of its cgroup is reached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from initlab_tui.execution import memory
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs
from tests.conftest import command_environment, command_line

LIMIT_BYTES = 300_000_000  # the command, its process monitor, and a worker that takes the rest
FILES = {"cgroup.controllers": "memory.max", "memory.oom_control": "memory.limit_in_bytes"}  # of versions 2 and 1
TESTS = Path(__file__).parents[1]
JOIN = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"


def make_group() -> Path | None:
    """Make a cgroup with a memory limit; None if this user may not, or there is no memory controller."""
    for mount in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        group = mount / f"initlab-test-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            for file, limit in FILES.items():
                if (group / file).exists() and (group / limit).exists():
                    (group / limit).write_text(str(LIMIT_BYTES))
                    return group
            group.rmdir()
    return None


@pytest.fixture
def limited_group() -> Iterator[Path]:
    group = make_group()
    if group is None:
        pytest.skip("this user cannot limit the memory of a cgroup")
    yield group
    members = [psutil.Process(int(pid)) for pid in (group / "cgroup.procs").read_text().split()]
    psutil.wait_procs(members, 20)  # the process monitor ends after its worker
    group.rmdir()


def test_a_worker_killed_by_the_kernel_says_that_memory_ran_out_under_which_limit_and_what_helps(
    limited_group: Path, tmp_path: Path
) -> None:
    environment = command_environment(
        tmp_path, INITLAB_TEST_WORKER="hungry", PYTHONPATH=f"{TESTS / 'tui/fakes'}:{TESTS.parent}"
    )
    store = tmp_path / "lab.db"
    command = command_line(["--store", str(store), "compare", "--initializer", "zeros", "--seeds", "1"])
    finished = subprocess.run(
        [sys.executable, "-c", JOIN, str(limited_group / "cgroup.procs"), *command],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 1
    with Store.open(store) as opened:
        (run,) = list_runs(opened)
    assert run.status == "crashed"
    assert re.search(
        r"killed by SIGKILL \(signal 9\): out of memory "
        r"\(it used at least 0\.[12] GB; 0\.[012] GB of 0\.3 GB were available\); use fewer workers",
        run.reason,
    )
    assert run.reason in finished.stderr
    assert run.deaths == 1  # a run that kills a second worker is not tried again
    assert memory.HELP in finished.stderr
