from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import dblquad, quad

from initlab_tui.domain.catalog.choices import ACTIVATIONS
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.fields import MAX_DEPTH
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import Node
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.theory.composition import LayerPrediction
from initlab_tui.domain.theory.gaussian_moments import NEGATIVE_SLOPES, Moments, expectations, log_expectations
from initlab_tui.domain.theory.mean_field import (
    chi1,
    correlation_map,
    correlations,
    critical_sigma_w2,
    fixed_point,
    length_map,
    predict,
)
from initlab_tui.training.initializers import layer_seed, make_sampler

Floats = npt.NDArray[np.floating]
MNIST = (28, 28)


def predicted(
    written: str, hidden: str, activation: str = "relu", input_mean_square: float = 1.0, classes: int = 10
) -> tuple[LayerPrediction, ...]:
    graph = RunSpec.checked(hidden=hidden, activation=activation).graph(MNIST, classes)
    prediction = predict(Initializer.parse(written), graph, input_mean_square)
    assert prediction is not None
    return prediction.layers


def keras_activation(activation: str, z: Floats) -> Floats:
    """Apply Keras's activation, the one used in training, including its approximations."""
    return np.asarray(keras.activations.get(activation)(keras.ops.convert_to_tensor(z, "float64")))


def keras_slope(activation: str, z: Floats) -> Floats:
    step = 1e-6
    return (keras_activation(activation, z + step) - keras_activation(activation, z - step)) / (2 * step)


# Moments: compared with SciPy's quadrature and with Keras's activations.


def integral(f: Callable[[float], float], q: float) -> float:
    """Return E[f(√q z)] by SciPy, on each half-line separately, with break points where φ bends."""

    def integrand(z: float) -> float:
        return f(math.sqrt(q) * z) * math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    bends = [bend for bend in (1 / math.sqrt(q), 5 / math.sqrt(q), 30 / math.sqrt(q)) if bend < 12]
    above = quad(integrand, 0, 12, points=bends or None, epsabs=0, epsrel=1e-11, limit=500)[0]
    below = quad(integrand, -12, 0, points=[-bend for bend in bends] or None, epsabs=0, epsrel=1e-11, limit=500)[0]
    return float(above + below)


# The textbook formulas, written independently: the code under test uses forms that are stable at large |x|.
FORMULAS: Mapping[str, Callable[[float], float]] = {
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: max(x, 0.2 * x),
    "linear": lambda x: x,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (math.exp(x) - 1)),
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "swish": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
}
SLOPES: Mapping[str, Callable[[float], float]] = {
    "relu": lambda x: float(x > 0),
    "leaky_relu": lambda x: 1.0 if x > 0 else 0.2,
    "linear": lambda _: 1.0,
    "tanh": lambda x: math.cosh(x) ** -2,
    "sigmoid": lambda x: (2 * math.cosh(x / 2)) ** -2,
    "elu": lambda x: 1.0 if x > 0 else math.exp(x),
    "selu": lambda x: 1.0507009873554805 * (1 if x > 0 else 1.6732632423543772 * math.exp(x)),
    "gelu": lambda x: (1 + math.erf(x / math.sqrt(2))) / 2 + x * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
    "swish": lambda x: (1 + math.exp(-x) * (1 + x)) / (1 + math.exp(-x)) ** 2,
    "softplus": lambda x: 1 / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_formulas_match_the_keras_activations(activation: str) -> None:
    z = np.linspace(-20, 20, 400)  # an even number: no point is at a kink
    value, slope = np.vectorize(FORMULAS[activation]), np.vectorize(SLOPES[activation])
    assert keras_activation(activation, z) == pytest.approx(value(z), rel=1e-6, abs=1e-7)
    assert keras_slope(activation, z) == pytest.approx(slope(z), abs=1e-7)


@pytest.mark.parametrize("q", [1e-6, 0.01, 1.0, 7.3, 100.0, 400.0])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_expectations_agree_with_scipy(activation: str, q: float) -> None:
    value, slope = FORMULAS[activation], SLOPES[activation]
    found, mean = expectations(activation, q), integral(value, q)
    assert found.mean_square == pytest.approx(integral(lambda x: value(x) ** 2, q), rel=1e-9)
    assert found.mean == pytest.approx(mean, rel=1e-9, abs=1e-12)
    assert found.variance == pytest.approx(integral(lambda x: (value(x) - mean) ** 2, q), rel=1e-9)
    assert found.slope_square == pytest.approx(integral(lambda x: slope(x) ** 2, q), rel=1e-9)


def test_expectations_are_accurate_for_extreme_variances() -> None:
    # ∫sech⁴ = 4/3: the slope is non-zero only in a millionth of the Gaussian's width.
    assert expectations("tanh", 1e12).slope_square == pytest.approx(4 / 3 / math.sqrt(2e12 * math.pi), rel=1e-9)
    assert expectations("sigmoid", 1e-12).variance == pytest.approx(1e-12 / 16, rel=1e-9)
    assert expectations("softplus", 1e-12).variance == pytest.approx(1e-12 / 4, rel=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_expectations_at_zero_are_the_limits(activation: str) -> None:
    found, near = expectations(activation, 0.0), expectations(activation, 1e-12)
    assert list(found) == pytest.approx(list(near), abs=1e-5)
    assert found.variance == 0


def from_table(activation: str, log_q: float) -> Moments:
    logs = log_expectations(activation)
    variance = math.exp(logs.variance(log_q))
    mean = logs.at_zero + logs.shift(log_q) * math.sqrt(variance)
    return Moments(math.exp(logs.mean_square(log_q)), mean, variance, math.exp(logs.slope_square(log_q)))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_tables_agree_with_the_quadrature(activation: str) -> None:
    # Points between the knots (0.2 apart), at a different distance from the nearest knot each time.
    for log_q in np.arange(-27.5, 27.5, 0.0871):
        table, exact = from_table(activation, log_q), expectations(activation, math.exp(log_q))
        assert table.mean_square == pytest.approx(exact.mean_square, rel=1e-6)
        assert table.variance == pytest.approx(exact.variance, rel=1e-6)
        assert table.slope_square == pytest.approx(exact.slope_square, rel=1e-6)
        assert table.mean == pytest.approx(exact.mean, abs=1e-6 * math.sqrt(exact.variance))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_tables_extrapolate_as_powers_of_q(activation: str) -> None:
    for log_q in (-60.0, 60.0):
        table = from_table(activation, log_q)
        bounded, positive = activation in ("tanh", "sigmoid"), log_q > 0
        slope = SLOPES[activation](1e-9) ** 2 / 2 + SLOPES[activation](-1e-9) ** 2 / 2
        if positive and bounded:
            assert table.mean_square == pytest.approx(1.0 if activation == "tanh" else 0.5)
            area = {"tanh": 4 / 3, "sigmoid": 1 / 6}[activation]
            assert table.slope_square == pytest.approx(area / math.sqrt(2 * math.pi) * math.exp(-30), rel=1e-5)
        elif positive:
            scale = FORMULAS[activation](500.0) / 500
            slope = (scale**2 + NEGATIVE_SLOPES.get(activation, 0.0) ** 2) / 2
            assert table.mean_square == pytest.approx(slope * math.exp(60), rel=1e-5)
            assert table.slope_square == pytest.approx(slope, rel=1e-5)
        else:
            assert table.mean_square - FORMULAS[activation](0.0) ** 2 == pytest.approx(0, abs=1e-9)
            assert table.slope_square == pytest.approx(slope, rel=1e-5)
    assert from_table(activation, -math.inf).variance == 0


# Published constants.


def test_selu_keeps_mean_zero_and_variance_one() -> None:
    """Klambauer et al. 2017: (0, 1) is the attracting fixed point of mean and variance for σw² = 1."""
    found = expectations("selu", 1.0)
    assert found.mean == pytest.approx(0, abs=1e-9) and found.variance == pytest.approx(1, rel=1e-9)
    for start in (0.3, 3.0):
        assert fixed_point("selu", 1.0, start=start) == pytest.approx(1, rel=1e-9)


def test_relu_is_critical_at_two_and_only_without_biases() -> None:
    """He et al. 2015; Hayou et al. 2019, ICML: the edge of chaos of ReLU is the single point (σb², σw²) = (0, 2)."""
    assert critical_sigma_w2("relu") == 2
    assert chi1("relu", 17.0, 2.0) == 1
    assert critical_sigma_w2("relu", 0.1) is None
    assert critical_sigma_w2("leaky_relu") == pytest.approx(2 / (1 + 0.2**2))
    assert critical_sigma_w2("linear") == 1


def test_tanh_is_critical_at_one_without_biases_and_on_its_line_with_them() -> None:
    """Poole et al. 2016 and Schoenholz et al. 2017 at σb² = 0 and 0.05; Pennington et al. 2017 at 2.01e-5."""
    assert critical_sigma_w2("tanh") == pytest.approx(1)
    assert critical_sigma_w2("tanh", 2.01e-5) == pytest.approx(1.05, abs=1e-4)
    assert critical_sigma_w2("tanh", 0.05) == pytest.approx(1.76, abs=5e-3)


@pytest.mark.parametrize(
    ("activation", "q", "sigma_w2"), [("gelu", (3 + math.sqrt(17)) / 2, 1.98305826), ("swish", 14.32017362, 1.98800468)]
)
def test_gelu_and_swish_have_half_stable_critical_points(activation: str, q: float, sigma_w2: float) -> None:
    """Roberts, Yaida & Hanin 2022, chapter 5: both χ1 and the slope of the length map are 1 at this point."""
    assert chi1(activation, q, sigma_w2) == pytest.approx(1, rel=1e-8)
    above, below = (length_map(activation, q * factor, sigma_w2) for factor in (1 + 1e-4, 1 - 1e-4))
    assert (above - below) / (2e-4 * q) == pytest.approx(1, rel=1e-6)
    if activation == "gelu":
        assert q - length_map(activation, q, sigma_w2) == pytest.approx(0.17292239, abs=1e-7)
        # At smaller σb² the point with χ1 = 1 is unstable.
        assert critical_sigma_w2("gelu", 0.174) == pytest.approx(sigma_w2, abs=1e-3)
        assert critical_sigma_w2("gelu", 0.172) is critical_sigma_w2("gelu") is None


# Fixed points and the edge of chaos.


@pytest.mark.parametrize("sigma_b2", [0.01, 0.3, 0.6])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "elu", "selu", "gelu", "swish"])
def test_at_the_critical_weight_variance_the_fixed_point_has_chi1_of_one(activation: str, sigma_b2: float) -> None:
    sigma_w2 = critical_sigma_w2(activation, sigma_b2)
    if sigma_b2 < {"gelu": 0.1, "swish": 0.5}.get(activation, 0):
        assert sigma_w2 is None
        return
    assert sigma_w2 is not None
    q = fixed_point(activation, sigma_w2, sigma_b2, start=1e-3)
    assert q is not None and length_map(activation, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-9)
    assert chi1(activation, q, sigma_w2) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("activation", "sigma_w2", "sigma_b2"), [("tanh", 2.0, 0.1), ("sigmoid", 9.0, 0.0)])
def test_iterating_the_length_map_ends_at_the_fixed_point(activation: str, sigma_w2: float, sigma_b2: float) -> None:
    for start in (0.02, 50.0):
        q = start
        for _ in range(300):
            q = length_map(activation, q, sigma_w2, sigma_b2)
        assert fixed_point(activation, sigma_w2, sigma_b2, start) == pytest.approx(q, rel=1e-9)


def test_fixed_points_of_signals_that_vanish_or_grow_without_bound() -> None:
    assert fixed_point("relu", 1.5, 0.3) == pytest.approx(0.3 / (1 - 1.5 / 2))
    assert fixed_point("relu", 2.0, start=5.0) == 5.0
    assert fixed_point("relu", 2.1) is None
    assert fixed_point("relu", 1.9) == fixed_point("tanh", 0.9) == fixed_point("tanh", 1.0) == 0.0


# The correlation map.

GRID = np.linspace(-9, 9, 3601)


@pytest.mark.parametrize("correlation", [-0.7, 0.0, 0.4, 0.95])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_correlation_map_is_the_integral_over_both_inputs(activation: str, correlation: float) -> None:
    q, sigma_w2, sigma_b2 = 2.5, 1.3, 0.2
    z, density = GRID, np.exp(-(GRID**2) / 2) / np.sqrt(2 * np.pi) * (GRID[1] - GRID[0])
    partner = correlation * z[:, None] + math.sqrt(1 - correlation**2) * z
    other = keras_activation(activation, math.sqrt(q) * partner) @ density
    product = (keras_activation(activation, math.sqrt(q) * z) * other) @ density
    expected = (sigma_w2 * product + sigma_b2) / length_map(activation, q, sigma_w2, sigma_b2)
    assert correlation_map(activation, correlation, q, sigma_w2, sigma_b2) == pytest.approx(expected, abs=1e-5)


def test_the_correlation_map_of_a_saturated_tanh_agrees_with_scipy() -> None:
    q, correlation = 100.0, 0.5

    def integrand(z2: float, z1: float) -> float:
        v = correlation * z1 + math.sqrt(1 - correlation**2) * z2
        return math.tanh(10 * z1) * math.tanh(10 * v) * math.exp(-(z1**2 + z2**2) / 2) / (2 * math.pi)

    kink = -correlation / math.sqrt(1 - correlation**2)
    product = 0.0
    for z1 in ((-9, 0), (0, 9)):
        product += dblquad(integrand, *z1, -9, lambda z: kink * z, epsabs=1e-7)[0]
        product += dblquad(integrand, *z1, lambda z: kink * z, 9, epsabs=1e-7)[0]
    assert correlation_map("tanh", correlation, q, 1.0) * length_map("tanh", q, 1.0) == pytest.approx(product, abs=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_correlation_map_ends_at_one_with_slope_chi1(activation: str) -> None:
    sigma_w2, sigma_b2 = 1.2, 0.3
    q = 1.0 if activation in ("linear", "softplus", "selu") else fixed_point(activation, sigma_w2, sigma_b2)
    assert q is not None
    assert correlation_map(activation, 1.0, q, sigma_w2, sigma_b2) == pytest.approx(1, abs=1e-7)
    near = 1 - 1e-4
    slope = (1 - correlation_map(activation, near, q, sigma_w2, sigma_b2)) / (1 - near)
    following = length_map(activation, q, sigma_w2, sigma_b2)
    assert slope == pytest.approx(chi1(activation, q, sigma_w2) * q / following, rel=0.02)


def test_the_correlation_map_refuses_invalid_arguments() -> None:
    with pytest.raises(ValueError, match=r"correlation must be between -1 and 1, got 1.2"):
        correlation_map("relu", 1.2, 1.0, 2.0)
    with pytest.raises(ValueError, match=r"all pre-activations are 0: q=0.0"):
        correlation_map("tanh", 0.5, 0.0, 1.0)


def test_relu_makes_inputs_alike_with_depth_and_a_chaotic_tanh_decorrelates_them() -> None:
    def through(written: str, activation: str, first: float) -> list[float | None]:
        graph = RunSpec.checked(hidden="512x40", activation=activation).graph(MNIST, 10)
        prediction = predict(Initializer.parse(written), graph)
        assert prediction is not None
        return list(correlations(activation, prediction, first))

    relu = [value or 0.0 for value in through("he_normal", "relu", 0.0)]
    assert relu[1] == pytest.approx(1 / math.pi)  # Cho & Saul 2009: the arc-cosine kernel of order 1
    assert relu == sorted(relu)
    assert relu[-1] == pytest.approx(0.98, abs=0.02)
    assert through("random_normal:stddev=0.1", "tanh", 0.99)[-1] == pytest.approx(0, abs=0.01)  # σw² = 5
    assert through("he_normal", "relu", 1.0) == pytest.approx([1.0] * 41)
    assert through("zeros", "relu", 0.5) == [0.5, *[None] * 40]
    assert through("random_normal:stddev=1e6", "gelu", 0.5)[-1] is None


# Predictions compared with wide networks.

DRAWS, INPUTS, WIDE = 6, 10, "2000x10"
CASES = (
    *(("relu", name) for name in ("he_normal", "glorot_normal", "random_normal:stddev=0.05")),
    *(("tanh", name) for name in ("glorot_normal", "lecun_normal", "random_normal:stddev=0.05")),
    *(("sigmoid", name) for name in ("glorot_normal", "random_normal:stddev=0.1")),
    *(("selu", name) for name in ("lecun_normal", "he_normal")),
    *(("gelu", name) for name in ("he_normal", "random_normal:stddev=0.05")),
    *(("leaky_relu", name) for name in ("he_normal", "lecun_normal")),
    *(("linear", name) for name in ("lecun_normal", "glorot_normal")),
    *(("elu", "he_normal"), ("swish", "he_normal"), ("softplus", "lecun_normal")),
)


class Measured(NamedTuple):
    """One layer's mean squares of pre-activations, activations and gradients, and its mean activation."""

    preactivation: float
    activation: float
    activation_mean: float
    gradient: float


Case = tuple[str, Sequence[float]]  # an activation, and a scale factor per kernel


def measure(kernels: Sequence[Floats], cases: Sequence[Case], x: Floats) -> Floats:
    """Return an array (case, layer, field of Measured) from one forward and one backward pass under cross entropy.

    All cases share one pass, because reading the kernels takes most of the time.
    """
    preactivations, activations = [], [np.tile(x.astype(np.float32), (len(cases), 1, 1))]
    names = [name for name, _ in cases]
    for index, kernel in enumerate(kernels):
        preactivations.append(multiply(activations[-1], kernel, cases, index))
        last = index == len(kernels) - 1
        activations.append(apply(keras_activation, ["linear"] * len(cases) if last else names, preactivations[-1]))
    gradients = [loss_gradient(preactivations[-1])]
    for index in range(len(kernels) - 1, 0, -1):
        slopes = apply(keras_slope, names, preactivations[index - 1])
        gradients.insert(0, multiply(gradients[0], kernels[index].T, cases, index) * slopes)
    values = [[mean_square(array) for array in arrays] for arrays in (preactivations, activations[1:], gradients)]
    values.insert(2, [array.mean(axis=(1, 2)) for array in activations[1:]])
    return np.array(values, np.float64).transpose(2, 1, 0)


def multiply(x: Floats, kernel: Floats, cases: Sequence[Case], index: int) -> Floats:
    factors = np.array([stddevs[index] for _, stddevs in cases], np.float32)
    product = x.reshape(-1, x.shape[2]) @ kernel
    return np.asarray(product.reshape(*x.shape[:2], -1) * factors[:, None, None])


def apply(function: Callable[[str, Floats], Floats], activations: Sequence[str], z: Floats) -> Floats:
    return np.stack([function(*pair) for pair in zip(activations, z.astype(np.float64), strict=True)]).astype(
        np.float32
    )


def loss_gradient(logits: Floats) -> Floats:
    exponentials = np.exp(logits - logits.max(axis=2, keepdims=True))
    labels = np.eye(logits.shape[2], dtype=np.float32)[np.arange(INPUTS) % logits.shape[2]]
    return np.asarray(exponentials / exponentials.sum(axis=2, keepdims=True) - labels)


def mean_square(array: Floats) -> Floats:
    return np.asarray(np.mean(array.astype(np.float64) ** 2, axis=(1, 2)))


@pytest.fixture(scope="module")
def wide_networks() -> Mapping[tuple[str, str], Floats]:
    """For each case an array (layer, field of Measured), averaged over draws; each draw is shared by all cases."""
    kernels = RunSpec.checked(hidden=WIDE).graph(MNIST, 10).layers
    random = np.random.default_rng(7)
    x = inputs(random)
    cases = [(activation, weight_stddevs(written, kernels)) for activation, written in CASES]
    draws = [
        measure([random.standard_normal(kernel.kernel_shape, np.float32) for kernel in kernels], cases, x)
        for _ in range(DRAWS)
    ]
    return dict(zip(CASES, np.array(draws).mean(axis=0), strict=True))


def weight_stddevs(written: str, kernels: Sequence[Node]) -> list[float]:
    moments = [Initializer.parse(written).moments(kernel.fan_in, kernel.fan_out) for kernel in kernels]
    return [moment.stddev for moment in moments if moment]


def inputs(random: np.random.Generator) -> Floats:
    """Return inputs that are not centred, like pixels, and have equal norms: the theory takes one mean square."""
    x = random.normal(0.5, 1.0, (INPUTS, 784))
    lengths: Floats = np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    return np.asarray(x / lengths * 0.8)


@pytest.mark.parametrize(("activation", "written"), CASES)
def test_signals_and_gradients_of_wide_networks_are_as_predicted(
    wide_networks: Mapping[tuple[str, str], Floats], activation: str, written: str
) -> None:
    layers = predicted(written, WIDE, activation, input_mean_square=0.64)
    input_square, last_gradient = 0.64, Measured(*wide_networks[activation, written][-1]).gradient
    for layer, values in zip(layers, wide_networks[activation, written], strict=True):
        measured = Measured(*values)
        # With ten logits of ten inputs, the root mean square is known to about 10 %.
        # gelu and swish amplify the sampling error from layer to layer: one network in three is off by 10 %.
        rel = 0.2 if layer.layer == "logits" else 0.08 if activation in ("gelu", "swish") else 0.04
        activation_rms = math.sqrt(measured.activation)
        assert layer.preactivation_std == pytest.approx(math.sqrt(measured.preactivation), rel=rel), layer
        assert math.hypot(layer.activation_mean, layer.activation_std) == pytest.approx(activation_rms, rel=rel)
        if layer.layer != "logits":
            assert layer.activation_mean == pytest.approx(measured.activation_mean, abs=0.03 * activation_rms)
        assert layer.variance_gain == pytest.approx(measured.activation / input_square, rel=2 * rel)
        gradient_ratio = math.sqrt(measured.gradient / last_gradient)
        assert layer.relative_grad_rms == pytest.approx(gradient_ratio, rel=0.1), layer
        input_square = measured.activation


@pytest.mark.parametrize("written", ["orthogonal", "sparse", "torch_default", "he_uniform", "truncated_normal"])
def test_networks_drawn_by_training_are_as_predicted(written: str) -> None:
    kernels = RunSpec.checked(hidden="900,600,900").graph(MNIST, 10).layers
    x, initializer = inputs(np.random.default_rng(3)), Initializer.parse(written)
    networks = []
    for seed in range(10):
        drawn = [
            np.asarray(make_sampler(initializer, layer_seed(seed, n))(k.kernel_shape)) for n, k in enumerate(kernels)
        ]
        networks.append(measure(drawn, [("relu", [1.0] * len(kernels))], x)[0])
    means = [Measured(*values) for values in np.mean(networks, axis=0)]
    for layer, mean in zip(predicted(written, "900,600,900", input_mean_square=0.64)[:-1], means, strict=False):
        assert layer.preactivation_std == pytest.approx(math.sqrt(mean.preactivation), rel=0.06)
        gradient_ratio = math.sqrt(mean.gradient / means[-1].gradient)
        assert layer.relative_grad_rms == pytest.approx(gradient_ratio, rel=0.1)


def test_the_distance_of_close_inputs_grows_by_chi1_per_layer() -> None:
    random = np.random.default_rng(5)
    for activation, written in (("tanh", "random_normal:stddev=0.06"), ("relu", "he_normal"), ("gelu", "lecun_normal")):
        layers = predicted(written, "2000x3", activation, input_mean_square=0.64)
        x: Floats = inputs(random)
        y: Floats = x + random.normal(0, 1e-4, x.shape)
        for layer in layers[:-1]:
            w = random.normal(0, layer.weight_std, (x.shape[1], 2000))
            distance = np.mean((x - y) ** 2)
            x, y = keras_activation(activation, x @ w), keras_activation(activation, y @ w)
            assert np.mean((x - y) ** 2) / distance == pytest.approx(layer.chi1, rel=0.06)


# Predictions alone.


def test_predictions_hold_layer_names_weight_stddevs_and_gradients() -> None:
    layers = predicted("glorot_normal", "256,128")
    assert [layer.layer for layer in layers] == ["dense_1", "dense_2", "logits"]
    assert [layer.weight_std for layer in layers] == pytest.approx(
        [math.sqrt(2 / (784 + 256)), math.sqrt(2 / (256 + 128)), math.sqrt(2 / (128 + 10))]
    )
    assert layers[-1].relative_grad_rms == 1
    # Through one layer: from ten logits, and ReLU passes half of the gradient.
    assert layers[-2].relative_grad_rms == pytest.approx(math.sqrt(10 * 2 / (128 + 10) / 2))
    assert [layer.chi1 for layer in layers] == pytest.approx([784 / 1040, 256 / 384, 128 / 69])


def test_he_keeps_the_relu_signal_constant_at_any_depth() -> None:
    layers = predicted("he_normal", f"512x{MAX_DEPTH}", input_mean_square=0.3, classes=512)
    assert [layer.preactivation_std for layer in layers] == pytest.approx([math.sqrt(0.6)] * (MAX_DEPTH + 1))
    assert [layer.variance_gain for layer in layers] == pytest.approx([1.0] * MAX_DEPTH + [2.0])
    assert layers[0].relative_grad_rms == pytest.approx(1)


def test_a_critical_tanh_signal_falls_as_a_power_of_depth() -> None:
    """q falls as 1/(2 l) (Roberts, Yaida & Hanin 2022, chapter 5)."""
    layers = predicted("lecun_normal", f"512x{MAX_DEPTH}", "tanh")
    assert layers[MAX_DEPTH - 1].preactivation_std ** 2 == pytest.approx(1 / (2 * MAX_DEPTH), rel=0.05)


def test_tables_are_accurate_over_hundreds_of_layers() -> None:
    for activation in ("tanh", "gelu", "softplus"):
        layers = predicted("he_normal", f"512x{MAX_DEPTH}", activation)
        q = 2.0
        for layer in layers[:-1]:
            assert layer.preactivation_std == pytest.approx(math.sqrt(q), rel=1e-4)
            q = length_map(activation, q, 2.0)


def test_zeros_give_no_signal_and_no_gradient() -> None:
    for activation in ACTIVATIONS:
        layers = predicted("zeros", "64,64", activation)
        assert [layer.preactivation_std for layer in layers] == [0, 0, 0]
        assert [layer.activation_std for layer in layers] == [0, 0, 0]
        assert [layer.relative_grad_rms for layer in layers] == [0, 0, 1]
        assert [layer.activation_mean for layer in layers[:-1]] == pytest.approx([FORMULAS[activation](0.0)] * 2)


@pytest.mark.parametrize(
    "written",
    ["ones", "constant:value=0.3", "random_normal:stddev=1,mean=0.5", "identity", "import:mine.Draw", "lsuv"],
)
def test_there_is_no_prediction_for_weights_with_a_mean_custom_or_data_dependent_initializers(written: str) -> None:
    assert predict(Initializer.parse(written), RunSpec().graph(MNIST, 10)) is None


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_an_input_mean_square_that_is_not_positive_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="input_mean_square must be finite and > 0, got"):
        predicted("he_normal", "64", input_mean_square=wrong)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("written", [*CATALOGUE, "random_normal:stddev=1e6", "random_normal:stddev=1e-170"])
def test_predictions_are_never_nan_or_negative_at_any_depth(written: str, activation: str) -> None:
    for hidden in ("none", "1", f"512x{MAX_DEPTH}"):
        prediction = predict(
            Initializer.parse(written), RunSpec.checked(hidden=hidden, activation=activation).graph(MNIST, 10)
        )
        for layer in prediction.layers if prediction else ():
            assert not any(math.isnan(value) for value in layer[1:]), layer
            assert all(
                value >= 0
                for value in (layer.preactivation_std, layer.variance_gain, layer.relative_grad_rms, layer.chi1)
            )
