"""A malformed value in a row of the store costs that row alone, never a command."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any, NoReturn

import pytest

from initlab_tui.store import integrity
from initlab_tui.store.comparisons import last_comparison, recipe_origins
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs, read_runs
from tests.cli.test_hostile_text import assert_harmless
from tests.conftest import Command
from tests.hostile_store import NOT_UTF_8, ROWS, STORE, VALUES, bound, loosen, old_store, spread

COMMANDS = (
    *("runs", "runs --json", "leaderboard", "leaderboard --json", "show 1", "show 1 --json", "show 2", "show 2 --json"),
    *("leaderboard --comparison 1", "recipe check he-vs-xavier-deep", "recipe check lecture-xavier --json"),
)
BAD = [
    ("spec", "NaN", "spec"),
    ("spec", '{"epochs": 0}', "epochs must be a whole number"),
    ("spec", NOT_UTF_8, "spec must be UTF-8 text"),
    ("spec", "[" * 100_000, "recursion limit exceeded"),
    ("spec_hash", "0" * 16, "the spec has the hash"),
    ("seed", 7, "the spec has the seed"),
    ("record", "[]", "record is not a JSON object"),
    ("record", '{"compile_seconds": "soon"}', "invalid compile_seconds"),
    (
        "record",
        '{"initialization": {"images": 1, "layers": [{"layer": "a", "x": 1.0}, {"layer": "b"}]}}',
        "invalid init",
    ),
    ("record", '{"deep": ' + "[" * 900 + "]" * 900 + "}", "nested too deeply"),
    ("record", "[" * 100_000, "nested too deeply"),
    ("status", "finished", "status must be one of"),
    ("request", "explode", "request must be one of"),
    ("created", 1e308, "created must be a time"),
    ("started", -1e300, "started must be a time"),
    ("ended", "NaN", "ended must be a time"),
    ("deleted", 1e308, "deleted must be NULL"),
    ("busy_seconds", float("inf"), "busy_seconds must be a number"),
    ("diagnosis", "\x1b[2J", "diagnosis must be the name of a diagnosis"),
    ("name", b"\xff", "name must be UTF-8 text"),
    ("tags", 1.0, "tags must be UTF-8 text"),
    ("test_accuracy", 1e308, "test_accuracy must be a number from 0 to 1"),
    ("step", 10**12, "step must be at most total_steps"),
    ("comparison_id", "one", "comparison_id must be a whole number"),
    ("threads", 0, "threads must be a whole number"),
    ("device", "toaster", "device must be"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    old_store(tmp_path / "lab.db")
    return tmp_path / "lab.db"


def change(path: Path, table: str, column: str, value: object, where: str) -> None:
    expression, values = bound(value)
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE {table} SET {column} = {expression} WHERE {where}", values)  # noqa: S608


def document(text: str) -> Any:
    """Return a JSON document, which must not have the numbers that JSON does not allow."""

    def refuse(name: str) -> NoReturn:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def assert_commands_work(initlab: Command) -> None:
    for command in COMMANDS:
        result = initlab(*command.split(), "--store", "lab.db")
        assert_harmless(result)
        assert result.code == 0, (command, result.err)
        if "--json" in command:
            document(result.out)


@pytest.mark.parametrize(("column", "value", "words"), BAD)
def test_a_malformed_value_costs_its_run_alone(
    initlab: Command, path: Path, column: str, value: object, words: str
) -> None:
    loosen(path)
    with Store.open(path) as store:
        before = [run.id for run in list_runs(store)]
    change(path, "runs", column, value, "id = 1")
    with Store.open(path) as store:
        found, unreadable = read_runs(store)
    assert [run.id for run in found] == before[1:]
    ((broken, problem),) = [(run.id, run.problem) for run in unreadable]
    assert broken == 1 and words in problem and len(problem) < 300
    shown, listed = initlab("show", "1", "--store", "lab.db"), initlab("runs", "--store", "lab.db")
    assert shown.code == listed.code == 0
    assert "run 1: unreadable: " in shown.out and "run 1: unreadable: " in listed.out
    assert_harmless(shown)
    ranked = initlab("leaderboard", "--json", "--store", "lab.db")
    assert "1 run cannot be read and is left out: 1. Show why with: initlab-tui show 1" in " ".join(ranked.err.split())
    assert [run["id"] for run in document(ranked.out)["unreadable"]] == [1]
    assert 1 not in [run for row in document(ranked.out)["leaderboard"] for run in row["runs"]]
    stopped = initlab("stop", "1", "--store", "lab.db")
    assert stopped.code == 2 and "run 1 cannot be read" in stopped.err


def test_commands_read_a_store_with_every_hostile_value_in_every_column(initlab: Command, path: Path) -> None:
    rows = spread(path)
    assert_commands_work(initlab)
    listed = document(initlab("runs", "--json", "--store", "lab.db").out)
    deleted = rows - len(listed["runs"]) - len(listed["unreadable"])
    # The program cannot know that these are not the times of deletions.
    assert deleted <= 2 and len(listed["unreadable"]) > 400
    assert {"spec", "record", "created", "busy_seconds"} <= {run["reason"].split()[0] for run in listed["unreadable"]}


@pytest.mark.parametrize("table", [table for table in ROWS if "run_id" not in ROWS[table]])
def test_commands_read_a_table_whose_ids_are_anything(initlab: Command, path: Path, table: str) -> None:
    columns = loosen(path)[table]
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO keyed")
        connection.execute(f"CREATE TABLE {table} ({', '.join(columns)})")
        connection.execute(f"INSERT INTO {table} SELECT * FROM keyed")  # noqa: S608
        rest = ", ".join(columns[1:])
        for value in VALUES:
            expression, values = bound(value)
            connection.execute(f"INSERT INTO {table} SELECT {expression}, {rest} FROM keyed WHERE id = 1", values)  # noqa: S608
    assert_commands_work(initlab)


def test_a_worker_that_cannot_be_read_does_not_keep_runs_waiting(initlab: Command, path: Path) -> None:
    loosen(path)
    change(path, "workers", "heartbeat", "NaN", "id = 1")
    change(path, "runs", "status", "running", "id = 2")
    change(path, "runs", "worker_id", 1, "id = 2")
    assert_commands_work(initlab)
    shown = document(initlab("show", "2", "--json", "--store", "lab.db").out)
    assert shown["status"] == "crashed" and "its row in the store cannot be read: heartbeat" in shown["reason"]


def test_a_comparison_from_a_malformed_recipe_counts_without_its_origin(initlab: Command, path: Path) -> None:
    loosen(path)
    for value in (None, b"\xff", NOT_UTF_8, 1e308):
        change(path, "comparisons", "recipe", value, "TRUE")
        change(path, "comparisons", "recipe_version", "x" * 20_000, "TRUE")
        for command in ("recipe check he-vs-xavier-deep", "leaderboard --comparison 1"):
            assert initlab(*command.split(), "--store", "lab.db").code == 0
    with Store.open(path) as store:
        assert recipe_origins(store) == {} and last_comparison(store) is not None


def test_doctor_names_the_rows_that_cannot_be_read(
    initlab: Command, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("initlab_tui.execution.tensorflow_process.ask", lambda *_: {"versions": {}, "devices": []})
    healthy = initlab("doctor", "--json", "--store", "lab.db").document["store"]["unreadable"]
    loosen(path)
    change(path, "runs", "spec", "{", "id = 1")
    change(path, "workers", "heartbeat", 1e308, "id = 1")
    change(path, "comparisons", "recipe", b"\xff", "id = 1")
    change(path, "events", "at", "NaN", "id = 1")
    change(path, "curves", "points", "NaN", "run_id = 2 AND split = 'train'")
    change(path, "layer_statistics", "number", 1.5, "run_id = 2 AND step = 0 AND number = 1")
    result = initlab("doctor", "--json", "--store", "lab.db")
    found = document(result.out)["store"]["unreadable"]
    assert result.code == 1 and healthy == []
    subjects = (
        "run 1: ",
        "worker 1: ",
        "comparison 1: ",
        "run 2: 1 row of curves",
        "run 2: 1 row of layer_stat",
        "run ",
    )
    assert len(found) == len(subjects)
    assert all(row.startswith(subject) for row, subject in zip(found, subjects, strict=True)), found
    assert_harmless(initlab("doctor", "--store", "lab.db"))


def test_doctor_examines_a_store_with_every_hostile_value(path: Path) -> None:
    spread(path)
    with Store.open(path) as store:
        report = integrity.check_store(store)
    assert not isinstance(report, str) and len(report.unreadable) > 500
    assert all(len(row) < 400 for row in report.unreadable)


def test_an_ordinary_store_has_no_unreadable_rows(tmp_path: Path) -> None:
    for name in ("schema-3-store.gz", "schema-3-unfinished.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.decompress((STORE.parent / name).read_bytes()))
        with Store.open(path) as store:
            report = integrity.check_store(store)
        assert not isinstance(report, str) and report.unreadable == ()


@pytest.mark.parametrize("command", ["resume", "retry", "attach", "pause", "stop"])
def test_a_command_on_a_run_that_cannot_be_read_says_so_and_changes_nothing(
    initlab: Command, path: Path, command: str
) -> None:
    change(path, "runs", "spec", "NaN", "id = 1")
    before = path.read_bytes()
    result = initlab(command, "1", "--store", str(path))
    assert (result.code, result.out) == (2, "")
    assert "run 1 cannot be read" in " ".join(result.err.split())
    assert path.read_bytes() == before


def test_a_run_with_the_largest_id_is_shown_and_no_run_can_follow_it(initlab: Command, path: Path) -> None:
    largest = 2**63 - 1
    change(path, "runs", "id", largest, "id = 2")
    assert str(largest) in initlab("runs", "--store", str(path)).out
    result = initlab("run", "--detach", "--store", str(path))
    assert result.code == 2
    assert f"a run has the id {largest}, and no larger ones are possible: name another store" in " ".join(
        result.err.split()
    )
