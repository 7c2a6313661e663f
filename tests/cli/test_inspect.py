"""Looking inside the layers before any training, through the real command."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.layers.diagnosis import VERDICTS
from tests.conftest import Command


def test_predicted_stands_beside_measured_with_a_verdict_and_nothing_is_written(
    initlab: Command, tmp_path: Path
) -> None:
    starts = ("he_normal", "glorot_uniform", "zeros", "lsuv")
    chosen = [part for start in starts for part in ("--initializer", start)]
    ran = initlab("inspect", *chosen, "--hidden", "100x20", "--json")
    assert ran.code == 0, ran.err
    found = {each["initializer"]: each for each in ran.document["initializers"]}
    verdicts = {name: each["verdict"] for name, each in found.items()}
    assert verdicts["he_normal"] == "healthy"
    assert verdicts["glorot_uniform"] == "vanishing_forward"
    assert verdicts["zeros"] == "symmetric"
    assert set(verdicts.values()) <= set(VERDICTS)
    layers = found["he_normal"]["layers"]
    assert [layer["name"] for layer in layers] == [*(f"dense_{number}" for number in range(1, 21)), "logits"]
    assert layers[0]["measured_std"] == pytest.approx(layers[0]["predicted_std"], rel=0.15)
    assert layers[0]["level"] == pytest.approx(layers[0]["predicted_level"], rel=0.15)
    assert layers[-2]["predicted_correlation"] == pytest.approx(layers[-2]["correlation"], abs=0.1)
    fitted = next(name for name in found if name.startswith("lsuv"))
    assert all(layer["measured_std"] == pytest.approx(1, rel=0.1) for layer in found[fitted]["layers"])
    assert all(layer["predicted_std"] is None for layer in found[fitted]["layers"])
    assert found["glorot_uniform"]["predicted_verdict"] == "vanishing_forward"
    assert not list(tmp_path.rglob("*.db"))


def test_the_page_says_it_in_words(initlab: Command) -> None:
    ran = initlab("inspect", "--initializer", "random_normal:stddev=1.0", "--hidden", "64,64", "--activation", "tanh")
    assert ran.code == 0, ran.err
    assert "□ saturated: " in ran.out
    assert "healthy: up to 50%" in ran.out
    assert "* foretold" in ran.out and "flat" in ran.out and "dead" not in ran.out


def test_the_options_of_a_run_are_taken_as_they_are(initlab: Command) -> None:
    """So that a command line can be tried before it is run; what is no option of a run is refused as there."""
    training = "--optimizer sgd --learning-rate 0.05 --batch-size 5000 --epochs 9 --seed 3 --execution graph --l2 0.1"
    ran = initlab("inspect", "--initializer", "he_normal", "--hidden", "20", *training.split(), "--json")
    plain = initlab("inspect", "--initializer", "he_normal", "--hidden", "20", "--seed", "3", "--json")
    assert ran.code == 0, ran.err
    assert ran.document == plain.document
    wrong = initlab("inspect", "--initializer", "he_normal", "--optimizer", "adm", "--epochs", "0")
    assert (wrong.code, wrong.out) == (2, "")
    assert "unknown optimizer 'adm'" in wrong.err and "epochs must be" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--initializer", "he_norml"], "unknown initializer 'he_norml': did you mean he_normal"),
        (["--initializer", "he_normal", "--hidden", "0"], "hidden must be whole numbers >= 1"),
        (["--initializer", "he_normal", "--dataset", "npz:/nowhere.npz"], "/nowhere.npz does not exist"),
        (["--initializer", "import:no.where"], "no module named 'no'"),
    ],
)
def test_what_is_wrong_is_refused(initlab: Command, arguments: list[str], told: str) -> None:
    ran = initlab("inspect", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
