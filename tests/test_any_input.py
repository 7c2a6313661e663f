"""Whatever comes in, from a store, a recipe or the command line, is valid or a clean error.

The test run tries a few inputs. To try 100,000 of each kind, which takes about an hour:

    INITLAB_EXAMPLES=100000 python -m pytest --timeout=0 tests/test_any_input.py
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.claims.recipe_toml import parse
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.reports import documents, run_page, tables
from initlab_tui.services import recipes, stored_runs
from initlab_tui.store import comparisons, sql, workers
from initlab_tui.store.curves import latest_step, read_trend
from initlab_tui.store.database import Store
from initlab_tui.store.integrity import check_store
from initlab_tui.store.run_cache import RunCache
from initlab_tui.store.runs import read_runs
from tests.hostile_store import ROWS, loosen, old_store
from tests.sample_recipe import TEXT

EXAMPLES = int(os.environ.get("INITLAB_EXAMPLES", "60"))
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


class Huge(Enum):
    """A whole number of more digits than Python writes."""

    HUGE = "huge"


HUGE = Huge.HUGE
# SQLite and JSON documents in UTF-8 hold no surrogates.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, HUGE, 2**63 - 1, 1e308, -1e300, math.inf, math.nan, 0])
)
words = st.sampled_from(
    ["", "none", "digits", "npz:", "relu", "100x30", "1x" + "9" * 5000, "3,3", "adam", "he_normal", "healthy", "gpu:1"]
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, text, words),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4)),
    max_leaves=8,
)


def json_text(value: object) -> str:
    """Return JSON, also of HUGE, which Python cannot write."""
    if value is HUGE:
        return "-1" + "0" * 5000
    if isinstance(value, list):
        return f"[{','.join(map(json_text, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{json.dumps(key)}:{json_text(item)}' for key, item in value.items())}}}"
    return json.dumps(value)


def fields_of(model: type[RunSpec] | type[Comparison]) -> st.SearchStrategy[str]:
    """Return JSON objects with some of a model's fields, and a few others."""
    names = st.one_of(st.sampled_from(sorted(model.model_fields)), text)
    return st.one_of(st.dictionaries(names, json_values, max_size=6).map(json_text), json_values.map(json_text), text)


@many
@given(fields_of(RunSpec))
def test_a_spec_is_valid_or_a_clean_error(written: str) -> None:
    try:
        spec = RunSpec.from_json(written)
    except InvalidInputError as error:
        assert all(len(problem.message) < 1000 for problem in error.problems)
        return
    assert RunSpec.from_json(spec.to_json()) == spec and len(spec.spec_hash) == 16


@many
@given(fields_of(Comparison))
def test_a_comparison_is_valid_or_a_clean_error(written: str) -> None:
    with contextlib.suppress(InvalidInputError):
        comparison = Comparison.from_json(written)
        assert Comparison.from_json(comparison.to_json()) == comparison


parameters = st.sampled_from(sorted({p.name for entry in CATALOGUE.values() for p in entry.parameters}))
values = st.one_of(numbers.map(json_text), text, st.sampled_from(["1e999", "-1e308", "nan", "True", "9" * 5000, "∞"]))
pairs = st.tuples(st.one_of(parameters, text), values).map("=".join)
names = st.one_of(st.sampled_from([*CATALOGUE, "import:a.b", "import:os.system", "import:"]), text)
initializers = st.one_of(text, st.builds(lambda name, given: f"{name}:{','.join(given)}", names, st.lists(pairs)))


@many
@given(initializers)
def test_an_initializer_is_valid_or_a_clean_error(written: str) -> None:
    try:
        spec = RunSpec.checked(initializer=written)
    except InvalidInputError as error:
        assert all(len(problem.message) < 2000 for problem in error.problems)
        return
    again = RunSpec.from_json(spec.to_json())
    # As text, because a parameter of a custom initializer may be NaN.
    assert (again.to_json(), again.spec_hash) == (spec.to_json(), spec.spec_hash)
    spec.initializer.moments(10, 20)


@st.composite
def edited_recipes(draw: st.DrawFn) -> str:
    """Return the text of a recipe after a few edits: a value or a line replaced, doubled or removed."""
    lines = TEXT.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "line", "double", "remove", "cut"])):
            case "value":
                name = lines[place].partition("=")[0]
                lines[place] = f"{name}= {draw(st.one_of(json_values.map(json_text), text, toml_values))}"
            case "line":
                lines[place] = draw(text)
            case "double":
                lines.insert(place, lines[place])
            case "remove":
                lines[place] = ""
            case "cut":
                lines[place] = lines[place][: draw(st.integers(0, 30))]
    return "\n".join(lines)


toml_values = st.sampled_from(
    ["inf", "-nan", "1979-05-27", "9" * 5000, "[" * 300, "{a = 1}", "'''", "[[]]", '["1-3"]', '"1000000000"', "{}"]
)


@many
@given(st.one_of(edited_recipes(), text))
def test_a_recipe_is_valid_or_a_clean_error(written: str) -> None:
    with contextlib.suppress(InvalidInputError):
        recipe = parse(written, "mine", "mine.toml")
        assert recipe.origin.name == "mine"


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, list[str]]]]:
    """Return a store whose columns take anything, and the columns of its tables."""
    path: Path = tmp_path_factory.mktemp("loose") / "lab.db"
    old_store(path)
    columns = loosen(path)
    with Store.open(path) as store:
        yield store, columns


row_values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    text,
    words,
    st.binary(max_size=8),
    json_values.map(json_text),
    fields_of(RunSpec),
)


@many
@given(data=st.data())
def test_a_row_of_the_store_costs_at_most_itself(
    loose: tuple[Store, dict[str, list[str]]], data: st.DataObject
) -> None:
    store, tables_of_store = loose
    table = data.draw(st.sampled_from(sorted(tables_of_store)))
    column = data.draw(st.sampled_from([name for name in tables_of_store[table] if name != "id"]))
    value, as_text = data.draw(row_values), data.draw(st.booleans())
    expression = "CAST(? AS TEXT)" if as_text and isinstance(value, bytes) else "?"
    connection = sql.connection(store)
    connection.execute("BEGIN")
    try:
        update = f"UPDATE {table} SET {column} = {expression} WHERE {ROWS[table]}"  # noqa: S608
        assert connection.execute(update, (value,)).rowcount == 1
        read_everything(store)
    finally:
        connection.execute("ROLLBACK")


def read_everything(store: Store) -> None:
    """Read all that the commands and the lab read, and write it as pages and as JSON."""
    found, unreadable = read_runs(store)
    assert len(found) + len(unreadable) in (4, 5, 6, 7)
    assert_json([documents.run_document(run) for run in found])
    assert_json([documents.row_document(row) for row in documents.rows(found)])
    console = Console(width=120, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    with console.file:
        console.print(tables.runs_page(found, unreadable, 120))
        console.print(tables.leaderboard_tables(documents.rows(found), 120))
        for run_id in (1, 2):
            shown = stored_runs.details(store, run_id)
            if shown is not None:
                console.print(run_page.run_page(shown))
                assert_json(documents.show_document(shown))
    for run in found[:2]:
        read_trend(store, run.id, "train", 3)
        latest_step(store, run.id)
    workers.list_alive(store)
    workers.list_unreadable(store)
    comparisons.last_comparison(store)
    RunCache(store).refresh()
    recipes.all_results(store, found)
    assert not isinstance(check_store(store), str)


def assert_json(document: Any) -> None:
    def refuse(name: str) -> NoReturn:
        raise AssertionError(f"{name} is not JSON")

    json.loads(documents.dump(document), parse_constant=refuse)
