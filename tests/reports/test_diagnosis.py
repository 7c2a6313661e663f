from __future__ import annotations

import pytest

from initlab_tui.domain.layers.diagnosis import VERDICTS
from initlab_tui.domain.spec import Initializer, RunSpec
from initlab_tui.reports.diagnosis import SIGNS, forecast

DIGITS = (8, 8)


def foretold(written: str, hidden: str, activation: str = "relu") -> str:
    kernels = RunSpec.checked(hidden=hidden).layer_shapes(DIGITS, 10)
    return str(forecast(Initializer.parse(written), kernels, activation, 0.2345))


@pytest.mark.parametrize(
    ("written", "hidden", "activation", "told"),
    [
        ("he_normal", "64x10", "relu", "he_normal  σ 0.177 ×11\n ✓ healthy ▅▅▅▅▅▅▅▅▅▅ ×1.0"),
        ("random_normal", "64x10", "relu", "random_normal  σ 0.05 ×11\n ▽ vanishing forward ▄▃▂▁▁▁▁▁▁▁ ×3.3e-6"),
        ("random_normal:stddev=1.0", "256", "tanh", "random_normal  σ 1 ×2\n □ saturated ▅ ×1.8"),
        ("zeros", "64,64", "relu", "zeros  σ 0 ×3\n = symmetric"),
        ("import:a.b", "64", "relu", "b  σ – ×2\n ? no formula for your own initializer: training shows what it does"),
        ("lsuv", "64", "relu", "lsuv  σ – ×2\n ? no formula: it is fitted to the data when training starts"),
    ],
)
def test_a_start_is_foretold_in_two_lines(written: str, hidden: str, activation: str, told: str) -> None:
    assert foretold(written, hidden, activation) == told


def test_what_vanishes_backward_says_by_how_much() -> None:
    assert "◁ vanishing backward" in foretold("glorot_uniform", "64x6", "sigmoid")
    assert ", back ×" in foretold("glorot_uniform", "64x6", "sigmoid")


def test_every_verdict_has_a_sign_of_its_own() -> None:
    signs = [SIGNS[name] for name in (*VERDICTS, "unknown")]
    assert len(set(signs)) == len(signs)
