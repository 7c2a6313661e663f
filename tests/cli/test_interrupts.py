"""Ctrl+C while a command starts: exit 130, without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import command_environment

MODULE = ("-m", "initlab_tui")
SCRIPT = ("-c", "import sys; from initlab_tui.__main__ import main; sys.exit(main())")  # as an installer generates it
# In the order of their import; the command itself imports the last two.
IMPORTED = (
    "rich.console",
    "typer.core",
    "initlab_tui.cli.app",
    "pydantic",
    "initlab_tui.services.inspect_layers",
)


def interrupt(launcher: tuple[str, ...], module: str, folder: Path) -> tuple[int, str]:
    """Press Ctrl+C as soon as `inspect` has imported `module`; return the exit code and the rest of stderr."""
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", *launcher, "inspect", "--initializer", "he_normal"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=command_environment(folder),
        start_new_session=True,
    ) as command:
        assert command.stderr is not None
        for line in command.stderr:
            if line.split("|")[-1].strip() == module:
                break
        os.killpg(command.pid, signal.SIGINT)
        printed = [line for line in command.stderr if not line.startswith("import time:")]
    return command.returncode, "".join(printed)


@pytest.mark.parametrize("module", IMPORTED)
def test_ctrl_c_ends_a_starting_command_quietly(tmp_path: Path, module: str) -> None:
    assert interrupt(MODULE, module, tmp_path) == (130, "")


@pytest.mark.parametrize("module", IMPORTED[:2])
def test_ctrl_c_ends_the_installed_script_quietly(tmp_path: Path, module: str) -> None:
    assert interrupt(SCRIPT, module, tmp_path) == (130, "")
