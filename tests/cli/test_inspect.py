"""Measuring the layers before training, through the real command."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.layers.diagnosis import DIAGNOSES
from tests.conftest import Command


def test_predicted_and_measured_statistics_are_shown_with_a_diagnosis_and_nothing_is_written(
    initlab: Command, tmp_path: Path
) -> None:
    initializers = ("he_normal", "glorot_uniform", "zeros", "lsuv")
    chosen = [part for name in initializers for part in ("--initializer", name)]
    ran = initlab("inspect", *chosen, "--hidden", "100x20", "--json")
    assert ran.code == 0, ran.err
    found = {each["initializer"]: each for each in ran.document["initializers"]}
    diagnoses = {name: each["verdict"] for name, each in found.items()}
    assert diagnoses["he_normal"] == "healthy"
    assert diagnoses["glorot_uniform"] == "vanishing_forward"
    assert diagnoses["zeros"] == "symmetric"
    assert set(diagnoses.values()) <= set(DIAGNOSES)
    layers = found["he_normal"]["layers"]
    assert [layer["name"] for layer in layers] == [*(f"dense_{number}" for number in range(1, 21)), "logits"]
    assert layers[0]["preactivation_std"] == pytest.approx(layers[0]["predicted_preactivation_std"], rel=0.15)
    assert layers[0]["relative_rms"] == pytest.approx(layers[0]["predicted_relative_rms"], rel=0.15)
    assert layers[-2]["predicted_input_correlation"] == pytest.approx(layers[-2]["input_correlation"], abs=0.1)
    fitted = next(name for name in found if name.startswith("lsuv"))
    assert all(layer["preactivation_std"] == pytest.approx(1, rel=0.1) for layer in found[fitted]["layers"])
    assert all(layer["predicted_preactivation_std"] is None for layer in found[fitted]["layers"])
    assert found["glorot_uniform"]["predicted_verdict"] == "vanishing_forward"
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.usefixtures("tensorflow_here")
def test_the_page_says_it_in_words_whatever_the_options_of_a_run(initlab: Command) -> None:
    """So that a command line can be tried before it is run."""
    inspect = ["inspect", "--initializer", "random_normal:stddev=1.0", "--hidden", "64,64", "--activation", "tanh"]
    ran = initlab(*inspect, "--seed", "3")
    assert ran.code == 0, ran.err
    assert "□ saturated: " in ran.out
    assert "healthy: up to 50%" in ran.out
    assert "* predicted" in ran.out and "flat" in ran.out and "dead" not in ran.out
    training = "--optimizer sgd --learning-rate 0.05 --batch-size 5000 --epochs 9 --seed 3 --execution graph --l2 0.1"
    tried = initlab(*inspect, *training.split())
    assert (tried.code, tried.out) == (0, ran.out), tried.err


def test_what_is_no_option_of_a_run_is_refused(initlab: Command) -> None:
    wrong = initlab("inspect", "--initializer", "he_normal", "--optimizer", "adm", "--epochs", "0")
    assert (wrong.code, wrong.out) == (2, "")
    assert "unknown optimizer 'adm'" in wrong.err and "epochs must be" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--initializer", "he_norml"], "unknown initializer 'he_norml': did you mean he_normal"),
        (["--initializer", "he_normal", "--hidden", "0"], "hidden must be whole numbers >= 1"),
        (["--initializer", "he_normal", "--dataset", "npz:/nowhere.npz"], "/nowhere.npz does not exist"),
        (["--initializer", "import:no.where"], "no module named 'no'"),
    ],
)
def test_wrong_arguments_are_refused_with_a_message(initlab: Command, arguments: list[str], message: str) -> None:
    ran = initlab("inspect", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
