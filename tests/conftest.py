"""Shared fixtures: real stores in empty folders, real MNIST if available, and the real command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unittest import mock

import psutil
import pytest
from hypothesis import settings

from initlab_tui.cli.app import main
from initlab_tui.execution import supervisor, tensorflow_process
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.store.database import Store

MNIST = Path(__file__).parents[2] / "shared" / "data"

# Expensive fixtures shared by many tests: pytest-xdist runs the tests of each in one process.
SHARED_FIXTURES = ("warm_store", "programs", "hashes", "session", "wide_networks", "forked")

settings.register_profile("any machine", deadline=None)  # the time per example depends on what else is running
settings.load_profile("any machine")


def pytest_configure() -> None:
    # A shell makes background jobs ignore SIGINT, and every child process of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in SHARED_FIXTURES:
            if name in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use folders for cache and state for the tests alone, shared by all processes of a test run."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with private_folders(folder):
        yield


@contextlib.contextmanager
def private_folders(folder: Path) -> Iterator[None]:
    """Use folders for cache and state in `folder`, also in the processes that are started meanwhile."""
    places = {"XDG_CACHE_HOME": str(folder / "cache"), "XDG_STATE_HOME": str(folder / "state")}
    with mock.patch.dict(os.environ, places):
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "lab.db")


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    if not (MNIST / "mnist.npz").is_file():
        pytest.skip(f"real MNIST not found: {MNIST / 'mnist.npz'}")
    return MNIST


@dataclass(frozen=True)
class CommandResult:
    """A command's exit code and output."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., CommandResult]


def command_environment(home: Path, **more: str) -> dict[str, str]:
    """Return a minimal environment with its own home folder."""
    state = {"XDG_STATE_HOME": os.environ["XDG_STATE_HOME"]}  # the key with which this user's runs are marked
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "COLUMNS": "200", **state, **more}


def run_in_process(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> CommandResult:
    """Run the command line in this process, with its own streams, environment and working folder."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        Path(os.devnull).open(encoding="utf-8") as no_input,
        mock.patch.dict(os.environ, environment, clear=True),
        mock.patch.object(sys, "argv", ["initlab-tui", *arguments]),
        mock.patch.object(sys, "stdin", no_input),
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # main() installed its own handler
        return CommandResult(code, _written(out), _written(err))


def _written(stream: TextIO) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture
def initlab(tmp_path: Path) -> Command:
    """Return a function that runs the command line in this process, in an empty folder with an empty home."""

    def run(*arguments: str, **environment: str) -> CommandResult:
        return run_in_process(arguments, tmp_path, command_environment(tmp_path, **environment))

    return run


@pytest.fixture
def initlab_process(tmp_path: Path) -> Command:
    """Return a function that runs the command in a new process, in an empty folder with an empty home."""

    def run(*arguments: str, **environment: str) -> CommandResult:
        finished = subprocess.run(
            command_line(arguments),
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=command_environment(tmp_path, **environment),
            timeout=200,
        )
        return CommandResult(finished.returncode, finished.stdout, finished.stderr)

    return run


class InProcessTensorFlow:
    """Runs the TensorFlow helper in this process, where `tensorflow_process` would start a new one."""

    DEVNULL = subprocess.DEVNULL

    @staticmethod
    def run(command: list[str], *, env: Mapping[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        from initlab_tui.training import tensorflow_helper

        module = command.index(tensorflow_helper.__name__)
        urllib.request.install_opener(None)  # an opener keeps the proxies of an earlier test
        with mock.patch.dict(os.environ, env, clear=True), contextlib.redirect_stdout(io.StringIO()):
            tensorflow_helper.main(command[module + 1 :])
        return subprocess.CompletedProcess(command, 0)


@pytest.fixture
def tensorflow_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the TensorFlow helper in this process, because starting another takes seconds."""
    monkeypatch.setattr(tensorflow_process, "subprocess", InProcessTensorFlow)


def command_line(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "initlab_tui", *arguments]


ONE_THREAD = WorkerPlan(workers=1, threads=1, device="cpu")


class WarmStore:
    """A store shared by many tests, with a worker that has imported TensorFlow and is waiting for runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> Store:
        """Open the store, and start a new worker if a test has ended the last one."""
        store = Store.open(self.path)
        supervisor.start_workers(store, ONE_THREAD, idle=600)
        return store

    def close(self) -> None:
        """Kill the worker and its monitor."""
        end_workers(self.path)


def worker_processes(store: Path) -> list[psutil.Process]:
    """Return the processes of a store's monitors and workers."""
    return [process for process in psutil.process_iter(["cmdline"]) if str(store) in (process.info["cmdline"] or ())]


def end_workers(store: Path) -> None:
    """Kill a store's workers and their monitors."""
    while processes := worker_processes(store):  # a monitor may have started another worker
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, 1)


@pytest.fixture(scope="session")
def warm_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmStore]:
    """Share one worker, so TensorFlow is imported once, among tests that are not about starting a worker."""
    warm = WarmStore(tmp_path_factory.mktemp("warm") / "lab.db")
    yield warm
    warm.close()


@pytest.fixture
def warm(warm_store: WarmStore, tmp_path: Path) -> Iterator[Command]:
    """Return a function like `initlab` that uses `warm_store` and one core, so its worker does the training."""

    def run(*arguments: str, **environment: str) -> CommandResult:
        with_store = command_environment(tmp_path, INITLAB_STORE=str(warm_store.path), **environment)
        with warm_store.open(), one_core():
            return run_in_process(arguments, tmp_path, with_store)

    yield run
    run("stop", "--all")  # so the next test does not queue behind runs left by a failed one


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Restrict this thread and its child processes to one core, so a comparison is planned for one worker."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})  # parallel test processes use different cores
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
