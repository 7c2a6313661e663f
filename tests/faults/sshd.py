"""A real OpenSSH server on the loopback interface, with its own keys, run by the current user."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 20.0
PRIVILEGE_SEPARATION = Path("/run/sshd")  # which a server that root starts needs
CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""


class NoServerError(Exception):
    """There is no server to test with, and the message says why."""


@dataclass(frozen=True)
class Server:
    """A running server; `environment` is set for every command that is run over it."""

    process: psutil.Process
    folder: Path
    port: int
    environment: Mapping[str, str]

    def command(self, arguments: Sequence[str], *, terminal: bool = False) -> list[str]:
        """Return the command line that runs a program over SSH, in the folder, with or without a terminal there."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        remote = f"cd {shlex.quote(str(self.folder))} && exec {shlex.join(['env', *variables, *arguments])}"
        options = ["-F", "none", "-p", str(self.port), "-i", str(self.folder / "key"), "-l", getpass.getuser()]
        settings = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
        options += [part for setting in settings for part in ("-o", setting)]
        return ["ssh", *options, *(["-tt"] if terminal else []), "127.0.0.1", remote]

    def sessions(self) -> list[psutil.Process]:
        """Return the processes that serve connections; on each depends a shell or a program."""
        return [process for process in self.process.children(recursive=True) if process.name().startswith("sshd")]


@contextlib.contextmanager
def serve(folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Run a server on a free port until the end of the `with` block.

    Raises:
        NoServerError: if it is not installed, or does not start here.
    """
    path = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if path is None or shutil.which("ssh") is None:
        raise NoServerError("no OpenSSH server and client here: install openssh-server")
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    port = _free_port()
    configuration = folder / "sshd_config"
    configuration.write_text(CONFIGURATION.format(port=port, folder=folder))
    log = folder / "sshd.log"
    with _privilege_separation(), subprocess.Popen([path, "-D", "-f", configuration, "-E", log]) as started:
        try:
            _wait_until_listening(started, port, log)
            yield Server(psutil.Process(started.pid), folder, port, environment)
        finally:
            for session in psutil.Process(started.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    session.terminate()
            started.terminate()


@contextlib.contextmanager
def _privilege_separation() -> Iterator[None]:
    """Create the empty folder that a server of root needs, which otherwise the start script of the system does."""
    if os.geteuid() != 0 or PRIVILEGE_SEPARATION.exists():
        yield
        return
    PRIVILEGE_SEPARATION.mkdir(mode=0o755)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # another test run uses it too
            PRIVILEGE_SEPARATION.rmdir()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_listening(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise NoServerError(f"sshd does not start here: {log.read_text().strip()}")
        time.sleep(0.05)
