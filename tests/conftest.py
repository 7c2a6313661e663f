"""What the tests share: real stores in empty folders, real MNIST where it is at hand, the real command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unittest import mock

import psutil
import pytest

from initlab_tui.cli.app import main
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store.database import Store

MNIST = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure() -> None:
    # A shell has what it runs in the background ignore Ctrl+C, and every program that is started here would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "lab.db")


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    if not (MNIST / "mnist.npz").is_file():
        pytest.skip(f"real MNIST is not here: {MNIST / 'mnist.npz'}")
    return MNIST


@dataclass(frozen=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ran]


def command_environment(home: Path, **more: str) -> dict[str, str]:
    """A person's environment with nothing in it but a home of their own."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "200", **more}


def run_here(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Ran:
    """Run the command line in this process, with streams, environment and working folder of its own."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        Path(os.devnull).open(encoding="utf-8") as nothing,
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["initlab-tui", *arguments]),
        mock.patch.object(sys, "stdin", nothing),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # the command line has its own
        return Ran(code, _written(out), _written(err))


def _written(stream: TextIO) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture
def initlab(tmp_path: Path) -> Command:
    """Runs the command line in an empty folder with an empty home, in this process."""

    def run(*arguments: str, **environment: str) -> Ran:
        return run_here(arguments, tmp_path, command_environment(tmp_path, **environment))

    return run


@pytest.fixture
def initlab_process(tmp_path: Path) -> Command:
    """Runs the real command in an empty folder with an empty home, in a process of its own."""

    def run(*arguments: str, **environment: str) -> Ran:
        finished = subprocess.run(
            command_line(arguments),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=command_environment(tmp_path, **environment),
            timeout=200,
        )
        return Ran(finished.returncode, finished.stdout, finished.stderr)

    return run


def command_line(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "initlab_tui", *arguments]


ONE_THREAD = WorkerPlan(workers=1, threads=1, device="cpu")


class WarmStore:
    """A store shared by many tests, with a worker that has imported TensorFlow and waits for runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> Store:
        """Open the store, with its worker alive: a test may have ended it."""
        store = Store.open(self.path)
        supervisor.start_workers(store, ONE_THREAD, idle=600)
        return store

    def close(self) -> None:
        """End the worker."""
        end_workers(self.path)


def worker_processes(store: Path) -> list[psutil.Process]:
    """The monitors and workers of a store."""
    return [process for process in psutil.process_iter(["cmdline"]) if str(store) in (process.info["cmdline"] or ())]


def end_workers(store: Path) -> None:
    """Kill the processes of a store's workers."""
    while processes := worker_processes(store):  # a monitor may have started one more
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, 1)


@pytest.fixture(scope="session")
def warm_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmStore]:
    """One worker for all tests that train but are not about starting a worker: it imports TensorFlow once."""
    warm = WarmStore(tmp_path_factory.mktemp("warm") / "lab.db")
    yield warm
    warm.close()


@pytest.fixture
def warm(warm_store: WarmStore, tmp_path: Path) -> Iterator[Command]:
    """Runs the command line as `initlab` does, with `warm_store` as its store and one core: its worker trains."""

    def run(*arguments: str, **environment: str) -> Ran:
        here = command_environment(tmp_path, INITLAB_STORE=str(warm_store.path), **environment)
        with warm_store.open(), one_core():
            return run_here(arguments, tmp_path, here)

    yield run
    run("stop", "--all")  # the next test's runs do not wait for those that a failed one left


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Let this thread and what it starts use one core, so that a comparison is planned for one worker."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})  # not the same for every process that tests
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
