"""What is measured of layers: against theory on wide nets, against NumPy, and what it is judged to be."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from initlab_tui.data.arrays import load
from initlab_tui.domain.fields import ACTIVATIONS
from initlab_tui.domain.layers.diagnosis import VERDICTS, Measurement, diagnose, diagnose_prediction
from initlab_tui.domain.spec import Initializer, RunSpec
from initlab_tui.domain.theory.mean_field import correlations, predict
from initlab_tui.training import network
from initlab_tui.training.layer_measurement import UNITS, Probe

DIGITS = load("digits", None)
IMAGES = tf.constant(DIGITS.x_train[:256].astype(np.float32) / 16)
LABELS = tf.constant(DIGITS.y_train[:256])


def probed(written: str, hidden: str, activation: str = "relu", seed: int = 0) -> tuple[keras.Model, Probe]:
    spec = RunSpec.checked(hidden=hidden, activation=activation)
    model = network.build(spec, DIGITS.shape, DIGITS.classes)
    network.initialize(model, Initializer.parse(written), seed)
    return model, Probe(model, activation, IMAGES, LABELS)


def measured(written: str, hidden: str, activation: str = "relu", seed: int = 0) -> Measurement:
    return probed(written, hidden, activation, seed)[1].measure()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_theory_foretells_what_is_measured_on_a_wide_net(activation: str) -> None:
    kernels = RunSpec.checked(hidden="500x4").layer_shapes(DIGITS.shape, DIGITS.classes)
    start = Initializer.parse("variance_scaling:scale=1.5,mode=fan_in")
    # A mean over starts, since the first layer's units all see the same images.
    found = [measured(str(start), "500x4", activation, seed) for seed in range(3)]
    prediction = predict(start, kernels, activation, found[0].network.input_rms ** 2)
    assert prediction is not None
    alike = [np.mean([health.layers[number].correlation for health in found]) for number in range(4)]
    assert correlations(activation, prediction, float(alike[0]))[:4] == pytest.approx(alike, abs=0.03)
    for number, expected in enumerate(prediction.layers[:-1]):
        layers = [health.layers[number] for health in found]
        top = [health.layers[-1].backprop_std for health in found]
        assert np.mean([layer.preactivation_std for layer in layers]) == pytest.approx(expected.predicted_std, rel=0.1)
        assert np.mean([layer.activation_std for layer in layers]) == pytest.approx(expected.activation_std, rel=0.1)
        means = np.mean([layer.activation_mean for layer in layers])
        assert means == pytest.approx(expected.activation_mean, abs=0.1 * expected.activation_std)
        back = np.mean([layer.backprop_std / last for layer, last in zip(layers, top, strict=True)])
        assert back == pytest.approx(expected.gradient_std, rel=0.2)  # ten logits are not many


@pytest.mark.parametrize(
    ("written", "hidden", "activation", "verdict"),
    [
        ("he_normal", "100x30", "relu", "healthy"),
        ("glorot_uniform", "100x30", "relu", "vanishing_forward"),
        ("random_normal:stddev=1.0", "256,256", "relu", "exploding"),
        ("random_normal:stddev=1.0", "256,256", "tanh", "saturated"),
        ("random_normal:stddev=0.05", "100x20", "tanh", "vanishing_forward"),
        ("orthogonal", "100x20", "tanh", "healthy"),
        ("glorot_uniform", "64x6", "sigmoid", "vanishing_backward"),
        ("zeros", "64,64", "relu", "symmetric"),
        ("ones", "64,64", "tanh", "symmetric"),
        ("random_uniform:minval=-0.2,maxval=-0.1", "64,64", "relu", "dead"),
        ("random_normal:stddev=1.0", "none", "relu", "healthy"),
        ("random_normal:stddev=100.0", "none", "relu", "exploding"),
    ],
)
def test_a_start_is_judged_by_what_was_measured(written: str, hidden: str, activation: str, verdict: str) -> None:
    found = diagnose(measured(written, hidden, activation))
    assert found.name == verdict, found.reason
    assert found.name in VERDICTS
    assert found.has_problem == (verdict != "healthy")


def test_a_signal_beyond_floats_is_told_before_the_gradient_that_it_takes_along() -> None:
    health = measured("random_normal:stddev=1e6", "50x10")
    found = diagnose(health)
    assert (found.name, found.layer) == ("exploding", "dense_6")
    assert found.reason == "the signal is beyond the range of floats in dense_6"
    assert not math.isfinite(health.layers[0].backprop_std)


@pytest.mark.parametrize(
    ("written", "hidden", "activation"),
    [("glorot_uniform", "100x30", "sigmoid"), ("random_normal:stddev=1000", "64x8", "relu")],
)
def test_what_float32_holds_is_measured_though_its_square_is_beyond(written: str, hidden: str, activation: str) -> None:
    """Gradients down to 1e-22 and signals up to 1e33."""
    start, kernels = Initializer.parse(written), RunSpec.checked(hidden=hidden).layer_shapes(DIGITS.shape, 10)
    health = measured(written, hidden, activation)
    prediction = predict(start, kernels, activation, health.network.input_rms**2)
    assert prediction is not None
    first, expected, top = health.layers[0], prediction.layers, health.layers[-1]
    assert math.log10(first.backprop_std / top.backprop_std) == pytest.approx(
        math.log10(expected[0].gradient_std), abs=0.5
    )
    assert math.log10(top.preactivation_std) == pytest.approx(math.log10(expected[-1].predicted_std), abs=0.5)
    assert math.isfinite(top.correlation) and first.gradient_norm > 0


def test_units_that_are_one_leave_a_jacobian_of_one_direction() -> None:
    assert measured("ones", "16,16").network.jacobian_condition == math.inf
    assert measured("orthogonal", "64x3", "linear").network.jacobian_condition == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("written", ["he_normal", "glorot_uniform", "random_normal:stddev=1.0", "zeros"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_what_theory_is_judged_to_be_is_what_is_measured(written: str, activation: str) -> None:
    start, kernels = Initializer.parse(written), RunSpec.checked(hidden="100x12").layer_shapes(DIGITS.shape, 10)
    health = measured(written, "100x12", activation)
    square = health.network.input_rms**2
    foretold = diagnose_prediction(start, kernels, predict(start, kernels, activation, square), activation, square)
    assert foretold.name == diagnose(health).name


def test_the_bounds_are_those_of_a_start_and_not_of_a_net_that_has_learned() -> None:
    grown = measured("random_normal:stddev=1.0", "64,64")
    assert diagnose(grown).name == "exploding"
    learned = diagnose(Measurement(grown.layers, grown.network._replace(loss=0.01)))
    assert (learned.name, learned.reason) == ("healthy", "it has learned: the loss is 0.01, of guessing 2.3")


def test_the_dead_share_does_not_tell_glorot_from_he() -> None:
    glorot, he = (measured(start, "100x30") for start in ("glorot_normal", "he_normal"))
    # The same draws but for their scale, which moves no ReLU's sign.
    assert [layer.dead for layer in glorot.layers] == [layer.dead for layer in he.layers]
    assert (glorot.layers[-2].dead or 0.0) > 0.2


def test_a_linear_orthogonal_net_is_an_isometry() -> None:
    found = measured("orthogonal", "64x10", "linear").network
    assert found.jacobian_mean_square == pytest.approx(1, rel=1e-3)
    assert found.jacobian_condition == pytest.approx(1, rel=1e-3)


def test_singular_values_are_those_of_the_networks_own_jacobian() -> None:
    model, probe = probed("he_normal", "20,20", "tanh")
    images = IMAGES[:8]
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = model(images)
    jacobian = tape.batch_jacobian(logits, images).numpy().reshape(8, 10, 64)
    values = np.linalg.svd(jacobian, compute_uv=False)
    found = probe.measure().network
    assert found.jacobian_mean_square == pytest.approx(np.mean(values**2), rel=1e-4)
    assert found.jacobian_condition == pytest.approx(np.median(values[:, 0] / values[:, -1]), rel=1e-3)


def test_gradients_and_the_last_update_are_those_of_the_model() -> None:
    model, probe = probed("he_normal", "20,20")
    before = probe.kernels()
    optimizer = keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, model(IMAGES)))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    at_start = probe.measure()
    assert at_start.network.loss == pytest.approx(float(loss), rel=1e-5)
    assert [layer.gradient_norm for layer in at_start.layers] == pytest.approx(
        [float(tf.norm(gradient)) for gradient in gradients[::2]], rel=1e-4
    )
    assert [layer.gradient_std for layer in at_start.layers] == pytest.approx(
        [float(tf.math.reduce_std(gradient)) for gradient in gradients[::2]], rel=1e-4
    )
    assert all(layer.update_ratio is None for layer in at_start.layers)
    optimizer.apply(gradients, model.trainable_variables)
    assert [layer.update_ratio for layer in probe.measure(before).layers] == pytest.approx(
        [0.1 * float(tf.norm(g) / tf.norm(w)) for g, w in zip(gradients[::2], before, strict=True)], rel=1e-3
    )


def test_units_that_are_parallel_are_found_among_the_first(digit: int = 3) -> None:
    model, probe = probed("he_normal", "20,20")
    assert probe.measure().layers[0].cosine < 0.9
    kernel = model.layers[1].kernel
    weights = kernel.numpy()
    weights[:, digit] = -2 * weights[:, 0]
    kernel.assign(weights)
    found = probe.measure().layers[0]
    assert found.cosine == pytest.approx(1, abs=1e-5)
    assert found.twins == pytest.approx(2 / 20)
    assert UNITS >= 20


def test_what_is_beyond_floats_is_said_and_not_hidden() -> None:
    health = measured("random_normal:stddev=1000.0", "64x20")
    assert not math.isfinite(health.layers[-1].preactivation_std)
    assert math.isnan(health.network.jacobian_mean_square)
    assert diagnose(health).name == "exploding"
