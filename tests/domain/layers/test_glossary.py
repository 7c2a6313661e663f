from __future__ import annotations

import math

import pytest

from initlab_tui.domain.layers.diagnosis import DIAGNOSES
from initlab_tui.domain.layers.glossary import GLOSSARY, find
from initlab_tui.domain.layers.metrics import LAYER_METRICS, NETWORK_METRICS
from initlab_tui.domain.theory.gaussian_moments import expectations
from initlab_tui.domain.theory.mean_field import chi1, critical_sigma_w2


@pytest.mark.parametrize("name", GLOSSARY)
def test_each_term_is_complete_and_short(name: str) -> None:
    term = GLOSSARY[name]
    assert len(term.summary) <= 100
    assert all((term.formula, term.reading, term.source))
    assert not any("\n" in text for text in (term.summary, term.formula, term.reading, term.source))
    assert len(term.formula) + len(term.reading) < 500


def test_every_name_means_one_term() -> None:
    names = [name for term in GLOSSARY.values() for name in (term.name, *term.also)]
    assert len(names) == len(set(names))
    assert set(DIAGNOSES) <= set(GLOSSARY)


@pytest.mark.parametrize("written", ["dead_share", "Dead Share", "dead-share", " dead  share ", "dead_units"])
def test_a_name_is_found_however_it_is_written(written: str) -> None:
    assert find(written).name == "dead_share"


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("edge of chaos", "chi1"),
        ("dynamical isometry", "jacobian_condition"),
        ("gradient_std", "kernel_grad_std"),
        ("backprop_std", "preactivation_grad_rms"),
        ("twins", "duplicate_units"),
        ("level", "relative_rms"),
        ("dead", "dead"),
        ("saturated_units", "saturated_share"),
        ("weight_cosine", "max_cosine"),
        ("initial loss", "loss"),
        ("correlation", "input_correlation"),
        ("verdict", "healthy"),
    ],
)
def test_earlier_and_other_names_are_found(written: str, name: str) -> None:
    assert find(written).name == name


def test_every_metric_is_explained_and_found_by_its_heading() -> None:
    assert {*LAYER_METRICS, *NETWORK_METRICS} < set(GLOSSARY)
    for metric in LAYER_METRICS.values():
        assert find(metric.heading).name in (metric.name, metric.heading)
    assert "∂L/∂W" in find("kernel_grad_std").formula and "∂L/∂z" in find("preactivation_grad_rms").formula


def test_an_unknown_name_is_refused_with_the_closest_one() -> None:
    with pytest.raises(ValueError, match="unknown term 'updates': did you mean update"):
        find("updates")
    with pytest.raises(ValueError, match="he_normal is an initializer: see initlab-tui initializers he_normal"):
        find("He normal")


def test_the_numbers_in_the_glossary_match_the_theory() -> None:
    assert chi1("relu", 7.0, 2.0) == 1.0 and critical_sigma_w2("tanh") == pytest.approx(1.0)
    # Units count as saturated beyond these values, where the slopes are this small.
    assert math.tanh(2.1) == pytest.approx(0.97, abs=1e-3) and 1 - 0.97**2 < 0.06
    assert 1 / (1 + math.exp(-3.5)) == pytest.approx(0.97, abs=1e-3) and 0.97 * 0.03 < 0.03
    # With a non-zero mean, the variance of an output is less than its mean square.
    assert expectations("relu", 1.0).variance < expectations("relu", 1.0).mean_square
