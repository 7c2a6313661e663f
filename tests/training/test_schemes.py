"""Initializers by role and schemes, compared with their formulas and the properties their papers claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.initialization import check_scheme, kernel_draws
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.diagnosis import diagnose
from initlab_tui.domain.layers.graph import Role
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import network
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.initializers import make_sampler
from initlab_tui.training.layer_measurement import Probe
from initlab_tui.training.network import BuiltNetwork

FIXUP = "resnet:depth={depth},width=8,norm=none,branch_scale=1,scalar_biases=yes"


def built(text: str, initializer: str, seed: int = 0) -> BuiltNetwork:
    made = network.build(RunSpec.checked(network=text), (8, 8), 10)
    network.initialize(made, Initializer.parse(initializer), seed)
    return made


def stddevs(made: BuiltNetwork) -> dict[str, float]:
    return {
        node.name: float(kernel.numpy().std()) for node, kernel in zip(made.graph.kernels, made.kernels, strict=True)
    }


@pytest.mark.parametrize(
    ("text", "initializer"),
    [
        ("resnet:depth=14,width=16", "he_normal"),
        (FIXUP.format(depth=20), "fixup"),
        ("residual_mlp:blocks=4,width=128,branch_scale=0", "skipinit"),
        ("residual_mlp:blocks=4,width=128,branch_scale=0", "rezero"),
        ("vit:width=64,depth=2,patch=2", "gpt2"),
        ("vit:width=64,depth=2,patch=2", "kaiming:nonlinearity=tanh,mode=fan_out"),
        ("convnet:64,64,dense128", "transformer_normal"),
        ("convnet:64,64,dense128", "delta_orthogonal:gain=1.5"),
        ("residual_mlp:blocks=2,width=64", "he_normal+output=zeros+branch=random_normal:stddev=0.01"),
    ],
)
def test_every_kernel_has_the_deviation_of_its_formula(text: str, initializer: str) -> None:
    made = built(text, initializer)
    found = stddevs(made)
    for draw in kernel_draws(Initializer.parse(initializer), made.graph):
        moments = draw.moments()
        assert moments is not None
        # The standard error of a standard deviation of n values is about 1/√(2n); some kernels have 90 weights.
        weights = math.prod(draw.node.kernel_shape)
        assert found[draw.node.name] == pytest.approx(moments.stddev, rel=5 / math.sqrt(2 * weights)), draw.node


def test_fixup_scales_the_branches_by_their_number_and_starts_with_zeros() -> None:
    made = built(FIXUP.format(depth=26), "fixup")
    found, branches = stddevs(made), made.graph.branches
    assert branches == 12
    for node in made.graph.layers:
        if node.role in (Role.BRANCH_END, Role.OUTPUT):
            assert found[node.name] == 0
        elif node.branch:
            he = math.sqrt(2 / node.fan_in)
            assert found[node.name] == pytest.approx(he / math.sqrt(branches), rel=0.1)


def change_of_one_step(text: str, initializer: str, digits: DeviceDataset) -> float:
    """Return the largest change of a logit by a step of SGD at a learning rate of 0.01."""
    made = built(text, initializer)
    images, labels = digits.pixels(digits.x_train[:64]), digits.y_train[:64]
    variables = made.model.trainable_variables
    with tf.GradientTape() as tape:
        before = made.model(images, training=True)
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, before))
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign_sub(0.01 * gradient)
    return float(np.abs(made.model(images, training=True) - before).max())


def test_with_fixup_a_step_changes_the_function_as_much_with_many_branches_as_with_few(digits: DeviceDataset) -> None:
    # Theorem of Zhang et al. 2019: Θ(η), whatever the depth. With He it grows without bound.
    few, many = (change_of_one_step(FIXUP.format(depth=depth), "fixup", digits) for depth in (8, 50))
    assert 0.2 < many / few < 5
    few, many = (change_of_one_step(FIXUP.format(depth=depth), "he_normal", digits) for depth in (8, 50))
    assert not many / few < 100  # NaN: beyond the range of floats


def test_a_branch_scale_of_0_passes_the_input_through_at_first(digits: DeviceDataset) -> None:
    made = built("residual_mlp:blocks=6,width=32,branch_scale=0", "skipinit")
    outputs = made.outputs(digits.pixels(digits.x_train[:8]))
    assert np.array_equal(outputs["add_6"], outputs["dense_1"])


def test_delta_orthogonal_keeps_the_norm_at_every_position() -> None:
    kernel = make_sampler(Initializer.parse("delta_orthogonal"), 0)((3, 3, 16, 32))
    images = np.random.default_rng(0).standard_normal((2, 5, 5, 16)).astype(np.float32)
    outputs = tf.nn.conv2d(images, kernel, strides=1, padding="SAME")
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=-1), np.linalg.norm(images, axis=-1), rtol=1e-4)


def test_dirac_passes_an_image_through() -> None:
    kernel = make_sampler(Initializer.parse("dirac"), 0)((5, 5, 3, 3))
    images = np.random.default_rng(0).standard_normal((2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(tf.nn.conv2d(images, kernel, strides=1, padding="SAME"), images, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "initializer", "missing"),
    [
        ("mlp", "fixup", "residual branches of at least two layers, branch_scale=1, scalar_biases=yes"),
        ("resnet:depth=8", "fixup", "norm=none, branch_scale=1, scalar_biases=yes"),
        ("resnet:depth=8,norm=none", "skipinit", "branch_scale=0"),
        ("convnet", "rezero", "residual branches"),
        ("mlp", "gpt2", "residual branches"),
    ],
)
def test_a_scheme_says_what_a_network_lacks(text: str, initializer: str, missing: str) -> None:
    graph = RunSpec.checked(network=text).graph((28, 28), 10)
    with pytest.raises(InvalidInputError, match=f"{initializer} is made for a network with {missing}$"):
        check_scheme(Initializer.parse(initializer), graph)


@pytest.mark.parametrize(
    ("text", "initializer", "diagnosis"),
    [
        (FIXUP.format(depth=14), "fixup", "healthy"),
        (FIXUP.format(depth=14), "zeros", "symmetric"),
        ("residual_mlp:blocks=4,width=32,branch_scale=0", "skipinit", "healthy"),
        ("residual_mlp:blocks=40,width=32", "he_normal", "exploding"),
    ],
)
def test_residual_networks_are_diagnosed_before_the_first_step(
    digits: DeviceDataset, text: str, initializer: str, diagnosis: str
) -> None:
    made = built(text, initializer)
    found = diagnose(Probe(made, digits.pixels(digits.x_train[:64]), digits.y_train[:64]).measure())
    assert found.name == diagnosis, found.reason
