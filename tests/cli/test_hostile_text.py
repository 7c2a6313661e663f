"""Text from outside (stores, recipes, files, arguments) is escaped wherever a command prints it."""

from __future__ import annotations

import gzip
import json
import os
import pty
import sqlite3
import subprocess
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initlab_tui.recipes import loader
from initlab_tui.store.database import Store
from tests.conftest import Command, CommandResult, command_environment, command_line

# Writes to the clipboard, reverses the line, clears the screen, breaks the line.
HOSTILE = "\x1b]52;c;aGk=\x07\u202ex\x9b2J\u2028"
BIDI = "\u202ex\u2066"
CONTROL_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
OLD_STORE = Path(__file__).parents[1] / "store" / "schema-3-store.gz"
# Columns of which not every text is valid: planted one at a time, because their rows cannot be read.
REQUIRED = {
    *(("runs", column) for column in ("status", "spec", "spec_hash", "device", "request", "diagnosis")),
    *(("comparisons", "comparison"), ("curves", "split"), ("measurements", "diagnosis")),
}


def assert_harmless(result: CommandResult) -> None:
    printed = result.out + result.err
    control_characters = {
        character
        for character in printed
        if character != "\n" and unicodedata.category(character) in CONTROL_CATEGORIES
    }
    assert not control_characters, printed
    assert "Traceback" not in printed


def planted(value: str | None) -> str:
    """Return the value with hostile text at its end, in JSON at the end of every string."""
    if value is None:
        return HOSTILE
    try:
        return json.dumps(_planted_leaves(json.loads(value)))
    except json.JSONDecodeError:
        return value + HOSTILE


def _planted_leaves(value: Any) -> Any:
    match value:
        case str():
            return value + HOSTILE
        case list():
            return [_planted_leaves(item) for item in value]
        case dict():
            return {key: _planted_leaves(item) for key, item in value.items()}
    return value


def text_columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    for (table,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    ):
        for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})"):
            if kind == "TEXT":
                yield table, column


def plant(path: Path, table: str, column: str) -> None:
    """Plant hostile text in every row of a column."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall():  # noqa: S608
        query = f"UPDATE {table} SET {column} = ? WHERE {column} IS ?"  # noqa: S608
        connection.execute(query, (planted(value), value))
    connection.commit()
    connection.close()


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A store with finished runs, a paused run, names, tags and layer statistics."""
    path = tmp_path / "lab.db"
    path.write_bytes(gzip.decompress(OLD_STORE.read_bytes()))
    Store.open(path).close()
    return path


def test_every_text_of_a_store_is_escaped(initlab: Command, written: Path) -> None:
    with sqlite3.connect(written) as connection:
        columns = set(text_columns(connection))
    assert columns > REQUIRED and len(columns) > 20
    for table, column in columns - REQUIRED:
        plant(written, table, column)
    shown = initlab("show", "1", "--store", "lab.db")
    assert shown.code == 0 and "\\x1b]52;c;aGk=\\x07\\u202ex\\x9b2J\\u2028" in shown.out
    assert_harmless(shown)
    for command in ("runs", "leaderboard", "show 6", "runs --json", "show 1 --json", "recipe check he-vs-xavier-deep"):
        result = initlab(*command.split(), "--store", "lab.db")
        assert_harmless(result)
        assert result.code == 0, command
    for command in ("resume 1", "retry 1", "stop 6", "leaderboard --comparison 99"):
        assert_harmless(initlab(*command.split(), "--store", "lab.db"))


@pytest.mark.parametrize(("table", "column"), sorted(REQUIRED))
def test_an_invalid_value_in_a_required_column_is_escaped_and_causes_no_traceback(
    initlab: Command, written: Path, table: str, column: str
) -> None:
    plant(written, table, column)
    for command in ("runs", "leaderboard", "show 1", "show 1 --json"):
        result = initlab(*command.split(), "--store", "lab.db")
        assert_harmless(result)
        assert result.code == 0


def test_a_damaged_record_of_a_run_is_named(initlab: Command, written: Path) -> None:
    with sqlite3.connect(written) as connection:
        connection.execute("UPDATE runs SET record = '{' WHERE id = 1")
    result = initlab("show", "1", "--store", "lab.db")
    assert result.code == 0 and "run 1: unreadable: record is not JSON" in result.out
    assert_harmless(result)


def hostile_recipe() -> str:
    return (
        loader.text("he-vs-xavier-deep")
        .replace('title = "', f'title = "{BIDI}')
        .replace('claim = "', f'claim = "{BIDI}')
    )


@pytest.mark.parametrize("text", [hostile_recipe(), "", f"{HOSTILE} = 1", f'"{BIDI}" = 1', f'name = "{BIDI}"'])
def test_a_recipe_file_is_escaped(initlab: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    for command in ("recipe show mine.toml", "recipe show mine.toml --json", "recipe check mine.toml"):
        assert_harmless(initlab(*command.split()))


def test_recipe_toml_is_escaped_on_a_terminal_and_unchanged_in_a_pipe(initlab: Command, tmp_path: Path) -> None:
    text = f"# \x1b]52;c;aGk=\x07\n{hostile_recipe()}"
    (tmp_path / "mine.toml").write_text(text)
    assert initlab("recipe", "show", "mine.toml", "--toml").out == text
    controller, terminal = pty.openpty()
    arguments = command_line(["recipe", "show", "mine.toml", "--toml"])
    subprocess.run(arguments, stdout=terminal, cwd=tmp_path, env=command_environment(tmp_path), check=True)
    shown = os.read(controller, 1 << 16).decode()
    os.close(terminal)
    os.close(controller)
    assert shown.startswith("# \\x1b]52;c;aGk=\\x07") and "\x1b" not in shown
    assert "\\u202ex\\u2066" in shown and not set(BIDI) - {"x"} & set(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        (f"--fo{BIDI}o",),
        (f"ru{BIDI}n",),
        ("run", f"--epo{BIDI}chs"),
        ("run", f"{BIDI}"),
        ("run", "--threads", BIDI),
        ("run", "--epochs", BIDI),
        ("run", "--hidden", BIDI),
        ("run", "--activation", BIDI),
        ("run", "--device", BIDI),
        ("run", "--initializer", BIDI),
        ("run", "--initializer", f"import:{BIDI}.Mine"),
        ("run", "--initializer", f"random_normal:{BIDI}=1"),
        ("run", "--dataset", BIDI),
        ("run", "--dataset", f"npz:{BIDI}.npz"),
        ("run", "--data-dir", BIDI),
        ("runs", "--store", BIDI),
        ("runs", "--last", BIDI),
        ("show", BIDI),
        ("show", "1", "--store", f"{BIDI}/lab.db"),
        ("stop", BIDI),
        ("retry", BIDI),
        ("explain", BIDI),
        ("initializers", BIDI),
        ("inspect", "--initializer", BIDI),
        ("recipe", BIDI),
        ("recipe", "show", BIDI),
        ("recipe", "check", f"{BIDI}.toml"),
        ("recipe", "run", BIDI, "--seeds", BIDI),
        ("run", "--epochs", HOSTILE),
        (HOSTILE,),
    ],
)
def test_arguments_are_escaped_in_errors(initlab: Command, arguments: tuple[str, ...]) -> None:
    result = initlab(*arguments)
    assert_harmless(result)
    assert result.code == 2 or arguments[0] == "runs"


def test_names_and_contents_of_dataset_files_are_escaped(initlab: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / f"{BIDI}.npz", **{f"x_train{BIDI}": np.zeros(3)})  # type: ignore[arg-type]
    (tmp_path / f"text{BIDI}.npz").write_text(HOSTILE)
    for name in (f"npz:{BIDI}.npz", f"npz:text{BIDI}.npz"):
        result = initlab("run", "--dataset", name)
        assert_harmless(result)
        assert result.code == 2 and "\\u202e" in result.err


def test_an_unexpected_error_is_escaped(initlab_process: Command, tmp_path: Path) -> None:
    broken = "import initlab_tui.services.doctor as doctor\ndef fail(*_): raise RuntimeError('\\x1b]52;\\u202e')\n"
    (tmp_path / "sitecustomize.py").write_text(broken + "doctor.datasets = fail\n")
    result = initlab_process("datasets", PYTHONPATH=str(tmp_path))
    assert result.code == 1 and "RuntimeError: \\x1b]52;\\u202e" in result.err
    assert "\x1b" not in result.err and "\u202e" not in result.err
