"""Mean-field theory composed over the graphs of networks: equal to that of plain chains, and to known recursions."""

from __future__ import annotations

import itertools
import math

import pytest

from initlab_tui.domain.catalog.choices import ACTIVATIONS
from initlab_tui.domain.initialization import kernel_draws
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.diagnosis import diagnose_prediction
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.theory.composition import LayerPrediction, composed
from initlab_tui.domain.theory.mean_field import predict

MNIST = (28, 28)


def layers(network: str, initializer: str = "he_normal", activation: str = "relu") -> tuple[LayerPrediction, ...]:
    graph = RunSpec.checked(network=network, activation=activation).graph(MNIST, 10)
    prediction = predict(Initializer.parse(initializer), graph)
    assert prediction is not None
    return prediction.layers


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_plain_chain_is_predicted_alike_by_its_own_formulas_and_by_the_rules_for_nodes(activation: str) -> None:
    graph = RunSpec.checked(hidden="300,64x5", activation=activation).graph(MNIST, 10)
    for written in ("he_normal", "random_normal:stddev=0.5", "glorot_uniform+output=zeros"):
        initializer = Initializer.parse(written)
        by_rules = composed(graph, kernel_draws(initializer, graph), math.log(0.3))
        by_formulas = predict(initializer, graph, 0.3)
        assert by_rules is not None
        assert by_formulas is not None
        for one, other in zip(by_rules.layers, by_formulas.layers, strict=True):
            assert one.layer == other.layer
            assert one[1:] == pytest.approx(other[1:], rel=3e-6, abs=1e-12)  # both read tables accurate to 1e-6


def test_the_signal_of_a_residual_network_doubles_with_each_branch_under_he() -> None:
    # q of the stream: q + q·(2/n)·n·½ = 2 q for a branch W2·relu(W1·x) with He in both.
    found = layers("residual_mlp:blocks=6,width=64")
    starts = [layer.preactivation_std for layer in found if layer.layer in ("dense_2", "dense_4", "dense_6")]
    ratios = [after / before for before, after in itertools.pairwise(starts)]
    assert ratios == pytest.approx([math.sqrt(3)] * 2)  # a branch adds twice the mean square of the stream


def test_fixup_keeps_the_signal_of_the_stream_whatever_the_number_of_branches() -> None:
    network = "residual_mlp:blocks={},width=64,branch_scale=1,scalar_biases=yes"
    few, many = (layers(network.format(blocks), "fixup")[-2] for blocks in (2, 200))
    assert few.activation_std == pytest.approx(many.activation_std)


def test_normalization_makes_the_prediction_independent_of_the_scale_of_the_weights() -> None:
    small, large = (layers("mlp:64x4,norm=layer", f"random_normal:stddev={stddev}")[:-1] for stddev in (0.001, 1.0))
    assert [layer.activation_std for layer in small] == pytest.approx([layer.activation_std for layer in large])


def test_gradients_of_branches_add_up_in_the_stream() -> None:
    # Backward as forward: each branch adds twice the mean square of what arrives from above.
    found = {layer.layer: layer.relative_grad_rms for layer in layers("residual_mlp:blocks=3,width=64")}
    assert found["dense_3"] / found["dense_5"] == pytest.approx(math.sqrt(3))


def test_padding_makes_the_first_convolutions_weaker_than_their_fan_says() -> None:
    first, second = layers("convnet:8,8", "he_normal")[:2]
    inside = ((3 * 28 - 2) / (3 * 28)) ** 2  # of the taps of a 3x3 kernel on 28x28 positions
    assert first.preactivation_std == pytest.approx(math.sqrt(2 * inside))
    assert second.preactivation_std == pytest.approx(math.sqrt(2 * inside * inside))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        ("convnet:8,pool,8,pool,dense16", "there is no theory of max pool (max_pool_1)"),
        ("resnet:depth=8,norm=none", "the input of activation_3 is not Gaussian, as theory needs"),
        ("vit", "there is no theory of attention (attention_1)"),
    ],
)
def test_where_theory_ends_the_prediction_says_why(network: str, reason: str) -> None:
    graph = RunSpec.checked(network=network).graph(MNIST, 10)
    prediction = predict(Initializer.parse("he_normal"), graph)
    assert prediction is not None
    assert prediction.reason == reason
    assert math.isnan(prediction.layers[-1].preactivation_std)
    assert not math.isnan(prediction.layers[0].preactivation_std)


@pytest.mark.parametrize(
    ("network", "initializer", "diagnosis"),
    [
        ("residual_mlp:blocks=30,width=64", "he_normal", "exploding"),
        ("residual_mlp:blocks=30,width=64,branch_scale=0", "skipinit", "healthy"),
        ("residual_mlp:blocks=30,width=64,branch_scale=1,scalar_biases=yes", "fixup", "healthy"),
        ("mlp:64x30,norm=batch", "random_normal:stddev=0.001", "healthy"),
        ("convnet:" + ",".join(["8"] * 20), "glorot_uniform", "vanishing_forward"),
        ("convnet:" + ",".join(["8"] * 6), "he_normal", "healthy"),
    ],
)
def test_networks_are_diagnosed_before_training(network: str, initializer: str, diagnosis: str) -> None:
    graph = RunSpec.checked(network=network).graph(MNIST, 10)
    parsed = Initializer.parse(initializer)
    found = diagnose_prediction(parsed, graph, predict(parsed, graph, 0.1), 0.1)
    assert found.name == diagnosis, found.reason
