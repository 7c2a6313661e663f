"""The README names every command, option and choice, and its command lines are valid."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from initlab_tui.cli.app import app
from initlab_tui.domain import parse_comparison
from initlab_tui.domain.catalog.choices import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.recipes import loader
from initlab_tui.tui.keys import SECTIONS

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("initlab-tui ")
]


def test_the_readme_names_exactly_the_existing_commands_and_options() -> None:
    named = set(re.findall(r"`([a-z]+)(?: (?:ID|\[ID\]|\[NAME\]|--all|run)[^`]*)?`[^|\n]*\|", README))
    assert set(COMMANDS) <= named
    commands = [*COMMANDS.values(), *COMMANDS["recipe"].commands.values()]
    known = {name for command in commands for parameter in command.params for name in parameter.opts}
    known |= {"--version", "--install-completion", "--show-completion", "--help"}
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README))
    assert shown == {name for name in known if name.startswith("--")}


@pytest.mark.parametrize("name", [*CATALOGUE, *ACTIVATIONS, *OPTIMIZERS, *EXECUTIONS])
def test_the_readme_names_every_choice(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_is_accepted(line: str) -> None:
    command, *arguments = shlex.split(line)[1:]
    context = COMMANDS[command].make_context(command, arguments)
    given = context.params
    if command in ("run", "compare"):
        listed = {
            key: given[key] for key in ("initializer", "network", "hidden", "activation", "optimizer", "learning_rate")
        }
        lists = {key: [value] if isinstance(value, str) else list(value) for key, value in listed.items()}
        comparison = parse_comparison.comparison(
            initializers=lists["initializer"],
            networks=lists["network"],
            hidden=lists["hidden"],
            activations=lists["activation"],
            optimizers=lists["optimizer"],
            learning_rates=lists["learning_rate"],
            seed=given["seed"],
            seeds=given.get("seeds", "1"),
            dataset=given["dataset"],
            epochs=given["epochs"],
            eval_every=given["eval_every"],
        )
        assert list(comparison.runs())


def test_the_keys_of_the_first_comparison_are_bound() -> None:
    steps = README[README.index("## A first comparison") : README.index("## What it can do")]
    known = {shown for _, keys in SECTIONS for key in keys for shown in key.shown.split(", ")} | {"↓"}
    named = set(re.findall(r"`([^` ]{1,5})`", steps))
    assert named
    assert named <= known


def test_every_recipe_has_a_line_in_the_table() -> None:
    named = re.findall(r"^\| `([a-z0-9-]+)` \| .+\? \|$|^\| `([a-z0-9-]+)` \|", README, re.MULTILINE)
    assert {name for pair in named for name in pair} >= set(loader.PACKAGED)


def test_the_readme_is_shorter_than_250_lines() -> None:
    assert len(README.splitlines()) < 250


@pytest.mark.parametrize("picture", re.findall(r"\]\(((?:screenshots|initlab_tui)/[^)]+)\)", README))
def test_every_linked_file_exists(picture: str) -> None:
    assert (Path(__file__).parents[1] / picture).is_file()
