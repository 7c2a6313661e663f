"""The `inspect` command: measuring the layers before training."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.layers.diagnosis import DIAGNOSES
from tests.conftest import Command


@pytest.mark.usefixtures("tensorflow_in_process")
def test_predicted_and_measured_statistics_are_shown_with_a_diagnosis_and_nothing_is_written(
    initlab: Command, tmp_path: Path
) -> None:
    initializers = ("he_normal", "glorot_uniform", "zeros", "lsuv")
    chosen = [part for name in initializers for part in ("--initializer", name)]
    result = initlab("inspect", *chosen, "--hidden", "100x20", "--json")
    assert result.code == 0, result.err
    found = {entry["initializer"]: entry for entry in result.document["initializers"]}
    diagnoses = {name: entry["verdict"] for name, entry in found.items()}
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


@pytest.mark.usefixtures("tensorflow_in_process")
def test_inspect_explains_its_diagnosis_and_accepts_the_options_of_run(initlab: Command) -> None:
    """A `run` command line can be tried with `inspect` first."""
    inspect = ["inspect", "--initializer", "random_normal:stddev=1.0", "--hidden", "64,64", "--activation", "tanh"]
    result = initlab(*inspect, "--seed", "3")
    assert result.code == 0, result.err
    assert "□ saturated: " in result.out
    assert "healthy: up to 50%" in result.out
    assert "* predicted" in result.out and "flat" in result.out and "dead" not in result.out
    training = "--optimizer sgd --learning-rate 0.05 --batch-size 5000 --epochs 9 --seed 3 --execution graph --l2 0.1"
    tried = initlab(*inspect, *training.split())
    assert (tried.code, tried.out) == (0, result.out), tried.err


def test_invalid_options_of_run_are_refused(initlab: Command) -> None:
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
    result = initlab("inspect", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
