"""The README cannot rot: each command and option stands in it, and what it shows can be typed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from initlab_tui.cli.app import app
from initlab_tui.domain import parse_comparison
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.claims.recipe_toml import parse
from initlab_tui.domain.fields import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.recipes import loader
from initlab_tui.reports import recipes
from initlab_tui.tui.keys import SECTIONS

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
LINES = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("initlab-tui ")
]


def test_every_command_and_option_is_told_and_no_other() -> None:
    spoken = set(re.findall(r"`([a-z]+)(?: (?:ID|\[NAME\]|--all|run)[^`]*)?`[^|\n]*\|", README))
    assert set(COMMANDS) <= spoken
    commands = [*COMMANDS.values(), *COMMANDS["recipe"].commands.values()]
    known = {name for command in commands for parameter in command.params for name in parameter.opts}
    known |= {"--version", "--install-completion", "--show-completion", "--help"}
    told = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", README))
    assert told == {name for name in known if name.startswith("--")}


@pytest.mark.parametrize("name", [*CATALOGUE, *ACTIVATIONS, *OPTIMIZERS, *EXECUTIONS])
def test_every_name_is_told(name: str) -> None:
    assert re.search(rf"\b{name}\b", README)


@pytest.mark.parametrize("line", LINES)
def test_what_it_shows_is_accepted(line: str) -> None:
    command, *arguments = shlex.split(line)[1:]
    context = COMMANDS[command].make_context(command, arguments)
    given = context.params
    if command in ("run", "compare"):
        listed = {key: given[key] for key in ("initializer", "hidden", "activation", "learning_rate")}
        lists = {key: value if isinstance(value, list) else [value] for key, value in listed.items()}
        comparison = parse_comparison.comparison(
            initializers=lists["initializer"],
            hidden=lists["hidden"],
            activations=lists["activation"],
            learning_rates=lists["learning_rate"],
            seed=given["seed"],
            seeds=given.get("seeds", "1"),
            dataset=given["dataset"],
            epochs=given["epochs"],
            eval_every=given["eval_every"],
        )
        assert list(comparison.runs())


def test_its_table_of_keys_is_that_of_the_bindings() -> None:
    bound = [(key.shown, key.help) for _, keys in SECTIONS for key in keys]
    assert re.findall(r"^\| `([^|]+)` \| (.+) \|$", _keys_table(), re.MULTILINE) == bound


def _keys_table() -> str:
    return README[README.index("### Keys") : README.index("## What to do with it")]


def test_each_key_of_the_walk_through_is_bound() -> None:
    walk = README[README.index("## A first comparison") : README.index("### Keys")]
    known = {shown for _, keys in SECTIONS for key in keys for shown in key.shown.split(", ")} | {"↓", "tab", ","}
    spoken = set(re.findall(r"`([^` ]{1,5})`", walk))
    assert spoken
    assert spoken <= known


def test_its_table_of_claims_is_that_of_the_recipes() -> None:
    assert recipes.markdown(loader.packaged()) in README


def test_its_recipe_is_one() -> None:
    (text,) = re.findall(r"^```toml\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert [spec.hidden for _, spec in parse(text, "mine", "mine.toml").specs()] == [(64,) * 10] * 10


@pytest.mark.parametrize("picture", re.findall(r"\]\((screenshots/[^)]+)\)", README))
def test_each_picture_is_there(picture: str) -> None:
    assert (Path(__file__).parents[1] / picture).read_text().startswith("<svg")
