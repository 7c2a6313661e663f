"""The measurement of layers, compared with theory and with NumPy, and its diagnosis."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from initlab_tui.data.arrays import load
from initlab_tui.domain.catalog.choices import ACTIVATIONS
from initlab_tui.domain.events import LayersMeasured
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers import metrics
from initlab_tui.domain.layers.diagnosis import DIAGNOSES, diagnose, diagnose_prediction
from initlab_tui.domain.layers.measurement import Measurement, NetworkStatistics
from initlab_tui.domain.layers.metrics import LAYER_METRICS, NETWORK_METRICS
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.theory.mean_field import correlations, predict
from initlab_tui.reports.documents import show_document
from initlab_tui.reports.layers import measurement_parts, metric_text
from initlab_tui.services.stored_runs import read_details
from initlab_tui.store import layer_statistics, progress
from initlab_tui.store.database import Store
from initlab_tui.training import layer_measurement, network
from initlab_tui.training.layer_measurement import MEASURES, UNITS, Probe
from initlab_tui.training.network import BuiltNetwork
from initlab_tui.tui.heatmap import heat_map
from tests.store.test_database import claimed

pytestmark = pytest.mark.xdist_group("layer measurement")  # one process traces a network once

DIGITS = load("digits", None)
IMAGES = tf.constant(DIGITS.x_train[:256].astype(np.float32) / 16)
LABELS = tf.constant(DIGITS.y_train[:256])


def build(hidden: str, activation: str) -> tuple[BuiltNetwork, Probe]:
    built = network.build(RunSpec.checked(hidden=hidden, activation=activation), DIGITS.shape, DIGITS.classes)
    return built, Probe(built, IMAGES, LABELS)


built_once = functools.cache(build)  # the first measurement takes far longer, because it is traced


def probed(written: str, hidden: str, activation: str = "relu") -> tuple[BuiltNetwork, Probe]:
    built, probe = build(hidden, activation)
    network.initialize(built, Initializer.parse(written), seed=0)
    return built, probe


def measured(written: str, hidden: str, activation: str = "relu", seed: int = 0) -> Measurement:
    built, probe = built_once(hidden, activation)
    network.initialize(built, Initializer.parse(written), seed)
    return probe.measure()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_theory_predicts_what_is_measured_on_a_wide_network(activation: str) -> None:
    graph = RunSpec.checked(hidden="500x4", activation=activation).graph(DIGITS.shape, DIGITS.classes)
    initializer = Initializer.parse("variance_scaling:scale=1.5,mode=fan_in")
    # Average over seeds, because all units of the first layer see the same images.
    found = [measured(str(initializer), "500x4", activation, seed) for seed in range(3)]
    prediction = predict(initializer, graph, found[0].network.value("input_rms") ** 2)
    assert prediction is not None
    similarity = [np.mean([one.layers[index].value("input_correlation") for one in found]) for index in range(4)]
    assert correlations(activation, prediction, float(similarity[0]))[:4] == pytest.approx(similarity, abs=0.03)
    for index, expected in enumerate(prediction.layers[:-1]):
        layers = [one.layers[index] for one in found]
        at_logits = [one.layers[-1].value("preactivation_grad_rms") for one in found]
        for name in ("preactivation_std", "activation_std"):
            stds = np.mean([layer.value(name) for layer in layers])
            assert stds == pytest.approx(getattr(expected, name), rel=0.1)
        means = np.mean([layer.value("activation_mean") for layer in layers])
        assert means == pytest.approx(expected.activation_mean, abs=0.1 * expected.activation_std)
        gradients = [layer.value("preactivation_grad_rms") for layer in layers]
        relative = np.mean([gradient / top for gradient, top in zip(gradients, at_logits, strict=True)])
        assert relative == pytest.approx(expected.relative_grad_rms, rel=0.2)  # ten logits are few


@pytest.mark.parametrize(
    ("written", "hidden", "activation", "diagnosis"),
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
def test_each_problem_is_diagnosed(written: str, hidden: str, activation: str, diagnosis: str) -> None:
    found = diagnose(measured(written, hidden, activation))
    assert found.name == diagnosis, found.reason
    assert found.name in DIAGNOSES
    assert found.has_problem == (diagnosis != "healthy")


def test_a_signal_that_overflows_is_reported_before_its_gradient() -> None:
    measurement = measured("random_normal:stddev=1e6", "50x10")
    found = diagnose(measurement)
    assert (found.name, found.layer) == ("exploding", "dense_6")
    assert found.reason == "the signal exceeds the range of floats in dense_6"
    assert not math.isfinite(measurement.layers[0].value("preactivation_grad_rms"))


@pytest.mark.parametrize(
    ("written", "hidden", "activation"),
    [("glorot_uniform", "100x30", "sigmoid"), ("random_normal:stddev=1000", "64x8", "relu")],
)
def test_values_whose_square_exceeds_float32_are_measured(written: str, hidden: str, activation: str) -> None:
    """Gradients down to 1e-22 and signals up to 1e33."""
    initializer = Initializer.parse(written)
    graph = RunSpec.checked(hidden=hidden, activation=activation).graph(DIGITS.shape, 10)
    measurement = measured(written, hidden, activation)
    prediction = predict(initializer, graph, measurement.network.value("input_rms") ** 2)
    assert prediction is not None
    first, expected, logits = measurement.layers[0], prediction.layers, measurement.layers[-1]
    ratio = first.value("preactivation_grad_rms") / logits.value("preactivation_grad_rms")
    assert math.log10(ratio) == pytest.approx(math.log10(expected[0].relative_grad_rms), abs=0.5)
    std = logits.value("preactivation_std")
    assert math.log10(std) == pytest.approx(math.log10(expected[-1].preactivation_std), abs=0.5)
    assert math.isfinite(logits.value("input_correlation")) and first.value("kernel_grad_norm") > 0


def test_equal_units_give_an_infinite_jacobian_condition_number() -> None:
    assert measured("ones", "16,16").network["jacobian_condition"] == math.inf
    assert measured("orthogonal", "64x3", "linear").network["jacobian_condition"] == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("written", ["he_normal", "glorot_uniform", "random_normal:stddev=1.0", "zeros"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_prediction_and_measurement_have_the_same_diagnosis(written: str, activation: str) -> None:
    initializer = Initializer.parse(written)
    graph = RunSpec.checked(hidden="100x12", activation=activation).graph(DIGITS.shape, 10)
    measurement = measured(written, "100x12", activation)
    square = measurement.network.value("input_rms") ** 2
    prediction = predict(initializer, graph, square)
    predicted = diagnose_prediction(initializer, graph, prediction, square)
    assert predicted.name == diagnose(measurement).name


def test_a_network_that_has_learned_is_healthy_whatever_its_signal() -> None:
    grown = measured("random_normal:stddev=1.0", "64,64")
    assert diagnose(grown).name == "exploding"
    learned = diagnose(Measurement(grown.layers, NetworkStatistics({**grown.network.metrics, "loss": 0.01})))
    assert (learned.name, learned.reason) == ("healthy", "the network has learned: its loss is 0.01, guessing has 2.3")


def test_the_dead_share_does_not_distinguish_glorot_from_he() -> None:
    glorot, he = (measured(written, "100x30") for written in ("glorot_normal", "he_normal"))
    # The same draws except for their scale, which changes no sign of a ReLU's input.
    assert [layer["dead_share"] for layer in glorot.layers] == [layer["dead_share"] for layer in he.layers]
    assert glorot.layers[-2].value("dead_share") > 0.2


def test_a_linear_orthogonal_network_is_an_isometry() -> None:
    found = measured("orthogonal", "64x10", "linear").network
    assert found["jacobian_mean_square"] == pytest.approx(1, rel=1e-3)
    assert found["jacobian_condition"] == pytest.approx(1, rel=1e-3)


def test_singular_values_are_those_of_the_models_jacobian() -> None:
    built, probe = probed("he_normal", "20,20", "tanh")
    images = IMAGES[:8]
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = built.model(images)
    jacobian = tape.batch_jacobian(logits, images).numpy().reshape(8, 10, 64)
    values = np.linalg.svd(jacobian, compute_uv=False)
    found = probe.measure().network
    assert found["jacobian_mean_square"] == pytest.approx(np.mean(values**2), rel=1e-4)
    assert found["jacobian_condition"] == pytest.approx(np.median(values[:, 0] / values[:, -1]), rel=1e-3)


def test_kernel_gradients_and_the_last_update_are_those_of_the_model() -> None:
    built, probe = probed("he_normal", "20,20")
    before = probe.kernels()
    optimizer = keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, built.model(IMAGES)))
    gradients = tape.gradient(loss, [variable.value for variable in built.model.trainable_variables])
    untrained = probe.measure()
    assert untrained.network["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert [layer["kernel_grad_norm"] for layer in untrained.layers] == pytest.approx(
        [float(tf.norm(gradient)) for gradient in gradients[::2]], rel=1e-4
    )
    assert [layer["kernel_grad_std"] for layer in untrained.layers] == pytest.approx(
        [float(tf.math.reduce_std(gradient)) for gradient in gradients[::2]], rel=1e-4
    )
    assert all(layer["update_ratio"] is None for layer in untrained.layers)
    optimizer.apply(gradients, built.model.trainable_variables)
    assert [layer["update_ratio"] for layer in probe.measure(before).layers] == pytest.approx(
        [0.1 * float(tf.norm(g) / tf.norm(w)) for g, w in zip(gradients[::2], before, strict=True)], rel=1e-3
    )


def test_parallel_units_are_found() -> None:
    built, probe = probed("he_normal", "20,20")
    assert probe.measure().layers[0].value("max_cosine") < 0.9
    kernel = built.layers["dense_1"].kernel
    weights = kernel.numpy()
    weights[:, 3] = -2 * weights[:, 0]
    kernel.assign(weights)
    found = probe.measure().layers[0]
    assert found["max_cosine"] == pytest.approx(1, abs=1e-5)
    assert found["duplicate_units"] == pytest.approx(2 / 20)
    assert UNITS >= 20


def test_overflow_is_reported() -> None:
    measurement = measured("random_normal:stddev=1000.0", "64x20")
    assert not math.isfinite(measurement.layers[-1].value("preactivation_std"))
    assert math.isnan(measurement.network.value("jacobian_mean_square"))
    assert diagnose(measurement).name == "exploding"


def test_every_metric_of_the_registry_is_measured() -> None:
    assert set(MEASURES) == set(LAYER_METRICS)
    network_metrics = measured("he_normal", "20,20").network.metrics
    assert set(network_metrics) == set(NETWORK_METRICS)


def test_a_metric_is_measured_only_where_it_applies() -> None:
    def layers_with(name: str, activation: str) -> list[str]:
        layers = measured("he_normal", "10,10", activation).layers
        return [layer.layer for layer in layers if layer[name] is not None]

    # The logits must be excluded although they have the kernel shape of the second hidden layer.
    assert layers_with("dead_share", "relu") == layers_with("saturated_share", "tanh") == ["dense_1", "dense_2"]
    assert layers_with("dead_share", "tanh") == layers_with("saturated_share", "relu") == []


def test_a_new_metric_is_one_entry_and_one_function(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new metric is measured, stored, printed as JSON and in a table, and drawn as a heat map."""
    entry = replace(LAYER_METRICS["kernel_grad_norm"], name="kernel_max", heading="max W", title="largest weight")
    monkeypatch.setitem(metrics._layer_metrics, "kernel_max", entry)
    monkeypatch.setitem(
        layer_measurement._measures, "kernel_max", lambda stack: tf.reduce_max(tf.abs(stack.kernels), [1, 2])
    )
    built, probe = probed("he_normal", "20,20")
    measurement = probe.measure()
    values = [layer.value("kernel_max") for layer in measurement.layers]
    assert values == [float(np.abs(kernel.numpy()).max()) for kernel in built.kernels]
    run = claimed(store)
    progress.record(store, run, [LayersMeasured(0, measurement, 0.01)])
    stored = layer_statistics.read(store, run.id)
    (document,) = show_document(read_details(store, run.id))["layers"]
    assert [layer["kernel_max"] for layer in document["layers"]] == values
    console = Console(width=120, record=True)
    console.print(*measurement_parts(stored))
    page = console.export_text()
    assert "max W" in page and all(metric_text("kernel_max", value) in page for value in values)
    assert heat_map(stored, LAYER_METRICS["kernel_max"]).values == tuple((value,) for value in values)
