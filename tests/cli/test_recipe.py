"""The recipe commands: list, show, run (with the real worker) and check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from initlab_tui.recipes import loader
from tests.conftest import Command

MINE = """\
title = "Zeros against He, twice"
claim = "Zeros do not learn."

[source]
author = "Somebody"
title = "A book"
year = 2016
place = "page 3"

[[experiments]]
name = "adam"
initializers = ["zeros", "he_normal"]
seeds = 2
[experiments.base]
hidden = "16"
batch_size = 32
learning_rate = 0.01
epochs = 3

[[experiments]]
name = "diverging"
initializers = ["he_normal"]
seeds = 2
[experiments.base]
hidden = "16x4"
activation = "linear"
optimizer = "sgd"
learning_rate = 1e4

[[claims]]
statement = "Zeros stay at chance"
kind = "published"
source = "A book"
group = "zeros"
at_most = 0.15

[[claims]]
statement = "He[/] is worse than zeros"
kind = "measured"
source = "unpublished"
date = 2026-11-23
group = { experiment = "adam", initializer = "he_normal" }
against = "zeros"
at_most = 0.0

[[claims]]
statement = "After one epoch they are within a thousandth"
kind = "published"
source = "A book"
group = "zeros"
epoch = 1
observable = "test_loss"
equals = 2.3026
tolerance = 0.02

[[claims]]
statement = "A step far too large still learns"
kind = "published"
source = "A book"
group = { experiment = "diverging" }
at_least = 0.5
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_a_recipe_file_is_run_and_every_claim_gets_a_verdict(warm: Command, mine: Path) -> None:  # noqa: ARG001
    result = warm("recipe", "run", "./mine.toml", "--json")
    assert result.code == 0, result.err
    document = result.document
    recipe_keys = {"recipe", "datasets", "instead_of", "comparisons", "claims", "missing"}
    assert set(document) == {"comparison", "leaderboard", "runs", *recipe_keys}
    assert len(document["runs"]) == 6
    assert (document["recipe"], document["datasets"], document["instead_of"]) == ("mine", ["digits"], [])
    adam, diverging = document["comparisons"]
    assert set(adam) == {"experiment", "comparison", "leaderboard", "runs"}
    assert (adam["experiment"], len(adam["runs"])) == ("adam", 4)
    assert (diverging["experiment"], len(diverging["runs"])) == ("diverging", 2)
    claims = document["claims"]
    assert all({"claim", "kind", "source", "expected", "observed", "verdict"} <= set(claim) for claim in claims)
    assert [claim["verdict"] for claim in claims] == ["reproduced", "not_reproduced", "reproduced", "undecided"]
    assert [claim["kind"] for claim in claims] == ["published", "measured", "published", "published"]
    zeros = next(row for row in adam["leaderboard"] if row["initializer"] == "zeros")
    (estimate,) = claims[0]["observed"]["estimates"]
    assert estimate["values"] == zeros["test_accuracy"]["values"]
    assert (claims[0]["expected"]["low"], claims[0]["expected"]["high"]) == (None, 0.15)
    # A diverged run has no accuracy, so the claim is undecided, with the reason.
    assert claims[3]["reason"] == "only 0 of 2 runs have a result"
    assert document["missing"] == []
    assert re.search("recipe mine: adam", result.err)

    checked = warm("recipe", "check", "mine.toml", "--json")
    assert (checked.code, checked.err) == (0, "")
    assert checked.document == document

    printed = warm("recipe", "run", "mine.toml", "--seeds", "1")
    assert printed.code == 0, printed.err
    assert printed.out.count("an interval needs at least two seeds") == 3
    assert "He[/] is worse than zeros" in printed.out


def test_check_names_experiments_without_runs_and_how_to_run_them(initlab: Command, mine: Path) -> None:
    checked = initlab("recipe", "check", "mine.toml")
    assert checked.code == 0, checked.err
    assert "mine claims: ? 4 undecided" in checked.out
    assert "Not run yet: adam, diverging. Run the recipe with: initlab-tui recipe run mine.toml" in checked.err
    assert not (mine.parent / ".local").exists()
    document = initlab("recipe", "check", "mine.toml", "--json").document
    assert document["missing"] == ["adam", "diverging"]
    assert (document["runs"], document["comparisons"], document["comparison"]["id"]) == ([], [], None)
    assert {claim["reason"] for claim in document["claims"]} == {"not run yet"}


def test_packaged_recipes_are_listed_and_shown(initlab: Command) -> None:
    listed = initlab("recipe")
    assert listed.code == 0, listed.err
    names = [recipe["name"] for recipe in initlab("recipe", "--json").document["recipes"]]
    assert names == list(loader.PACKAGED)
    assert all(name in listed.out for name in names)
    shown = initlab("recipe", "show", "lecture-xavier")
    assert "Deep Learning Zero To All" in shown.out and "85.35 ± 2.00 %" in shown.out and "σ=0.05" in shown.out
    assert initlab("recipe", "show", "lecture-xavier", "--json").document["source"]["year"] == 2018
    assert initlab("recipe", "table").out.startswith("| recipe | claim |")


@pytest.mark.usefixtures("tensorflow_in_process")
def test_without_the_dataset_the_substitute_is_used_for_claims_about_any_dataset(warm: Command, tmp_path: Path) -> None:
    text = MINE.replace("[[experiments]]", "[[experiments]]\n#", 1).replace(
        'title = "Zeros', 'substitute_dataset = "digits"\ntitle = "Z'
    )
    text = text.replace('hidden = "16"', 'hidden = "16"\ndataset = "fashion_mnist"').replace(
        'group = "zeros"\nat_most', 'any_dataset = true\ngroup = "zeros"\nat_most'
    )
    (tmp_path / "mine.toml").write_text(text)
    result = warm("recipe", "run", "mine.toml", "--json", https_proxy="http://127.0.0.1:9")
    assert result.code == 0, result.err
    assert (result.document["datasets"], result.document["instead_of"]) == (["digits"], ["fashion_mnist", "digits"])
    assert [claim["verdict"] for claim in result.document["claims"]] == ["reproduced", *["undecided"] * 3]
    assert result.document["claims"][1]["reason"] == "not run on the dataset of the claim"
    assert "Using digits instead" in result.err


def test_control_characters_in_a_recipe_file_are_escaped(initlab: Command, tmp_path: Path) -> None:
    hostile = MINE.replace('title = "Zeros', 'title = "\\u001b[31m[red]Zeros').replace(
        'name = "diverging"', 'name = "\\u001b[2J"'
    )
    (tmp_path / "mine.toml").write_text(
        hostile.replace('{ experiment = "diverging" }', '{ experiment = "\\u001b[2J" }')
    )
    shown = initlab("recipe", "show", "mine.toml")
    assert shown.code == 0, shown.err
    assert "\x1b" not in shown.out and "\\x1b[31m[red]Zeros" in shown.out and "\\x1b[2J settings" in shown.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run lecture-xaver", ["unknown recipe 'lecture-xaver'", "did you mean lecture-xavier"]),
        ("run gone.toml", ["recipe gone.toml cannot be read: No such file"]),
        ("run bytes.toml", ["bytes.toml is not UTF-8 text"]),
        ("run bad.toml", ["bad.toml, line 16: experiments[1].base.batch_size: batch_size must be", "got 0"]),
        ("show bad.toml", ["line 16"]),
        ("check lecture-xaver", ["did you mean lecture-xavier"]),
        ("check bad.toml", ["line 16"]),
        ("run wide.toml", ["batch_size must be <= 1437"]),
        ("run mine.toml --seeds 0", ["seeds must be a whole number >= 1", "got 0"]),
        ("run", ["name one recipe, or give --all"]),
        ("run mine.toml --all", ["name one recipe, or give --all"]),
        ("run mine.toml --data-dir gone", ["must be a folder that exists"]),
        ("runn mine.toml", ["runn"]),
    ],
)
def test_bad_input_is_refused_with_nothing_written(
    initlab: Command, mine: Path, arguments: str, words: list[str]
) -> None:
    (mine.parent / "bytes.toml").write_bytes(b"\xff\xfe")
    (mine.parent / "bad.toml").write_text(MINE.replace("batch_size = 32", "batch_size = 0"))
    # The first experiment can run, the second cannot.
    (mine.parent / "wide.toml").write_text(MINE.replace('activation = "linear"', "batch_size = 5000"))
    result = initlab("recipe", *arguments.split())
    assert result.code == 2, result.out + result.err
    assert result.out == "" and "Traceback" not in result.err
    for word in words:
        assert word in result.err
    assert not (mine.parent / ".local").exists()


def test_the_printed_toml_of_a_recipe_is_a_valid_file(initlab: Command, tmp_path: Path) -> None:
    printed = initlab("recipe", "show", "he-vs-xavier-deep", "--toml")
    assert printed.code == 0
    (tmp_path / "mine.toml").write_text(printed.out, encoding="utf-8")
    mine, packaged = (initlab("recipe", "show", name, "--json") for name in ("mine.toml", "he-vs-xavier-deep"))
    assert mine.code == 0, mine.err
    assert mine.document | {"name": ""} == packaged.document | {"name": ""}
