from __future__ import annotations

import pytest

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.diagnosis import DIAGNOSES
from initlab_tui.domain.spec import RunSpec
from initlab_tui.reports.diagnosis import SIGNS, forecast

DIGITS = (8, 8)


def predicted(written: str, hidden: str, activation: str = "relu") -> str:
    graph = RunSpec.checked(hidden=hidden, activation=activation).graph(DIGITS, 10)
    return str(forecast(Initializer.parse(written), graph, 0.2345))


@pytest.mark.parametrize(
    ("written", "hidden", "activation", "text"),
    [
        ("he_normal", "64x10", "relu", "he_normal  σ 0.177 ×11\n ✓ healthy ▅▅▅▅▅▅▅▅▅▅ ×1.0"),
        ("random_normal", "64x10", "relu", "random_normal  σ 0.05 ×11\n ▽ vanishing forward ▄▃▂▁▁▁▁▁▁▁ ×3.3e-6"),
        ("random_normal:stddev=1.0", "256", "tanh", "random_normal  σ 1 ×2\n □ saturated ▅ ×1.8"),
        ("zeros", "64,64", "relu", "zeros  σ 0 ×3\n = symmetric"),
        ("import:a.b", "64", "relu", "b  σ – ×2\n ? no prediction for a custom initializer: training measures it"),
        (
            "lsuv",
            "64",
            "relu",
            "lsuv  σ – ×2\n ? no prediction: the weights are fitted to the data when training starts",
        ),
    ],
)
def test_a_prediction_takes_two_lines(written: str, hidden: str, activation: str, text: str) -> None:
    assert predicted(written, hidden, activation) == text


def test_a_vanishing_gradient_is_shown_with_its_ratio() -> None:
    assert "◁ vanishing backward" in predicted("glorot_uniform", "64x6", "sigmoid")
    assert ", gradient ×" in predicted("glorot_uniform", "64x6", "sigmoid")


def test_every_diagnosis_has_its_own_sign() -> None:
    signs = [SIGNS[name] for name in (*DIAGNOSES, "unknown")]
    assert len(set(signs)) == len(signs)
