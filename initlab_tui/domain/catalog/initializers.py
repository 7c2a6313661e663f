"""The catalogue of initializers: name, formula, moments of a weight, when to use it, source and parameters.

Pure data and arithmetic; `training/initializers.py` has the Keras object for each entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

from initlab_tui.domain.catalog.entry import Entry, Moments, Parameter, Parameters

# The standard deviation of a standard normal truncated at ±2: sqrt(1 - 4 φ(2) / (2 Φ(2) - 1)).
TRUNCATED_NORMAL_DEVIATION = 0.8796256610342398


def _f(parameters: Parameters, name: str) -> float:
    return float(parameters[name])


def _centred(variance: Callable[[int, int], float]) -> Callable[[Parameters, int, int], Moments]:
    return lambda _, fan_in, fan_out: Moments(0.0, variance(fan_in, fan_out))


def _fan(mode: str, fan_in: int, fan_out: int) -> float:
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]


def _variance_scaling(parameters: Parameters, fan_in: int, fan_out: int) -> Moments:
    return Moments(0.0, _f(parameters, "scale") / _fan(str(parameters["mode"]), fan_in, fan_out))


def _random_uniform(parameters: Parameters, fan_in: int, fan_out: int) -> Moments:  # noqa: ARG001
    low, high = _f(parameters, "minval"), _f(parameters, "maxval")
    return Moments((low + high) / 2, (high - low) ** 2 / 12)


def _identity(parameters: Parameters, fan_in: int, fan_out: int) -> Moments:
    # min(fan_in, fan_out) of the fan_in·fan_out entries are `gain`, the rest are 0.
    share = 1 / max(fan_in, fan_out)
    gain = _f(parameters, "gain")
    return Moments(gain * share, gain**2 * share * (1 - share))


def _sparse(parameters: Parameters, fan_in: int, fan_out: int) -> Moments:  # noqa: ARG001
    share = min(int(parameters["connections"]), fan_in) / fan_in
    return Moments(0.0, share * _f(parameters, "stddev") ** 2)


def _kaiming(parameters: Parameters, fan_in: int, fan_out: int) -> Moments:
    return Moments(0.0, kaiming_gain(parameters) ** 2 / _fan(str(parameters["mode"]), fan_in, fan_out))


def kaiming_gain(parameters: Parameters) -> float:
    """Return PyTorch's gain of a nonlinearity (nn.init.calculate_gain)."""
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    if parameters["nonlinearity"] == "leaky_relu":
        return math.sqrt(2 / (1 + _f(parameters, "a") ** 2))
    return gains.get(str(parameters["nonlinearity"]), 1.0)


_STDDEV = Parameter("stddev", 0.05, "standard deviation σ", above=0.0, always_shown=True)
_MEAN = Parameter("mean", 0.0, "mean of the weights")
_GAIN = Parameter("gain", 1.0, "factor on the whole matrix", above=0.0)

_GLOROT = "Glorot & Bengio 2010, AISTATS, eq. 16"
_HE = "He et al. 2015, ICCV, eq. 10"
_LECUN = "LeCun et al. 1998, Efficient BackProp, eq. 16"
_KERAS = "Keras"

_ENTRIES = (
    Entry(
        "zeros",
        "W = 0",
        lambda *_: Moments(0.0, 0.0),
        "never for hidden kernels: all units of a layer stay the same, and every ReLU outputs 0",
        _KERAS,
    ),
    Entry(
        "ones",
        "W = 1",
        lambda *_: Moments(1.0, 0.0),
        "never for hidden kernels: symmetry is not broken, and activations grow by a factor of fan_in in each layer",
        _KERAS,
    ),
    Entry(
        "constant",
        "W = value",
        lambda parameters, *_: Moments(_f(parameters, "value"), 0.0),
        "to see that no constant breaks the symmetry between units, whatever its value",
        _KERAS,
        (Parameter("value", 0.0, "value of every weight", always_shown=True),),
    ),
    Entry(
        "random_normal",
        "N(mean, σ²)",
        lambda parameters, *_: Moments(_f(parameters, "mean"), _f(parameters, "stddev") ** 2),
        'the "random" of many comparisons: says nothing without its σ, and the best σ depends on the layer width',
        _KERAS,
        (_STDDEV, _MEAN),
    ),
    Entry(
        "random_uniform",
        "U(minval, maxval)",
        _random_uniform,
        "like random_normal, with bounded weights: σ = (maxval - minval)/√12",
        _KERAS,
        (
            Parameter("minval", -0.05, "lower bound", always_shown=True),
            Parameter("maxval", 0.05, "upper bound", always_shown=True),
        ),
        lambda p: (
            ""
            if _f(p, "minval") < _f(p, "maxval")
            else f"minval must be < maxval, got minval={p['minval']}, maxval={p['maxval']}"
        ),
    ),
    Entry(
        "truncated_normal",
        "N(mean, σ²) redrawn beyond 2σ",
        lambda parameters, *_: Moments(
            _f(parameters, "mean"), (TRUNCATED_NORMAL_DEVIATION * _f(parameters, "stddev")) ** 2
        ),
        "random_normal without outliers; the standard deviation of the weights is only 0.88 times stddev",
        _KERAS,
        (_STDDEV, _MEAN),
    ),
    Entry(
        "glorot_normal",
        "truncated normal, Var = 2/(fan_in + fan_out)",
        _centred(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        "tanh, sigmoid and linear layers: keeps the variance of signal and gradient nearly constant (Xavier)",
        _GLOROT,
    ),
    Entry(
        "glorot_uniform",
        "U(±√(6/(fan_in + fan_out))), Var = 2/(fan_in + fan_out)",
        _centred(lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        "tanh, sigmoid, and ReLU networks with few layers (Xavier); the default of Dense in Keras",
        _GLOROT,
    ),
    Entry(
        "he_normal",
        "truncated normal, Var = 2/fan_in",
        _centred(lambda fan_in, _: 2 / fan_in),
        "ReLU and similar activations, above all in deep networks: compensates for the half that ReLU sets to 0",
        _HE,
    ),
    Entry(
        "he_uniform",
        "U(±√(6/fan_in)), Var = 2/fan_in",
        _centred(lambda fan_in, _: 2 / fan_in),
        "like he_normal, with bounded weights",
        _HE,
    ),
    Entry(
        "he_fan_avg",
        "normal, Var = 4/(fan_in + fan_out)",
        _centred(lambda fan_in, fan_out: 4 / (fan_in + fan_out)),
        'ReLU; called "He" in some lectures: twice the variance of Glorot, equal to he_normal only if fan_in = fan_out',
        'Lab 10-2 "Weight Initialization" (TensorFlow lecture); after He et al. 2015',
    ),
    Entry(
        "lecun_normal",
        "truncated normal, Var = 1/fan_in",
        _centred(lambda fan_in, _: 1 / fan_in),
        "SELU (required for self-normalizing networks) and tanh; too small for deep ReLU networks",
        _LECUN,
    ),
    Entry(
        "lecun_uniform",
        "U(±√(3/fan_in)), Var = 1/fan_in",
        _centred(lambda fan_in, _: 1 / fan_in),
        "like lecun_normal, with bounded weights",
        _LECUN,
    ),
    Entry(
        "variance_scaling",
        "Var = scale/n, n by mode",
        _variance_scaling,
        "to set the variance directly: scale 1 with fan_avg is Glorot, 2 with fan_in is He, 1 with fan_in is LeCun",
        "Keras; after He et al. 2015",
        (
            Parameter("scale", 1.0, "numerator of the variance", above=0.0, always_shown=True),
            Parameter(
                "mode",
                "fan_in",
                "the fan in the denominator",
                choices=("fan_in", "fan_out", "fan_avg"),
                always_shown=True,
            ),
            Parameter(
                "distribution",
                "truncated_normal",
                "shape of the distribution, with the same variance",
                choices=("truncated_normal", "untruncated_normal", "uniform"),
            ),
        ),
    ),
    Entry(
        "orthogonal",
        "random rotation times gain, Var = gain²/max(fan_in, fan_out)",
        lambda parameters, fan_in, fan_out: Moments(0.0, _f(parameters, "gain") ** 2 / max(fan_in, fan_out)),
        "very deep tanh or linear networks: preserves lengths exactly, not only on average; gain √2 for ReLU",
        "Saxe et al. 2014, ICLR",
        (_GAIN,),
    ),
    Entry(
        "identity",
        "gain on the diagonal, else 0",
        _identity,
        "recurrent or very deep networks with square layers that at first pass their input through unchanged",
        "Le, Jaitly & Hinton 2015, arXiv:1504.00941",
        (_GAIN,),
    ),
    Entry(
        "torch_default",
        "U(±1/√fan_in), Var = 1/(3 fan_in)",
        _centred(lambda fan_in, _: 1 / (3 * fan_in)),
        "to compare with the default of PyTorch's Linear (which also draws the bias; here biases are 0)",
        "PyTorch nn.Linear.reset_parameters: kaiming_uniform_(a=√5)",
    ),
    Entry(
        "sparse",
        "N(0, σ²) on `connections` inputs of each unit, else 0",
        _sparse,
        "wide layers: the input of each unit has the same size whatever the width of the layer below",
        "Martens 2010, ICML, section 5",
        (
            Parameter("connections", 15, "non-zero weights into each unit", minimum=1, always_shown=True),
            Parameter("stddev", 1.0, "standard deviation of the non-zero weights", above=0.0),
        ),
    ),
    Entry(
        "lsuv",
        "orthonormal, then each layer divided until Var(x·W) = 1 on training images",
        None,
        "deep ReLU and tanh networks: the signal is measured, not assumed; not for deep sigmoid networks, where most "
        "of the variance is between units and the same for every image",
        "Mishkin & Matas 2016, ICLR, algorithm 1; margin and iterations as in the authors' code",
        (
            Parameter("margin", 0.02, "largest accepted distance of the variance from 1", maximum=1.0, above=0.0),
            Parameter("iterations", 20, "maximum number of divisions per layer", minimum=1, maximum=1000),
        ),
        data_dependent=True,
    ),
    Entry(
        "kaiming",
        "Var = gain²/n, gain by nonlinearity",
        _kaiming,
        "to write an initializer as PyTorch's kaiming_normal_ and kaiming_uniform_ do",
        "PyTorch nn.init.kaiming_normal_, calculate_gain; after He et al. 2015",
        (
            Parameter("a", 0.0, "negative slope, if the nonlinearity is leaky_relu"),
            Parameter("mode", "fan_in", "the fan in the denominator", choices=("fan_in", "fan_out")),
            Parameter(
                "nonlinearity",
                "leaky_relu",
                "gain: √2 for relu, √(2/(1 + a²)) for leaky_relu, 5/3 for tanh",
                choices=("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"),
            ),
            Parameter("distribution", "normal", "shape of the distribution", choices=("normal", "uniform")),
        ),
    ),
    Entry(
        "transformer_normal",
        "N(0, σ²) cut at ±2, an absolute bound",
        lambda parameters, *_: Moments(0.0, _f(parameters, "stddev") ** 2),
        "transformers: with σ = 0.02 the cut at ±2 is a hundred σ away, so nothing is cut",
        "trunc_normal_ with a=-2, b=2 of PyTorch, as used by timm and transformers",
        (Parameter("stddev", 0.02, "standard deviation σ", above=0.0, maximum=0.4),),
    ),
    Entry(
        "delta_orthogonal",
        "orthogonal in the centre of a convolution, else 0",
        lambda parameters, fan_in, fan_out: Moments(0.0, _f(parameters, "gain") ** 2 / max(fan_in, fan_out)),
        "very deep tanh convolutions: each position keeps its norm exactly; a dense layer gets orthogonal",
        "Xiao et al. 2018, ICML, algorithm 1",
        (_GAIN,),
    ),
    Entry(
        "dirac",
        "gain on the diagonal in the centre of a convolution, else 0",
        _identity,
        "convolutions that at first pass their input through unchanged",
        "PyTorch nn.init.dirac_; Zagoruyko & Komodakis 2017",
        (_GAIN,),
    ),
    Entry(
        "fixup",
        "He, scaled by L^(-1/(2m - 2)) inside L branches of m layers; last layer of each and logits 0",
        None,
        "residual networks without normalization: the first update changes the function no more with many branches "
        "than with few",
        "Zhang, Dauphin & Ma 2019, ICLR",
        is_scheme=True,
    ),
    Entry(
        "rezero",
        "glorot_uniform; the factor on each branch is 0 at first",
        None,
        "residual networks of any depth with branch_scale=0: at first the network passes its input through",
        "Bachlechner et al. 2020, arXiv:2003.04887",
        is_scheme=True,
    ),
    Entry(
        "skipinit",
        "he_normal; the factor on each branch is 0 at first",
        None,
        "residual networks with branch_scale=0, as a substitute for batch normalization",
        "De & Smith 2020, NeurIPS",
        is_scheme=True,
    ),
    Entry(
        "gpt2",
        "N(0, 0.02²), divided by √branches in the last layer of each residual branch",
        None,
        "transformers: the sum over all branches keeps its variance",
        "Radford et al. 2019, GPT-2, section 2.3",
        is_scheme=True,
    ),
)

CATALOGUE: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
