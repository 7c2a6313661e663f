"""What the tests share: real stores in empty folders, real MNIST where it is at hand, the real command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture
def initlab(tmp_path: Path) -> Command:
    """Runs the real command in an empty folder with an empty home."""

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
