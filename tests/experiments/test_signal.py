from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import numpy.typing as npt
import pytest

from initlab_tui.experiments.fields import ACTIVATIONS, MAX_DEPTH
from initlab_tui.experiments.initializers import CATALOGUE
from initlab_tui.experiments.signal import FACTORS, FADED, GROWN, Preview, preview
from initlab_tui.experiments.spec import Initializer, Kernel, RunSpec
from initlab_tui.training.initializers import drawer, layer_seed

Floats = npt.NDArray[np.float64]
DIGITS, MNIST = (8, 8), (28, 28)
# Dense enough that the trapezoidal rule is right to nine digits even across ReLU's kink, which lies on a point.
Z = np.linspace(-12.0, 12.0, 240_001)
DENSITY = np.exp(-(Z**2) / 2) / np.sqrt(2 * np.pi)


def previewed(
    written: str, hidden: str, activation: str = "relu", shape: tuple[int, int] = DIGITS, classes: int = 10
) -> Preview:
    spec = RunSpec.checked(hidden=hidden)
    return preview(Initializer.parse(written), spec.kernels(shape, classes), activation)


def gains(shown: Preview) -> list[float]:
    return [layer.gain for layer in shown.layers if layer.gain is not None]


def of_keras(activation: str, z: Floats) -> Floats:
    """What the training's own activation gives, so that its slopes and approximations are the ones tested."""
    return np.asarray(keras.activations.get(activation)(keras.ops.convert_to_tensor(z, "float64")))


def mean(values: Floats) -> float:
    """The expectation over z ~ N(0, 1) of what `values` is at Z."""
    return float(np.trapezoid(values * DENSITY, Z))


def second_moment(activation: str) -> float:
    return mean(of_keras(activation, Z) ** 2)


def variance(activation: str) -> float:
    return second_moment(activation) - mean(of_keras(activation, Z)) ** 2


def slope_squared(activation: str) -> float:
    step = 1e-5
    below, above = of_keras(activation, np.array([-step, step]))
    return float(((above - below) / (2 * step)) ** 2)


PRINCIPLES: dict[str, Callable[[str], float]] = {
    **dict.fromkeys(("relu", "leaky_relu", "linear", "elu", "selu", "gelu", "swish"), second_moment),
    **dict.fromkeys(("tanh", "sigmoid"), slope_squared),
    "softplus": variance,
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_factors_are_those_of_the_activations_that_train(activation: str) -> None:
    assert FACTORS[activation] == pytest.approx(PRINCIPLES[activation](activation), rel=1e-6)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "linear"])
@pytest.mark.parametrize("size", [1e-3, 30.0])
def test_factors_of_piecewise_linear_activations_hold_for_every_size(activation: str, size: float) -> None:
    share = mean(of_keras(activation, size * Z) ** 2) / size**2
    assert FACTORS[activation] == pytest.approx(share, rel=1e-6)


def test_selu_keeps_mean_and_variance_of_a_standard_normal() -> None:
    assert mean(of_keras("selu", Z)) == pytest.approx(0, abs=1e-6)
    assert variance("selu") == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("written", ["he_normal", "glorot_uniform", "random_normal:stddev=0.05", "orthogonal"])
@pytest.mark.parametrize("activation", ["relu", "linear", "leaky_relu"])
def test_levels_and_preactivations_of_a_wide_net_are_as_foreseen(written: str, activation: str) -> None:
    initializer = Initializer.parse(written)
    kernels = RunSpec.checked(hidden="900,600,800").kernels((500,), 700)
    shown = preview(initializer, kernels, activation)
    x0 = np.random.default_rng(0).normal(0.3, 1.0, (100, 500))
    nets = [measured(initializer, kernels, activation, x0, seed) for seed in range(8)]
    size = np.mean(x0**2)
    for layer, kernel, (before, after) in zip(shown.layers, kernels, np.mean(nets, axis=0), strict=True):
        assert layer.stddev is not None and layer.level is not None
        # He et al. look at the variance before the activation: of a layer's input it is fan_in · Var(W) · E[x²].
        assert before == pytest.approx(kernel.fan_in * layer.stddev**2 * size, rel=0.1)
        size = np.mean(x0**2) * layer.level**2
        assert after == pytest.approx(size, rel=0.1)


def measured(
    initializer: Initializer, kernels: Sequence[Kernel], activation: str, x: Floats, seed: int
) -> list[tuple[float, float]]:
    """Mean squares before and after each layer's activation, of one draw of the network."""
    squares = []
    for number, kernel in enumerate(kernels):
        y = x @ np.asarray(drawer(initializer, layer_seed(seed, number))(kernel[1:]), np.float64)
        x = y if kernel.layer == "logits" else of_keras(activation, y)
        squares.append((float(np.mean(y**2)), float(np.mean(x**2))))
    return squares


def test_what_varies_fades_in_a_real_softplus_net_as_foreseen() -> None:
    shown = previewed("lecun_normal", "1000x3", "softplus", shape=(1, 1000))
    x = np.random.default_rng(0).normal(size=(300, 1000))
    for number in range(3):
        draw = drawer(Initializer.parse("lecun_normal"), layer_seed(0, number))
        x = of_keras("softplus", x @ np.asarray(draw((1000, 1000)), np.float64))
        level = shown.layers[number].level
        # The pedestal stays near 1; the deviation over images is what the level tells.
        assert level is not None and x.std(axis=0).mean() == pytest.approx(level, rel=0.1)
        assert np.sqrt(np.mean(x**2)) > 0.9
    assert shown.verdict == "level" and previewed("lecun_normal", "100x9", "softplus").verdict == "fades"


@pytest.mark.parametrize(
    ("written", "activation"),
    [
        ("he_normal", "relu"),
        ("he_uniform", "relu"),
        ("lecun_normal", "selu"),
        ("lecun_uniform", "tanh"),
        ("lecun_normal", "linear"),
    ],
)
def test_the_pairs_made_for_each_other_have_gain_one(written: str, activation: str) -> None:
    shown = previewed(written, "300,50,100x20", activation, MNIST)
    assert gains(shown)[:-1] == pytest.approx([1.0] * 22, rel=1e-9)
    assert (shown.verdict, shown.at) == ("level", None)
    assert shown.layers[21].level == pytest.approx(1.0)


def test_glorot_keeps_tanh_level_where_widths_are_equal() -> None:
    shown = previewed("glorot_normal", "64x30", "tanh", classes=64)
    assert gains(shown) == pytest.approx([1.0] * 31)
    assert shown.verdict == "level"


def test_glorot_fades_in_thirty_relu_layers() -> None:
    shown = previewed("glorot_uniform", "100x30", shape=MNIST)
    assert gains(shown)[1:30] == pytest.approx([0.5] * 29)
    # 0.887 · 0.5ⁿ falls below a hundredth with the seventh layer.
    assert (shown.verdict, shown.at) == ("fades", "dense_8")
    assert shown.reason == "signal fades to 4.06e-05 of the input's by dense_30 (gain 0.5 a layer)"


def test_random_normal_grows_or_fades_with_its_deviation() -> None:
    grows = previewed("random_normal:stddev=1.0", "256,256", shape=MNIST)
    assert (grows.verdict, grows.at) == ("grows", "dense_1")
    assert grows.reason == "signal grows to 224 times the input's by dense_2 (gain 260 a layer)"
    fades = previewed("random_normal:stddev=0.05", "64x10")
    assert (fades.verdict, fades.at) == ("fades", "dense_2")
    assert gains(fades)[0] == pytest.approx(0.08)
    level = previewed("random_normal:stddev=0.05", "256,256", shape=MNIST)
    assert level.verdict == "level" and level.reason == "signal is 0.56 times the input's after dense_2"


def test_bounded_activations_saturate_rather_than_grow() -> None:
    for activation in ("tanh", "sigmoid"):
        shown = previewed("random_normal:stddev=1.0", "256,256", activation, MNIST)
        assert shown.verdict == "saturates" and activation in shown.reason
    assert previewed("he_normal", "100x10", "tanh").at == "dense_7"


def test_logits_have_no_activation_and_no_say() -> None:
    shown = previewed("random_normal:stddev=0.05", "2000", classes=1)
    assert gains(shown) == pytest.approx([0.5 * 64 * 0.0025, 2000 * 0.0025])
    small = previewed("glorot_uniform", "100", classes=1_000_000)
    assert small.layers[-1].level is not None and small.layers[-1].level < FADED
    assert small.verdict == "level"


@pytest.mark.parametrize("written", ["zeros", "ones", "constant:value=0.3"])
def test_constants_leave_the_units_alike(written: str) -> None:
    shown = previewed(written, "64,64")
    assert (shown.verdict, shown.at) == ("alike", None)
    assert [layer.stddev for layer in shown.layers] == [0.0] * 3
    # Of zeros the formula is right, of other constants it would be wrong.
    assert [layer.level for layer in shown.layers] == [0.0 if written == "zeros" else None] * 3
    assert previewed(written, "none").verdict == "level"


@pytest.mark.parametrize("written", ["random_normal:stddev=1,mean=0.5", "random_uniform:minval=0,maxval=1", "identity"])
def test_weights_with_a_mean_have_no_gain(written: str) -> None:
    shown = previewed(written, "64,64")
    assert shown.verdict == "shifted" and gains(shown) == []
    assert all(layer.stddev for layer in shown.layers)


def test_a_persons_own_has_no_formula() -> None:
    shown = previewed("import:mine.Start", "64,64")
    assert shown.verdict == "no_formula"
    assert [layer[1:] for layer in shown.layers] == [(None, None, None)] * 3
    assert [layer.layer for layer in shown.layers] == ["dense_1", "dense_2", "logits"]


def test_what_is_fitted_to_the_data_is_not_foretold() -> None:
    shown = previewed("lsuv", "64,64")
    assert (shown.verdict, shown.at) == ("no_formula", None)
    assert shown.reason == "no formula: it is fitted to the data when training starts"
    assert [layer[1:] for layer in shown.layers] == [(None, None, None)] * 3


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("written", [*CATALOGUE, "random_normal:stddev=1e6", "random_normal:stddev=1e-170"])
def test_every_start_is_told_in_a_line_at_any_depth(written: str, activation: str) -> None:
    for hidden in ("none", "1", "256,256", f"512x{MAX_DEPTH}"):
        shown = previewed(written, hidden, activation, MNIST)
        assert shown.reason and len(shown.reason) <= 90, shown.reason
        assert "\n" not in shown.reason and "nan" not in shown.reason
        levels = [layer.level for layer in shown.layers[:-1] if layer.level is not None]
        crossed = any(not FADED <= level <= GROWN for level in levels)
        assert (shown.verdict in ("fades", "grows", "saturates")) == (crossed and shown.verdict != "alike")


def test_the_whole_catalogue_on_the_deepest_net_takes_milliseconds() -> None:
    kernels = RunSpec.checked(hidden=f"100x{MAX_DEPTH}").kernels(MNIST, 10)
    starts = [Initializer.parse(name) for name in CATALOGUE]

    def once() -> float:
        began = time.perf_counter()
        for start in starts:
            preview(start, kernels, "relu")
        return time.perf_counter() - began

    # A form is drawn anew at every key. It takes 6 ms here; the bound leaves room for machines under load.
    assert min(once() for _ in range(5)) < 0.03
