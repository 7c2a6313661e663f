"""The command line, as a person or a script runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from initlab_tui.cli.app import COMMANDS
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.layers.glossary import GLOSSARY
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.follow import follow
from initlab_tui.store import queue, workers
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.conftest import Command, WarmStore, command_environment, command_line
from tests.database import execute

SMALL = ("--hidden", "16", "--batch-size", "32")


def default_store(home: Path) -> Path:
    return home / ".local/share/initlab-tui/lab.db"


def test_demo_ranks_good_initializers_above_bad_ones(initlab: Command, initlab_process: Command) -> None:
    result = initlab_process("demo")
    assert result.code == 0, result.err
    assert re.search(r"1\s+he_normal\s+3\s+[\d.]+ ± [\d.]+", result.out)
    assert "\x1b" not in result.out
    rows = {row["initializer"]: row for row in initlab("leaderboard", "--json").document["leaderboard"]}
    accuracy = {name: row["test_accuracy"]["mean"] for name, row in rows.items()}
    assert next(iter(rows)) == "he_normal" and list(rows)[-1] == "zeros"
    assert accuracy["he_normal"] > 0.9 > 0.7 > accuracy["random_normal:stddev=1.0"] > 0.3
    assert accuracy["random_normal:stddev=0.05"] < 0.3
    assert accuracy["zeros"] < 0.15
    assert rows["zeros"]["versus_first"]["verdict"] == "behind"
    assert all(row["n"] == 3 and row["status"] == "done" for row in rows.values())


def test_compare_prints_and_stores_a_leaderboard(warm: Command) -> None:
    arguments = ["compare", "--initializer", "he_normal", "--initializer", "zeros", "--seeds", "2", *SMALL]
    result = warm(*arguments, "--activation", "relu", "--activation", "tanh")
    assert result.code == 0, result.err
    assert re.search(r"1\s+he_normal\s+\w+\s+2\s+[\d.]+ ± [\d.]+", result.out)
    assert re.search(r"#1 .* #2 .* over 2 shared seeds", result.out)
    assert " act " in result.out and "± 95 % t interval over n seeds" in result.out
    assert len(set(re.findall(r"^\[\d+/8\] (.*): done", result.err, re.MULTILINE))) == 8  # a plain line for each run
    assert "\x1b" not in result.out + result.err
    runs = warm("runs", "--last", "8", "--json").document["runs"]
    assert {run["status"] for run in runs} == {"done"}
    (comparison,) = {run["comparison"] for run in runs}
    board = warm("leaderboard", "--comparison", str(comparison), "--json").document["leaderboard"]
    assert sorted((row["n"], row["initializer"], row["spec"]["activation"]) for row in board) == [
        *((2, "he_normal", "relu"), (2, "he_normal", "tanh"), (2, "zeros", "relu"), (2, "zeros", "tanh")),
    ]
    shown = warm("show", str(runs[0]["id"]), "--json").document
    assert shown["metrics"]["test"]["step"][0] == 0
    assert len(shown["metrics"]["train"]["loss"]) == shown["total_steps"]
    assert "initializer" in warm("show", str(runs[0]["id"])).out


def test_optimizers_are_compared_and_named_on_the_leaderboard(warm: Command) -> None:
    optimizers = ("--optimizer", "adam", "--optimizer", "sgd")
    result = warm("compare", "--initializer", "he_normal", "--seeds", "2", *SMALL, *optimizers)
    assert result.code == 0, result.err
    assert re.search(r"#  initializer  opt +n ", result.out)
    assert re.search(r"^1  he_normal    adam  2 .*\n2  he_normal    sgd   2 ", result.out, re.MULTILINE)
    assert re.search(r"#1 he_normal .*adam.* #2 he_normal .*sgd.* over 2 shared seeds", result.out)
    assert len(set(re.findall(r"^\[\d/4\] (.*): done", result.err, re.MULTILINE))) == 4


def test_compare_prints_a_json_document(warm: Command) -> None:
    result = warm("compare", "--initializer", "random_normal", "--seeds", "2", *SMALL, "--json")
    document = result.document
    assert set(document) == {"comparison", "leaderboard", "runs"}
    (row,) = document["leaderboard"]
    assert row["initializer"] == "random_normal:stddev=0.05"
    assert {"rank", "spec", "n", "test_accuracy", "test_loss", "status", "seconds", "samples_per_second"} <= set(row)
    assert set(row["test_accuracy"]) >= {"mean", "ci_low", "ci_high", "values"}
    values = [run["test_accuracy"] for run in document["runs"]]
    assert row["test_accuracy"]["values"] == values
    assert row["test_accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert row["test_accuracy"]["ci_low"] < row["test_accuracy"]["mean"] < row["test_accuracy"]["ci_high"]
    run = document["runs"][0]
    assert {"id", "spec", "status", "reason", "test_accuracy", "test_loss", "seconds", "samples_per_second"} <= set(run)
    # The printed spec can be used to run it again.
    assert run["spec"]["initializer"] == "random_normal:stddev=0.05" and run["spec"]["hidden"] == [16]


def test_a_single_run_has_no_interval(warm: Command) -> None:
    result = warm("run", "--initializer", "he_normal", *SMALL, "--json")
    assert result.code == 0
    (row,) = result.document["leaderboard"]
    assert (row["n"], row["test_accuracy"]["ci_low"], row["test_accuracy"]["ci_high"]) == (1, None, None)


def test_divergence_is_a_result_in_compare_and_a_failure_in_run(
    warm: Command, initlab_process: Command, warm_store: WarmStore
) -> None:
    diverging = ("--optimizer", "sgd", "--learning-rate", "1e4", "--activation", "linear", "--hidden", "16x4")
    result = warm("compare", "--initializer", "he_normal", "--seeds", "1", *diverging, "--json")
    assert result.code == 0
    assert result.document["leaderboard"][0]["status"] == "diverged"
    assert result.document["runs"][0]["test_loss"] is None
    result = initlab_process("run", *diverging, "--threads", "1", INITLAB_STORE=str(warm_store.path))
    assert (result.code, "diverged: the loss" in result.err) == (1, True)


def test_custom_data_and_custom_initializers_are_trained(warm: Command, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(200) % 4
    images = generator.integers(0, 60, (200, 6, 6), np.uint8)
    images[np.arange(200), :, labels] += 190  # a bright column for each class
    np.savez(tmp_path / "custom.npz", x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])
    (tmp_path / "mine.py").write_text(
        "import keras\nclass Normal(keras.initializers.HeNormal):\n    pass\n"
        "def constant(shape, scale=1.0):\n    import numpy\n    return numpy.full(shape, scale)\n"
    )
    result = warm(
        *("compare", "--dataset", "npz:custom.npz", "--initializer", "import:mine.Normal", "--epochs", "20"),
        *("--initializer", "import:mine.constant:scale=0.0", "--seeds", "2", *SMALL, "--json"),
    )
    assert result.code == 0, result.err
    first, last = result.document["leaderboard"]
    assert first["initializer"] == "import:mine.Normal" and last["initializer"] == "import:mine.constant:scale=0.0"
    assert first["test_accuracy"]["mean"] > 0.5 > 0.3 > last["test_accuracy"]["mean"]


def test_detached_runs_continue_until_they_are_stopped(warm: Command, warm_store: WarmStore) -> None:
    result = warm("run", "--epochs", "1000000", *SMALL, "--detach")
    assert result.code == 0
    run_id = result.out.strip()
    assert run_id.isdigit()

    def run() -> dict[str, object]:
        found: dict[str, object] = warm("show", run_id, "--json").document
        return found

    deadline = time.monotonic() + 60
    while not run()["step"]:
        assert time.monotonic() < deadline
    assert warm("pause", run_id).out == f"run {run_id}: pausing\n"
    while run()["status"] != "paused":
        assert time.monotonic() < deadline
    step = run()["step"]
    assert warm("resume", run_id).out == f"run {run_id}: resumed\n"
    while run()["step"] == step:
        assert time.monotonic() < deadline
    assert warm("stop", "--all").out == f"run {run_id}: stopping\n"
    while run()["status"] != "stopped":
        assert time.monotonic() < deadline
    assert warm("stop", run_id).out == f"run {run_id}: nothing to do, it is stopped\n"
    assert warm("stop", "--all").code == 0
    with warm_store.open() as store:
        assert len(read_curve(store, int(run_id), "train").steps) > 0


def test_ctrl_c_stops_only_the_runs_of_its_command(warm: Command, warm_store: WarmStore, tmp_path: Path) -> None:
    other = int(warm("run", "--epochs", "1000000", *SMALL, "--detach").out)
    command = subprocess.Popen(
        command_line(["run", "--epochs", "1000000", *SMALL, "--json", "--threads", "2"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=command_environment(tmp_path, INITLAB_STORE=str(warm_store.path)),
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    with warm_store.open() as store:
        while not all(run.step for run in list_runs(store) if run.id >= other) or list_runs(store)[-1].id == other:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    os.killpg(command.pid, signal.SIGINT)
    out, err = command.communicate(timeout=150)
    assert command.returncode == 130, err
    assert "Traceback" not in err
    (run,) = json.loads(out)["runs"]
    assert run["status"] == "stopped" and run["step"] > 0
    assert warm("show", str(other), "--json").document["status"] == "running"
    warm("stop", str(other))


def test_progress_is_shown_on_a_terminal_and_absent_from_stdout(warm: Command, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        command_line(["compare", "--initializer", "he_normal", "--seeds", "2", *SMALL, "--json"]),
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        cwd=tmp_path,
        env=command_environment(tmp_path, TERM="xterm-256color"),
    ) as command:
        os.close(terminal)
        seen = b""
        while True:
            try:
                seen += os.read(controller, 65536)
            except OSError:
                break
        assert command.stdout is not None
        document = json.loads(command.stdout.read())
    assert [run["status"] for run in document["runs"]] == ["done", "done"]
    assert default_store(tmp_path).is_file()
    (repeated,) = warm("run", "--initializer", "he_normal", *SMALL, "--json").document["runs"]
    assert repeated["test_loss"] == document["runs"][0]["test_loss"]  # identical, although trained by another worker
    assert b"starting TensorFlow" in seen and b"2/2 runs" in seen
    assert seen.rstrip().endswith(b"\x1b[2K") or b"\x1b[?25h" in seen  # cleared, and the cursor is visible again


def test_initializers_terms_and_datasets_are_listed(initlab: Command) -> None:
    names = [entry["name"] for entry in initlab("initializers", "--json").document["initializers"]]
    assert names[:4] == ["zeros", "ones", "constant", "random_normal"] and len(names) == len(CATALOGUE)
    assert "Martens 2010" in initlab("initializers", "sparse").out
    assert "fitted to training images" in initlab("initializers", "lsuv").out
    assert "He et al. 2015" in initlab("explain", "Variance gain").out
    assert "correlation map's slope" not in initlab("explain").out
    names = [term["name"] for term in initlab("explain", "--json").document["glossary"]]
    assert names == list(GLOSSARY)
    (chaos,) = initlab("explain", "edge-of-chaos", "--json").document["glossary"]
    assert (chaos["name"], set(chaos)) == ("chi1", {"name", "summary", "formula", "reading", "source", "also"})
    digits, mnist, *_ = initlab("datasets", "--json").document["datasets"]
    assert digits["at_hand"] and not mnist["at_hand"]
    assert "mnist.npz" in mnist["otherwise"]


@pytest.mark.usefixtures("tensorflow_in_process")
def test_doctor_reports_whether_this_machine_is_ready(initlab: Command, tmp_path: Path) -> None:
    report = initlab("doctor", "--json")
    assert report.code == 0
    document = report.document
    assert set(document["versions"]) == {"initlab-tui", "python", "tensorflow", "keras", "numpy"}
    (cpu,) = [device for device in document["tensorflow"]["devices"] if "CPU" in device["device"]]
    assert cpu["xla"] is True
    assert document["store"]["exists"] is False and not default_store(tmp_path).exists()


@pytest.mark.usefixtures("tensorflow_in_process")
def test_doctor_reports_a_file_that_is_not_a_store(initlab: Command, tmp_path: Path) -> None:
    (tmp_path / "lab.db").write_text("text that is long enough not to look like an empty file " * 10)
    page = initlab("doctor", "--store", "lab.db")
    assert page.code == 1
    assert "not a database" in page.out and "XLA compiles" in page.out


def test_runs_left_without_a_worker_are_reported_resumed_and_retried(initlab: Command, tmp_path: Path) -> None:
    # As after a reboot: two queued runs, a running one, and a worker whose process is gone.
    with Store.open(tmp_path / "lab.db") as store:
        ids = queue.enqueue(
            store, None, [RunSpec(seed=seed) for seed in range(3)], Requirements("cpu", 1, None, tmp_path)
        )
        worker_id = workers.register(store, "cpu", 1)
        workers.set_monitor(store, worker_id, 999999999, 1.0)
        assert queue.claim(store, worker_id)
    listed = initlab("runs", "--store", "lab.db")
    assert "crashed" in listed.out and "2 runs are queued, but no worker is running" in listed.err
    resumed = initlab("resume", "--all", "--store", "lab.db")
    assert resumed.out == "run 2: resumed\nrun 3: resumed\n"
    assert initlab("retry", "1", "--store", "lab.db").out == "4\n"
    with Store.open(tmp_path / "lab.db") as store:
        *_, last = follow(store, [*ids, 4])
        assert [run.status for run in last.runs] == ["crashed", "done", "done", "done"]
        assert initlab("resume", "1", "--store", "lab.db").out == "run 1: resumed\n"
        *_, last = follow(store, [1])
        assert last.runs[0].status == "done"
    refused = initlab("resume", "1", "--store", "lab.db")
    assert (refused.code, "run 1 is done: it has a result" in refused.err) == (2, True)
    assert initlab("retry", "2", "--store", "lab.db").code == 2


@pytest.mark.usefixtures("tensorflow_in_process")
def test_a_damaged_store_is_an_error_and_doctor_reports_it(initlab: Command, tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Store.open(path) as store:
        queue.enqueue(store, None, [RunSpec(seed=seed) for seed in range(200)], Requirements("cpu", 1, None, tmp_path))
        execute(store, "PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096 * 3 : -4096] = bytes(len(content) - 4096 * 4)
    path.write_bytes(content)
    result = initlab("runs", "--store", "lab.db")
    assert result.code == 2 and "Traceback" not in result.err and "doctor" in result.err
    assert initlab("doctor", "--store", "lab.db").code == 1


def test_options_can_precede_the_command_or_come_from_the_environment(initlab: Command, tmp_path: Path) -> None:
    assert str(tmp_path / "a.db") in initlab("--store", str(tmp_path / "a.db"), "runs").err
    assert str(tmp_path / "b.db") in initlab("runs", INITLAB_STORE=str(tmp_path / "b.db")).err
    assert str(tmp_path / "c.db") in initlab("--store", "a.db", "runs", "--store", str(tmp_path / "c.db")).err


def test_version_help_and_completion_are_printed(initlab: Command) -> None:
    from initlab_tui import __version__

    assert initlab("--version").out == f"initlab-tui {__version__}\n"
    for arguments in (["--help"], ["-h"]):
        result = initlab(*arguments)
        assert result.code == 0 and "initlab-tui demo" in result.out
    completed = initlab(
        _INITLAB_TUI_COMPLETE="complete_bash", COMP_WORDS="initlab-tui compare --initializer he_", COMP_CWORD="3"
    )
    assert completed.out.split() == ["he_normal", "he_uniform", "he_fan_avg"]


def test_help_fits_80_columns_and_shows_no_type_for_flags(initlab: Command) -> None:
    names = [command.__name__ for commands in COMMANDS.values() for command in commands]
    for name in ("", *names, "recipe", "recipe run", "recipe show", "recipe check", "recipe table"):
        result = initlab(*name.split(), "--help", COLUMNS="80")
        assert result.code == 0 and "--help" in result.out
        assert "<bool>" not in result.out and "…" not in result.out, name
        assert max(map(len, result.out.splitlines())) <= 80, name


def test_a_closed_pipe_is_not_an_error(tmp_path: Path) -> None:
    piped = f"{' '.join(command_line(['initializers', '--json']))} | head -1"
    result = subprocess.run(
        ["bash", "-c", piped],  # noqa: S607
        capture_output=True,
        text=True,
        env=command_environment(tmp_path),
        cwd=tmp_path,
    )
    assert result.stdout == "{\n" and "Traceback" not in result.stderr
