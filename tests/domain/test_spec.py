from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initlab_tui.domain.catalog.choices import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.catalog.entry import Parameter
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.fields import MAX_SEED, hidden_text, parse_hidden
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec


def _value(parameter: Parameter) -> st.SearchStrategy[object]:
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if isinstance(parameter.default, int):
        return st.integers(int(parameter.minimum), int(parameter.maximum))
    low = parameter.above if parameter.above is not None else parameter.minimum
    return st.floats(low, parameter.maximum, exclude_min=parameter.above is not None)


@st.composite
def initializers(draw: st.DrawFn) -> Initializer:
    entry = CATALOGUE[draw(st.sampled_from(sorted(CATALOGUE)))]
    values = {parameter.name: draw(_value(parameter)) for parameter in entry.parameters}
    if "minval" in values:
        values["minval"], values["maxval"] = 0.0, draw(st.floats(1e-9, 1.0))
    pairs = ",".join(f"{name}={value}" for name, value in values.items())
    return Initializer.parse(f"{entry.name}:{pairs}" if pairs else entry.name)


specs = st.builds(
    RunSpec,
    dataset=st.sampled_from([*DATASETS, "npz:/data/my digits.npz"]),
    hidden=st.lists(st.integers(1, 10_000), max_size=40).map(tuple),
    activation=st.sampled_from(ACTIVATIONS),
    initializer=initializers(),
    optimizer=st.sampled_from(OPTIMIZERS),
    learning_rate=st.floats(min_value=0, exclude_min=True, allow_infinity=False),
    l2=st.sampled_from([0.0, 1e-4, 0.5]),
    batch_size=st.integers(1, 100_000),
    epochs=st.integers(1, 100_000),
    eval_every=st.integers(0, 100_000),
    execution=st.sampled_from(EXECUTIONS),
    seed=st.integers(0, MAX_SEED),
)


@given(specs)
def test_a_spec_survives_json_exactly(spec: RunSpec) -> None:
    assert RunSpec.from_json(spec.to_json()) == spec


@given(initializers())
def test_an_initializer_survives_writing_and_parsing(initializer: Initializer) -> None:
    assert Initializer.parse(str(initializer)) == initializer


@given(st.lists(st.integers(1, 3), max_size=30))
def test_hidden_widths_survive_writing_and_parsing(widths: list[int]) -> None:
    assert parse_hidden(hidden_text(widths)) == tuple(widths)


@given(specs, specs)
def test_specs_share_a_hash_only_if_they_differ_in_nothing_but_the_seed(one: RunSpec, other: RunSpec) -> None:
    same = one.model_copy(update={"seed": 0}) == other.model_copy(update={"seed": 0})
    assert (one.spec_hash == other.spec_hash) == same


def test_a_spec_stored_without_l2_is_grouped_with_specs_that_have_none() -> None:
    old = json.loads(RunSpec(seed=3).to_json())
    del old["l2"]
    kept = RunSpec.from_json(json.dumps(old))
    assert kept.l2 == 0
    assert kept.spec_hash == RunSpec().spec_hash
    assert RunSpec(l2=1e-4).spec_hash != RunSpec().spec_hash


def test_a_spec_hash_is_the_same_in_every_version() -> None:
    # Stores contain the hash: old and new runs form one group only if it never changes.
    assert RunSpec(seed=1).spec_hash == RunSpec(seed=2).spec_hash == "143757514795575a"
    deep = RunSpec.checked(hidden=(100, 50), initializer="random_normal:stddev=1.0", l2=0.1)
    assert deep.spec_hash == "b7f735c685b8e3fc"


def test_a_new_field_with_a_default_changes_no_spec_hash() -> None:
    class GrownSpec(RunSpec):
        label_smoothing: float = 0.0

    assert GrownSpec().spec_hash == RunSpec().spec_hash
    assert GrownSpec(epochs=3).spec_hash == RunSpec(epochs=3).spec_hash
    assert GrownSpec(label_smoothing=0.1).spec_hash != RunSpec().spec_hash


def test_the_standard_deviation_of_random_normal_is_always_written() -> None:
    assert str(Initializer.parse("random_normal")) == "random_normal:stddev=0.05"
    assert str(Initializer.parse("random_normal:mean=0.5,stddev=1")) == "random_normal:stddev=1.0,mean=0.5"
    assert str(Initializer.parse("he_normal")) == "he_normal"


def test_repeated_widths_can_be_abbreviated() -> None:
    assert RunSpec.checked(hidden="100x30").hidden == (100,) * 30
    assert RunSpec.checked(hidden="none").hidden == ()
    assert RunSpec.checked(hidden="300, 100x2,10").hidden == (300, 100, 100, 10)


def test_all_invalid_fields_are_reported_at_once() -> None:
    with pytest.raises(InvalidInputError) as caught:
        RunSpec.checked(hidden="0", activation="rleu", learning_rate="nan", epochs=0, initializer="he_norml")
    assert [problem.field for problem in caught.value.problems] == [
        "hidden",
        "activation",
        "initializer",
        "learning_rate",
        "epochs",
    ]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("learning_rate", "0", "learning_rate must be a finite number > 0, got 0"),
        ("learning_rate", "-1", "got -1"),
        ("l2", "-1", "l2 must be a finite number >= 0, got -1"),
        ("l2", "inf", "got inf"),
        ("learning_rate", "inf", "got inf"),
        ("learning_rate", "fast", "got fast"),
        ("batch_size", "0", "batch_size must be a whole number >= 1"),
        ("batch_size", "1.5", "got 1.5"),
        ("epochs", "", "epochs must be a whole number >= 1"),
        ("seed", "-1", "seed must be a whole number >= 0"),
        ("hidden", "256,,10", "whole numbers >= 1"),
        ("hidden", "256,-3", "got '-3' in '256,-3'"),
        ("hidden", "5x99999999999", "at most 500 layers"),
        ("dataset", "minst", "did you mean mnist"),
        ("dataset", "npz:", "npz:FILE"),
        ("optimizer", "adan", "did you mean adam"),
        ("dataset", "my.npz", "npz:my.npz"),
        ("initializer", "mine.Draw", "import:mine.Draw"),
        ("initializer", "he_normal,zeros", "give each one separately"),
        ("initializer", "he", "did you mean he_normal or he_uniform or he_fan_avg"),
        ("execution", "jit", "allowed: auto, xla, graph, eager"),
        ("initializer", "glorot", "did you mean glorot_normal or glorot_uniform"),
        ("initializer", "random_normal:std=1", "did you mean stddev"),
        ("initializer", "random_normal:stddev", "must be param=value"),
        ("initializer", "random_normal:stddev=1,stddev=2", "given twice"),
        ("initializer", "random_normal:stddev=0", "stddev must be a number > 0"),
        ("initializer", "random_normal:stddev=nan", "got nan"),
        ("initializer", "random_uniform:minval=1,maxval=1", "minval must be < maxval"),
        ("initializer", "sparse:connections=1.5", "connections must be a whole number >= 1"),
        ("initializer", "variance_scaling:mode=fan", "one of fan_in, fan_out, fan_avg"),
        ("initializer", "zeros:value=1", "zeros takes no parameters"),
        ("initializer", "import:Name", "import:package.module.Name"),
    ],
)
def test_an_error_names_the_value_and_what_is_allowed(field: str, value: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        RunSpec.checked(**{field: value})
    (problem,) = caught.value.problems
    assert problem.field == field
    assert words in problem.message


def test_a_comparison_is_the_product_of_its_axes_seed_by_seed() -> None:
    comparison = Comparison.checked(
        initializers=["he_normal", "zeros"],
        seeds=[0, 1],
        hidden=["64", "64x9"],
        activations=["relu", "tanh"],
        learning_rates=[0.1, 0.01],
        optimizers=["adam", "sgd"],
    )
    runs = list(comparison.runs())
    assert len(runs) == len(set(runs)) == 2**6
    # Each network is compiled once, so its runs are consecutive; within them, paired runs of a seed are too.
    compiled = [key for key, _ in itertools.groupby(runs, lambda run: (run.hidden, run.activation, run.optimizer))]
    assert len(compiled) == 8
    assert [run.seed for run in runs[:8]] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert Comparison.from_json(comparison.to_json()) == comparison


def test_a_comparison_stored_before_it_could_have_several_optimizers_is_read_and_written_unchanged() -> None:
    stored = Comparison.checked(base=RunSpec(optimizer="sgd"), initializers=["zeros"], seeds=[0]).to_json()
    assert '"optimizers"' not in stored and stored.endswith('"learning_rates":[]}')
    assert {run.optimizer for run in Comparison.from_json(stored).runs()} == {"sgd"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"initializers": ["he_normal", "he_normal"]}, "he_normal twice"),
        ({"initializers": ["zeros"], "optimizers": ["adam", "sgd", "adam"]}, "adam twice"),
        ({"initializers": ["zeros"], "optimizers": ["adam", "adan"]}, "did you mean adam"),
        ({"initializers": ["random_normal", "random_normal:stddev=0.05"]}, "twice"),
        ({"initializers": []}, "must not be empty"),
        ({"initializers": ["zeros"], "seeds": []}, "must not be empty"),
    ],
)
def test_a_comparison_with_repeated_or_missing_values_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Comparison.checked(**{"seeds": [0], **fields})
    assert words in str(caught.value)
