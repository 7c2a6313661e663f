"""The lab and the commands over SSH, with connections that break while runs train.

    python -m tests.faults.ssh_cut [--cuts 10]

Each connection is cut in one of two ways: the client is killed, as when a laptop is closed, or the server's process of
the session. Either way the lab must end, its runs train on, and a later connection finds them.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs
from tests.benchmarks.figures import figure, machine
from tests.conftest import command_environment, command_line, end_workers, private_folders, worker_processes
from tests.execution.test_worker import wait_until
from tests.faults.intact import assert_all_steps
from tests.faults.sshd import Server, serve
from tests.tui.terminal import Terminal

SIZE = (120, 36)
CUTS = ("client", "session")
MOST_SECONDS = 10.0  # from the cut to the end of the lab
TRAINING_SECONDS = 200.0  # at most, until TensorFlow has started, and for the runs
INITIALIZERS = ("he_normal", "zeros")
RUNS = [f"--initializer={name}" for name in INITIALIZERS] + ["--seeds=1", "--hidden=256,256", "--batch-size=32"]
STEPS_PER_EPOCH = 44
STEP = re.compile(r"step (\d+)/")


@dataclass(frozen=True)
class Remote:
    """A user's home, with a store, on a machine that is reached over SSH."""

    server: Server
    home: Path

    @property
    def store(self) -> Path:
        return self.home / "lab.db"

    def arguments(self, *arguments: str) -> list[str]:
        return [*command_line(()), "--store", str(self.store), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command without a terminal to its end."""
        command = self.server.command(self.arguments(*arguments))
        return subprocess.run(command, capture_output=True, text=True, timeout=TRAINING_SECONDS)

    @contextlib.contextmanager
    def terminal(self, *arguments: str) -> Iterator[Terminal]:
        """Run the lab, or a command, on a terminal on both sides."""
        command = self.server.command(self.arguments(*arguments), terminal=True)
        environment = command_environment(self.home, TERM="xterm-256color")
        with Terminal(command, SIZE, environment, self.home) as shown:
            yield shown

    def runs(self) -> list[Run]:
        with Store.open(self.store) as store:
            return list_runs(store)

    def faces(self) -> list[psutil.Process]:
        """Return the labs and commands that use the store: all its processes but monitors and workers."""
        found = worker_processes(self.store)
        return [process for process in found if not any("initlab_tui.execution" in part for part in _line(process))]


def _line(process: psutil.Process) -> list[str]:
    return process.info["cmdline"] or []


@contextlib.contextmanager
def remote(home: Path) -> Iterator[Remote]:
    """Start a server for a home folder; at the end, kill the workers of its store.

    Raises:
        NoServerError: if there is none to start.
    """
    environment = command_environment(home)
    del environment["COLUMNS"], environment["PATH"]  # the terminal has its own size
    with serve(home, environment) as server:
        started = Remote(server, home)
        try:
            yield started
        finally:
            end_workers(started.store)


def cut(remote: Remote, shown: Terminal, how: str) -> float:
    """Cut a connection, and return after how many seconds the programs on its other side had ended."""
    began = time.monotonic()
    if how == "client":
        shown.process.kill()
    else:
        for session in remote.server.sessions():
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()
    wait_until(lambda: not remote.faces(), MOST_SECONDS)
    return time.monotonic() - began


def shown_step(text: str) -> int:
    """Return the step of the run that the lab shows, 0 if it shows none."""
    found = STEP.search(text)
    return int(found[1]) if found else 0


def wait_for_progress(remote: Remote) -> int:
    """Wait until the runs have trained further, and return the number of their steps."""
    before = _steps(remote)
    wait_until(lambda: _steps(remote) > before)
    return _steps(remote)


def _steps(remote: Remote) -> int:
    return sum(run.step for run in remote.runs())


def come_back(remote: Remote) -> None:
    """Check that the lab and `attach` show the runs that train, over a new connection, and stop the endless ones."""
    with remote.terminal() as shown:
        before = shown_step(shown.wait_for(shown_step))
        shown.wait_for(lambda text: shown_step(text) not in (0, before))  # the next run may have begun
        shown.send("q")
        shown.wait_for("Keep running")
        shown.send("\r")
        assert shown.exit_code() == 0


def check_results(remote: Remote, ids: range) -> int:
    """Check that the runs are done with every metric once, and return the number of metrics."""
    count = 0
    with Store.open(remote.store) as store:
        for run in list_runs(store, list(ids)):
            assert run.status == "done", (run.id, run.status, run.reason)
            train, test = read_curve(store, run.id, "train"), read_curve(store, run.id, "test")
            assert_all_steps(train, run.total_steps or 0)
            assert test.steps == tuple(range(0, (run.total_steps or 0) + 1, STEPS_PER_EPOCH))
            count += len(train.steps) + len(test.steps)
    return count


def cut_the_lab(remote: Remote, how: str, epochs: int) -> tuple[float, int]:
    """Cut the connection of a lab that shows detached runs, return with the lab, and follow the runs to their end.

    Returns after how many seconds the lab had ended, and the number of metrics, which are complete.
    """
    detached = remote.run("compare", *RUNS, "--epochs", str(epochs), "--detach")
    assert detached.returncode == 0, detached.stderr
    first, last = map(int, detached.stdout.split())
    with remote.terminal() as shown:
        shown.wait_for(shown_step, seconds=TRAINING_SECONDS)
        seconds = cut(remote, shown, how)
    wait_for_progress(remote)
    come_back(remote)
    followed = remote.run("attach", str(first), "--json")
    assert followed.returncode == 0, followed.stderr
    return seconds, check_results(remote, range(first, last + 1))


def cut_a_command(remote: Remote, how: str, epochs: int) -> tuple[float, int]:
    """Cut the connection of a command that follows its own runs, and attach to them; returns as `cut_the_lab`."""
    first = len(remote.runs()) + 1 if remote.store.exists() else 1
    with remote.terminal("compare", *RUNS, "--epochs", str(epochs)) as shown:
        shown.wait_for("train loss", seconds=TRAINING_SECONDS)
        seconds = cut(remote, shown, how)
    wait_for_progress(remote)
    with remote.terminal("attach", str(first)) as shown:
        assert shown.exit_code(seconds=TRAINING_SECONDS) == 0
        assert all(name in shown.text for name in INITIALIZERS)
    return seconds, check_results(remote, range(first, first + len(INITIALIZERS)))


SCENARIOS: tuple[tuple[str, Callable[[Remote, str, int], tuple[float, int]]], ...] = (
    ("the lab", cut_the_lab),
    ("a command", cut_a_command),
)


def main() -> None:
    """Cut connections and print how long the programs on the other side lived on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=200)
    options = parser.parse_args()
    print(machine(), flush=True)
    seconds: dict[str, list[float]] = {name: [] for name, _ in SCENARIOS}
    metrics = 0
    with (
        tempfile.TemporaryDirectory(prefix="initlab-ssh-") as folder,
        private_folders(Path(folder)),
        remote(Path(folder)) as home,
    ):
        every = itertools.product(CUTS, SCENARIOS)
        for how, (name, scenario) in itertools.islice(itertools.cycle(every), options.cuts):
            took, count = scenario(home, how, options.epochs)
            print(f"cut by killing the {how} under {name}: it had ended after {took:.1f} s", flush=True)
            seconds[name].append(took)
            metrics += count
    for name, each in seconds.items():
        figure(f"from a cut to the end of {name}, at most", f"{max(each, default=0.0):.1f} s of {len(each)}")
    figure("metrics recorded, none lost or doubled", f"{metrics:,}")


if __name__ == "__main__":
    main()
