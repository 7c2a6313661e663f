"""ARCHITECTURE.md lists the real folders, in the order of the import contract, and names only existing files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "initlab_tui"
ROOMS = re.findall(r"^\| `(\w+)/` \|", (PACKAGE / "ARCHITECTURE.md").read_text(), re.MULTILINE)


def test_the_list_of_rooms_matches_the_folders() -> None:
    assert set(ROOMS) == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert len(ROOMS) == len(set(ROOMS))


def test_the_rooms_are_listed_in_the_order_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [name.strip().removeprefix("initlab_tui.") for layer in layers for name in layer.split("|")] == ROOMS


def test_every_file_named_in_it_exists() -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", (PACKAGE / "ARCHITECTURE.md").read_text())
    assert named
    for name in named:
        assert (PACKAGE / name).is_file() or (ROOT / name).is_file(), name
