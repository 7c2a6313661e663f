from __future__ import annotations

import math

import pytest

from initlab_tui.domain.layers.diagnosis import VERDICTS
from initlab_tui.domain.layers.glossary import GLOSSARY, find
from initlab_tui.domain.theory.gaussian_moments import expectations
from initlab_tui.domain.theory.mean_field import chi1, critical_sigma_w2


@pytest.mark.parametrize("name", GLOSSARY)
def test_each_term_is_told_in_a_few_lines(name: str) -> None:
    term = GLOSSARY[name]
    assert len(term.summary) <= 100
    assert all((term.formula, term.reading, term.source))
    assert not any("\n" in text for text in (term.summary, term.formula, term.reading, term.source))
    assert len(term.formula) + len(term.reading) < 500


def test_every_name_is_of_one_term() -> None:
    names = [name for term in GLOSSARY.values() for name in (term.name, *term.also)]
    assert len(names) == len(set(names))
    assert set(VERDICTS) <= set(GLOSSARY)


@pytest.mark.parametrize("written", ["dead_units", "Dead Units", "dead-units", " dead  units "])
def test_a_name_is_found_however_it_is_written(written: str) -> None:
    assert find(written).name == "dead_units"


def test_other_names_are_known_and_unknown_ones_told_with_the_nearest() -> None:
    assert find("edge of chaos").name == "chi1"
    assert find("dynamical isometry").name == "jacobian_singular_values"
    assert [find(column).name for column in ("std", "act", "flat", "back", "corr", "cos", "update")] == [
        *("preactivation_std", "activation_std", "saturated_units", "gradient_std", "input_correlation"),
        *("weight_cosine", "update_ratio"),
    ]
    with pytest.raises(ValueError, match="unknown diagnostic 'updates': did you mean update"):
        find("updates")
    with pytest.raises(ValueError, match="he_normal is an initializer: see initlab-tui initializers he_normal"):
        find("He normal")


def test_the_figures_that_it_gives_are_those_of_the_theory() -> None:
    assert chi1("relu", 7.0, 2.0) == 1.0 and critical_sigma_w2("tanh") == pytest.approx(1.0)
    # The unit is saturated from these on, with these slopes.
    assert math.tanh(2.1) == pytest.approx(0.97, abs=1e-3) and 1 - 0.97**2 < 0.06
    assert 1 / (1 + math.exp(-3.5)) == pytest.approx(0.97, abs=1e-3) and 0.97 * 0.03 < 0.03
    # An output's variance is less than its mean square where its mean is not 0.
    assert expectations("relu", 1.0).variance < expectations("relu", 1.0).mean_square
