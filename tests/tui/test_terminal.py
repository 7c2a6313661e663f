"""The real lab on a pseudo-terminal: exiting, misbehaving workers, damaged stores, small and limited terminals."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs
from tests.conftest import Command, command_environment, command_line
from tests.tui.terminal import CTRL_C, DOWN, END, ENTER, ESCAPE, TIMEOUT_SECONDS, Terminal

SIZE = (120, 36)
TITLES = ("1 Setup", "2 Training", "3 Results")
HE_NORMAL_OF_THREE = re.compile(r"he_normal +✓ +[\d.]+ ± [\d.]+ +3 ")
TESTS = Path(__file__).parents[1]
PROBE = """
import json, pathlib, sys
sys.argv = ["initlab-tui"]
try:
    from initlab_tui.cli.app import main
    main()
finally:
    pathlib.Path("modules.json").write_text(json.dumps(sorted(sys.modules)))
"""

BROKEN = """
import sys
sys.argv = ["initlab-tui"]
from initlab_tui.cli.app import main
from initlab_tui.tui.store_monitor import StoreMonitor
def fail(*_):
    raise RuntimeError("unexpected")
StoreMonitor.poll = fail
sys.exit(main())
"""


@dataclass
class Lab:
    """An empty home folder, and the program on terminals in it."""

    home: Path
    terminals: ExitStack = field(default_factory=ExitStack)

    @property
    def store_path(self) -> Path:
        return self.home / ".local/share/initlab-tui/lab.db"

    def start(
        self,
        *arguments: str,
        worker: str | None = None,
        command: list[str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Terminal:
        """Start the program, or `command`, with the fake workers named `worker` or with real ones."""
        fake = {"INITLAB_TEST_WORKER": worker, "PYTHONPATH": f"{TESTS / 'tui/fakes'}:{TESTS.parent}"} if worker else {}
        env = command_environment(self.home, **{"TERM": "xterm-256color", **fake, **(environment or {})})
        del env["COLUMNS"]  # the terminal has its own size
        return self.terminals.enter_context(Terminal(command or command_line(arguments), SIZE, env, self.home))

    def open(self, worker: str | None = None, environment: Mapping[str, str] | None = None) -> Terminal:
        """Start the lab and wait until it accepts keys."""
        terminal = self.start(worker=worker, environment=environment)
        terminal.wait_for("Quit")
        return terminal

    def runs(self) -> list[Run]:
        with Store.open(self.store_path) as store:
            return list_runs(store)

    def wait_for_runs(self, condition: Callable[[list[Run]], bool]) -> list[Run]:
        """Wait until the store's runs satisfy a condition."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition(runs := self.runs()):
            assert time.monotonic() < deadline, [(run.id, run.status, run.reason) for run in runs]
            time.sleep(0.05)
        return runs

    def processes(self) -> list[psutil.Process]:
        """Return the processes of the monitors and workers of this home's store."""
        path = str(self.store_path)
        return [process for process in psutil.process_iter(["cmdline"]) if path in (process.info["cmdline"] or ())]

    def close(self) -> None:
        """Kill the programs and the processes that they started."""
        self.terminals.close()
        while processes := self.processes():  # a monitor may have started another worker
            for process in processes:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(processes, 1)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def all_ended(runs: list[Run]) -> bool:
    return bool(runs) and all(run.status.is_ended for run in runs)


def all_ended_or_without_worker(runs: list[Run]) -> bool:
    return bool(runs) and all(run.status.is_ended or run.is_without_worker for run in runs)


def assert_terminal_restored(terminal: Terminal) -> None:
    """Assert that the program restored the terminal's settings and modes when it ended."""
    assert terminal.after == terminal.before
    modes = dict(re.findall(rb"\x1b\[\?(\d+)([hl])", terminal.raw))
    on = {mode for mode, state in modes.items() if state == b"h"}
    assert {b"1049", b"1000", b"1003", b"1006", b"2004"} <= modes.keys()
    assert on == {b"25", b"7"}  # the cursor is shown and lines wrap; everything else is off
    assert len(re.findall(rb"\x1b\[>\d*u", terminal.raw)) == len(re.findall(rb"\x1b\[<\d*u", terminal.raw))


def final_output(terminal: Terminal) -> str:
    """Return what the program printed after leaving the alternate screen."""
    printed = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode()
    # A long path is wrapped.
    return " ".join(re.sub(r"\x1b\[[?<]?[\d;]*[A-Za-z]", "", printed).split())


def type_and_wait(terminal: Terminal, keys: str, wanted: str) -> None:
    """Type keys and wait for a text on the screen."""
    terminal.send(keys)
    terminal.wait_for(wanted)


def shows_all_panes(text: str) -> bool:
    """Return whether the three panes are shown side by side, with nothing over them."""
    return all(f"─ {title} ─" in text for title in TITLES)


def close_screen(terminal: Terminal) -> None:
    """Close the screen over the lab."""
    terminal.send(ESCAPE)
    # Wait also because a key that follows Esc immediately is read as Alt with that key.
    terminal.wait_for(shows_all_panes)


def return_to_lab(terminal: Terminal) -> None:
    """Close the screens over the lab, if there are any, and go to the setup pane."""
    for _ in range(10):  # more rounds than screens: a change on the screen may have another cause than Esc
        with suppress(AssertionError):
            terminal.send("1")
            terminal.wait_for("space Select", seconds=5)
            return
        covered = terminal.text
        terminal.send(ESCAPE)
        terminal.wait_for(covered.__ne__)
    raise AssertionError(f"the lab is still covered:\n{terminal.text}")


@dataclass(frozen=True)
class Session:
    """A finished session of the lab."""

    lab: Lab
    terminal: Terminal
    code: int

    @property
    def modules(self) -> set[str]:
        """The top-level modules that were loaded when it ended."""
        names: list[str] = json.loads((self.lab.home / "modules.json").read_text())
        return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Run a comparison, open the chart, a run's details and the help, and quit."""
    lab = Lab(tmp_path_factory.mktemp("session"))
    try:
        terminal = lab.start(command=[sys.executable, "-c", PROBE])
        terminal.wait_for("Press r to queue the comparison in the setup")
        terminal.send("r")
        terminal.wait_for(HE_NORMAL_OF_THREE.search)
        type_and_wait(terminal, "c", "test accuracy %")
        terminal.wait_until_gone("reading")
        close_screen(terminal)
        type_and_wait(terminal, "i", "started, ended")
        close_screen(terminal)
        type_and_wait(terminal, "?", "Everywhere")
        close_screen(terminal)
        lab.wait_for_runs(all_ended)
        terminal.send("q")
        yield Session(lab, terminal, terminal.exit_code())
    finally:
        lab.close()


def test_a_session_exits_with_0_and_restores_the_terminal(session: Session) -> None:
    assert (session.code, final_output(session.terminal)) == (0, "")
    assert_terminal_restored(session.terminal)
    assert [run.status for run in session.lab.runs()] == ["done"] * 9


def test_the_lab_loads_no_tensorflow(session: Session) -> None:
    assert "textual" in session.modules and "numpy" in session.modules
    assert not session.modules & {"tensorflow", "keras", "sklearn"}


def test_no_worker_remains_after_quitting(session: Session) -> None:
    _, alive = psutil.wait_procs(session.lab.processes(), TIMEOUT_SECONDS)
    assert not alive


def test_the_demo_trains_immediately_and_continues_after_quitting(lab: Lab) -> None:
    terminal = lab.start("demo")
    terminal.wait_for("/15 runs done")
    type_and_wait(terminal, CTRL_C, "Keep running")
    terminal.send(ENTER)
    assert terminal.exit_code() == 0
    assert_terminal_restored(terminal)
    assert not all_ended(lab.runs())
    assert [run.status for run in lab.wait_for_runs(all_ended)] == ["done"] * 15


def test_the_lab_without_a_terminal_is_refused_with_a_message(initlab: Command) -> None:
    result = initlab()
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "initlab-tui: the lab needs a terminal on stdin, stdout and stderr: see initlab-tui --help for commands\n"
    )


def step(text: str) -> int:
    found = re.search(r"step (\d+)/", text)
    return int(found[1]) if found else 0


def test_detached_runs_are_shown_live_at_every_size_and_stopped_on_quitting(lab: Lab) -> None:
    initializers = ("--initializer", "he_normal", "--initializer", "zeros", "--seeds", "1")
    endless = ("--epochs", "1000000", "--hidden", "16")
    subprocess.run(
        command_line(["compare", *initializers, *endless, "--workers", "1", "--detach"]),
        env=command_environment(lab.home),
        cwd=lab.home,
        check=True,
        capture_output=True,
    )
    terminal = lab.open()
    assert_live_at(terminal, SIZE)
    for size in ((80, 24), (40, 10), (200, 50)):
        terminal.resize(size)
        assert_live_at(terminal, size)
    terminal.send("q")
    type_and_wait(terminal, DOWN, "Stop runs")
    terminal.send(ENTER)
    assert terminal.exit_code() == 0
    assert_terminal_restored(terminal)
    assert [run.status for run in lab.wait_for_runs(all_ended)] == ["stopped"] * 2


def assert_live_at(terminal: Terminal, size: tuple[int, int]) -> None:
    """Assert that all panes that fit are shown, and that the training step advances on the screen."""
    if size[0] >= 120:
        terminal.wait_for(lambda text: shows_all_panes(text) and "Dataset" in text)
    else:
        for key, inside in (("1", "Dataset"), ("3", "▸»"), ("2", "· seed 0")):
            type_and_wait(terminal, key, inside)
        terminal.wait_until_gone(f"─ {TITLES[0]} ─")
        terminal.wait_until_gone("Dataset")
    if size[0] >= 80:
        before = step(terminal.wait_for(step))
        terminal.wait_for(lambda text: step(text) > before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_the_lab_but_not_its_runs(lab: Lab, number: signal.Signals) -> None:
    terminal = lab.open("hang")
    type_and_wait(terminal, "r", "» running")
    terminal.kill(number)
    assert terminal.exit_code() == 0
    assert_terminal_restored(terminal)
    assert lab.runs()[0].status == "running"


def test_a_lost_connection_ends_the_lab_but_not_its_runs(lab: Lab) -> None:
    terminal = lab.open("hang")
    type_and_wait(terminal, "r", "» running")
    terminal.hang_up()
    terminal.exit_code()
    assert lab.runs()[0].status == "running"
    type_and_wait(lab.open("hang"), "", "» running")


def test_a_lab_that_no_signal_reaches_ends_when_its_terminal_is_closed(lab: Lab) -> None:
    terminal = lab.start(worker="hang", command=["setsid", "--wait", *command_line([])])
    terminal.wait_for("Quit")
    (program,) = psutil.Process(terminal.process.pid).children()
    terminal.hang_up()
    program.wait(TIMEOUT_SECONDS)


def drop_runs(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("DROP TABLE runs")


def drop_workers(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("DROP TABLE workers")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "was removed"),
        (drop_runs, "no such table: runs"),
        (drop_workers, "no such table: workers"),
    ],
    ids=("removed", "no_runs", "no_workers"),
)
def test_a_damaged_store_ends_the_lab_with_a_message(lab: Lab, damage: Callable[[Path], None], message: str) -> None:
    terminal = lab.open("hang")
    type_and_wait(terminal, "r", "» running")
    damage(lab.store_path)
    assert terminal.exit_code() != 0
    assert_terminal_restored(terminal)
    assert message in final_output(terminal)


def test_an_unexpected_error_is_printed_after_leaving_the_screen(lab: Lab) -> None:
    terminal = lab.start(command=[sys.executable, "-c", BROKEN])
    assert terminal.exit_code() == 1
    assert_terminal_restored(terminal)
    assert "RuntimeError: unexpected" in final_output(terminal)


SEQUENCE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?", re.DOTALL)


def sequences(raw: bytes) -> set[bytes]:
    """Return the distinct escape sequences, with the numbers of colours and positions removed."""
    return {re.sub(rb"\[[\d;]+(?=[mH]$)", b"[", found) for found in SEQUENCE.findall(raw)}


def assert_worker_output_is_escaped(terminal: Terminal, session: Session) -> None:
    assert sequences(terminal.raw) <= sequences(session.terminal.raw)
    assert b"\x1b[38;2;1;2;3m" not in terminal.raw
    assert not re.search("[\x00-\x06\x80-\x9f]", terminal.raw.decode())


@pytest.mark.parametrize(
    ("worker", "status", "reason", "detail"),
    [
        ("segfault", "crashed", "killed by SIGSEGV (signal 11)", "claimed"),
        ("noise", "crashed", "exit code 1", r"[red]LOUD[/nothing] \x1b[2J"),
        ("garbage", "failed", r"[red]LOUD[/nothing] \x1b[2J", r"\x9b31m \x1b[6n"),
        ("broken", "queued", "no worker could be started: exit code 1", "libtensorflow_framework.so.2"),
    ],
    ids=("segfault", "noise", "garbage", "broken"),
)
def test_a_failing_worker_is_explained_and_the_lab_continues(
    lab: Lab, session: Session, worker: str, status: str, reason: str, detail: str
) -> None:
    terminal = lab.open(worker)
    terminal.send("r")
    assert {run.status for run in lab.wait_for_runs(all_ended_or_without_worker)} == {status}
    terminal.wait_for(lambda text: shows_all_panes(text) and status in text and reason in text)
    type_and_wait(terminal, "i", "esc Close")
    terminal.wait_for(detail)
    close_screen(terminal)
    type_and_wait(terminal, "?", "Everywhere")
    close_screen(terminal)
    terminal.send("q")
    assert terminal.exit_code() == 0
    assert_terminal_restored(terminal)
    assert_worker_output_is_escaped(terminal, session)


def test_screens_can_be_closed_while_they_are_still_loading(lab: Lab) -> None:
    terminal = lab.open("garbage")
    terminal.send("r")
    lab.wait_for_runs(all_ended)
    terminal.wait_for("3 groups")
    for key in "ci?":  # each opens its screen or closes it
        terminal.send(key * 6)
    return_to_lab(terminal)
    terminal.send("q")
    assert (terminal.exit_code(), final_output(terminal)) == (0, "")


def test_a_hanging_worker_is_asked_to_stop_and_its_run_has_stopped_when_it_is_killed(lab: Lab) -> None:
    terminal = lab.open("hang")
    type_and_wait(terminal, "r", "» running")
    type_and_wait(terminal, "x", "asked to stop")
    for process in lab.processes():
        if "tests.tui.fakes.hang" in process.cmdline():
            process.kill()
    assert {run.status for run in lab.wait_for_runs(all_ended)} == {"stopped"}
    terminal.wait_until_gone("» running")
    type_and_wait(terminal, END, "killed by SIGKILL (signal 9")
    terminal.send("q")
    assert terminal.exit_code() == 0


def colours(raw: bytes) -> set[int]:
    """Return the SGR numbers that set a colour; 38 and 48 stand for those beyond the basic sixteen."""
    numbers = {int(part or 0) for found in re.findall(rb"\x1b\[([\d;]*)m", raw) for part in found.split(b";")}
    return {number for number in numbers if number in (*range(30, 39), *range(40, 49), *range(90, 108))}


@pytest.mark.parametrize(
    "environment",
    [
        *({"NO_COLOR": "1"}, {"TERM": "xterm"}, {"TERM": "linux"}, {"LC_ALL": "C"}),
        {"PYTHONIOENCODING": "ascii", "TERM": "vt100"},
    ],
    ids=("no_color", "xterm", "linux", "LC_ALL_C", "ascii"),
)
def test_limited_terminals_show_the_panes(lab: Lab, environment: dict[str, str]) -> None:
    terminal = lab.open("hang", environment)
    terminal.wait_for(lambda text: all(title in text for title in TITLES))
    type_and_wait(terminal, "2", "Details")
    terminal.send("q")
    assert terminal.exit_code() == 0
    assert_terminal_restored(terminal)
    if "NO_COLOR" in environment:
        assert colours(terminal.raw) == set()
    elif "TERM" in environment:
        assert not colours(terminal.raw) & {38, 48}
