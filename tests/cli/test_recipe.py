"""Recipes from the command line: listed, shown, and run through the real worker."""

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
name = "wild"
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
source = "nobody"
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
group = { experiment = "wild" }
at_least = 0.5
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return path


def test_an_own_recipe_is_run_and_each_claim_judged(warm: Command, mine: Path) -> None:  # noqa: ARG001
    ran = warm("recipe", "run", "./mine.toml", "--json")
    assert ran.code == 0, ran.err
    document = ran.document
    own = {"recipe", "datasets", "instead_of", "comparisons", "claims", "missing"}
    assert set(document) == {"comparison", "leaderboard", "runs", *own}
    assert len(document["runs"]) == 6
    assert (document["recipe"], document["datasets"], document["instead_of"]) == ("mine", ["digits"], [])
    adam, wild = document["comparisons"]
    assert set(adam) == {"experiment", "comparison", "leaderboard", "runs"}
    assert (adam["experiment"], len(adam["runs"]), wild["experiment"], len(wild["runs"])) == ("adam", 4, "wild", 2)
    claims = document["claims"]
    assert all({"claim", "kind", "source", "expected", "observed", "verdict"} <= set(claim) for claim in claims)
    assert [claim["verdict"] for claim in claims] == ["reproduced", "not_reproduced", "reproduced", "undecided"]
    assert [claim["kind"] for claim in claims] == ["published", "measured", "published", "published"]
    zeros = next(row for row in adam["leaderboard"] if row["initializer"] == "zeros")
    (estimate,) = claims[0]["observed"]["estimates"]
    assert estimate["values"] == zeros["test_accuracy"]["values"]
    assert (claims[0]["expected"]["low"], claims[0]["expected"]["high"]) == (None, 0.15)
    # What diverged says nothing of accuracy: that is told, and nothing is decided.
    assert claims[3]["reason"] == "only 0 of 2 runs have a result"
    assert re.search("recipe mine: adam", ran.err)

    told = warm("recipe", "run", "mine.toml", "--seeds", "1")
    assert told.code == 0, told.err
    assert told.out.count("an interval needs at least two seeds") == 3
    assert "He[/] is worse than zeros" in told.out


def test_what_comes_with_the_program_is_listed_and_shown(initlab: Command) -> None:
    listed = initlab("recipe")
    assert listed.code == 0, listed.err
    names = [recipe["name"] for recipe in initlab("recipe", "--json").document["recipes"]]
    assert names == list(loader.PACKAGED)
    assert all(name in listed.out for name in names)
    shown = initlab("recipe", "show", "lecture-xavier")
    assert "Deep Learning Zero To All" in shown.out and "85.35 ± 2.00 %" in shown.out and "σ=0.05" in shown.out
    assert initlab("recipe", "show", "lecture-xavier", "--json").document["source"]["year"] == 2018
    assert initlab("recipe", "table").out.startswith("| recipe | claim |")


def test_the_packaged_files_are_those_that_are_listed() -> None:
    folder = Path(loader.__file__).parent
    assert {path.stem for path in folder.glob("*.toml")} == set(loader.PACKAGED)
    assert [recipe.name for recipe in loader.packaged()] == list(loader.PACKAGED)


def test_without_fashion_mnist_another_stands_in_and_only_the_order_is_judged(warm: Command, tmp_path: Path) -> None:
    own = MINE.replace("[[experiments]]", "[[experiments]]\n#", 1).replace(
        'title = "Zeros', 'substitute_dataset = "digits"\ntitle = "Z'
    )
    own = own.replace('hidden = "16"', 'hidden = "16"\ndataset = "fashion_mnist"').replace(
        'group = "zeros"\nat_most', 'any_dataset = true\ngroup = "zeros"\nat_most'
    )
    (tmp_path / "mine.toml").write_text(own)
    ran = warm("recipe", "run", "mine.toml", "--json", https_proxy="http://127.0.0.1:9")
    assert ran.code == 0, ran.err
    assert (ran.document["datasets"], ran.document["instead_of"]) == (["digits"], ["fashion_mnist", "digits"])
    assert [claim["verdict"] for claim in ran.document["claims"]] == ["reproduced", *["undecided"] * 3]
    assert ran.document["claims"][1]["reason"] == "not run on the dataset of the claim"
    assert "Using digits instead" in ran.err


def test_what_a_file_says_is_text(initlab: Command, tmp_path: Path) -> None:
    hostile = MINE.replace('title = "Zeros', 'title = "\\u001b[31m[red]Zeros').replace(
        'name = "wild"', 'name = "\\u001b[2J"'
    )
    (tmp_path / "mine.toml").write_text(hostile.replace('{ experiment = "wild" }', '{ experiment = "\\u001b[2J" }'))
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
    # The first part can run, the second cannot.
    (mine.parent / "wide.toml").write_text(MINE.replace('activation = "linear"', "batch_size = 5000"))
    ran = initlab("recipe", *arguments.split())
    assert ran.code == 2, ran.out + ran.err
    assert ran.out == "" and "Traceback" not in ran.err
    for word in words:
        assert word in ran.err
    assert not (mine.parent / ".local").exists()


def test_a_recipes_own_text_is_a_file_to_begin_from(initlab: Command, tmp_path: Path) -> None:
    printed = initlab("recipe", "show", "he-vs-xavier-deep", "--toml")
    assert printed.code == 0
    (tmp_path / "mine.toml").write_text(printed.out, encoding="utf-8")
    mine, packaged = (initlab("recipe", "show", name, "--json") for name in ("mine.toml", "he-vs-xavier-deep"))
    assert mine.code == 0, mine.err
    assert mine.document | {"name": ""} == packaged.document | {"name": ""}
