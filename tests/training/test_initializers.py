from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import network
from initlab_tui.training.initializers import layer_seed, make_sampler

DRAWS = 30
# Every initializer with its defaults, and those with parameters also with other values.
WRITTEN = [
    *(name for name, entry in CATALOGUE.items() if not entry.is_scheme),
    "constant:value=0.3",
    "random_normal:stddev=1.5,mean=-0.5",
    "random_uniform:minval=-1,maxval=3",
    "truncated_normal:stddev=0.2,mean=1",
    "variance_scaling:scale=3,mode=fan_avg,distribution=uniform",
    "variance_scaling:scale=0.5,mode=fan_out,distribution=untruncated_normal",
    "orthogonal:gain=1.4142135623730951",
    "identity:gain=2",
    "sparse:connections=7,stddev=0.5",
    "sparse:connections=1000",
]


def drawn(written: str, shape: tuple[int, int], seeds: range) -> npt.NDArray[np.float64]:
    draws = [np.asarray(make_sampler(Initializer.parse(written), seed)(shape), np.float64) for seed in seeds]
    return np.stack(draws)


@pytest.mark.parametrize("shape", [(300, 100), (64, 256)], ids=str)
@pytest.mark.parametrize("written", [one for one in WRITTEN if not Initializer.parse(one).is_data_dependent])
def test_draws_have_the_mean_and_variance_of_the_formula(written: str, shape: tuple[int, int]) -> None:
    moments = Initializer.parse(written).moments(*shape)
    assert moments is not None
    draws = drawn(written, shape, range(DRAWS))
    # Five standard errors of a mean and of a variance; the kurtosis is at most 3, except for sparse.
    n = draws.size
    kurtosis = 3 * max(1.0, shape[0] / 7) if written.startswith("sparse") else 3
    exact = 1e-6 * (1 + abs(moments.mean) + moments.variance)
    assert draws.mean() == pytest.approx(moments.mean, abs=5 * moments.stddev / math.sqrt(n) + exact)
    tolerance = 5 * moments.variance * math.sqrt((kurtosis - 1) / n) + exact
    assert draws.var() == pytest.approx(moments.variance, abs=tolerance)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_draw_depends_on_the_seed_alone(written: str) -> None:
    once, again = drawn(written, (50, 40), range(2)), drawn(written, (50, 40), range(2))
    assert np.array_equal(once, again)
    is_random = written.partition(":")[0] not in ("zeros", "ones", "constant", "identity", "dirac")
    assert np.array_equal(once[0], once[1]) != is_random


def test_layers_of_one_network_have_uncorrelated_draws() -> None:
    spec = RunSpec.checked(hidden="32,32,32", initializer="he_normal")
    built = network.build(spec, (32,), 32)
    network.initialize(built, spec.initializer, seed=0)
    kernels = [kernel.numpy() for kernel in built.kernels]
    assert len(kernels) == 4
    for index, kernel in enumerate(kernels):
        for other in kernels[index + 1 :]:
            assert abs(np.corrcoef(kernel.ravel(), other.ravel())[0, 1]) < 0.2
    assert all(not layer.bias.numpy().any() for layer in built.layers.values() if hasattr(layer, "bias"))


def test_layer_seeds_never_change() -> None:
    # Stored runs can be repeated only as long as these stay the same.
    assert [layer_seed(0, 0), layer_seed(0, 1), layer_seed(1, 0)] == [1484405855, 1982462498, 917752063]


def test_sparse_gives_each_unit_its_number_of_connections() -> None:
    kernel = drawn("sparse:connections=15", (300, 100), range(1))[0]
    assert (np.count_nonzero(kernel, axis=0) == 15).all()
    few = drawn("sparse:connections=15", (8, 10), range(1))[0]
    assert (np.count_nonzero(few, axis=0) == 8).all()


def test_orthogonal_preserves_norms() -> None:
    kernel = drawn("orthogonal:gain=2", (64, 64), range(1))[0]
    np.testing.assert_allclose(kernel.T @ kernel, 4 * np.eye(64), atol=1e-4)


CUSTOM = """
import keras
import numpy as np

class Centred(keras.initializers.Initializer):
    def __init__(self, scale=1.0, seed=None):
        self.scale, self.seed = scale, seed
    def __call__(self, shape, dtype=None):
        return self.scale * keras.random.normal(shape, seed=self.seed, dtype=dtype)

class Unseeded(keras.initializers.Initializer):
    def __call__(self, shape):
        return np.full(shape, 0.25)

ready = keras.initializers.HeNormal()

class Bare(keras.initializers.Initializer):
    def __init__(self, scale):
        self.scale = scale
    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, self.scale, dtype=dtype)

five = Bare(5.0)

def function(shape, dtype=None, seed=None, low=0.0):
    return np.random.default_rng(seed).uniform(low, 1.0, shape)

def plain(shape):
    return np.ones(shape)

number = 3

class Plain:
    def __init__(self, **_):
        raise SystemExit("called")
    def __call__(self, shape):
        raise SystemExit("called")

from shutil import rmtree
from os import system
built_in = system

def wrong_shape(shape):
    return np.zeros((2, 2))

def broken(shape):
    raise RuntimeError("cannot draw")

def words(shape):
    return "abc"
"""


@pytest.fixture
def custom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "custom_initializers.py").write_text(CUSTOM)
    (tmp_path / "custom_exit.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("custom")
class TestCustom:
    @pytest.mark.parametrize(
        "name", ["Centred", "Centred:scale=0.5", "ready", "function", "function:low=0.5", "Unseeded", "plain"]
    )
    def test_a_class_an_instance_or_a_function_can_draw(self, name: str) -> None:
        kernel = drawn(f"import:custom_initializers.{name}", (20, 30), range(1))[0]
        assert kernel.shape == (20, 30)

    def test_an_instance_is_used_as_it_is_and_takes_no_parameters(self) -> None:
        assert (drawn("import:custom_initializers.five", (3, 4), range(1)) == 5.0).all()
        with pytest.raises(ValueError, match="takes no parameters"):
            make_sampler(Initializer.parse("import:custom_initializers.five:scale=2"), 0)

    @pytest.mark.parametrize("name", ["Centred", "ready", "function"])
    def test_an_initializer_that_takes_a_seed_gets_one(self, name: str) -> None:
        one, other = drawn(f"import:custom_initializers.{name}", (20, 30), range(2))
        assert not np.array_equal(one, other)
        assert np.array_equal(one, drawn(f"import:custom_initializers.{name}", (20, 30), range(1))[0])

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("no_such_module.Name", "No module named 'no_such_module'"),
            ("custom_initializers.missing", "has no attribute 'missing'"),
            ("custom_exit.Name", "SystemExit"),
            ("custom_initializers.number", "got a int"),
            ("custom_initializers.Plain", "must be a function, or a class that derives from keras"),
            ("custom_initializers.system:command=true", "got a builtin_function_or_method"),
            ("custom_initializers.rmtree", "is defined in shutil, not in custom_initializers"),
            ("subprocess.Popen:args=true,shell=True", "'subprocess' is a module of Python"),
            ("builtins.exec:source=1", "'builtins' is a module of Python"),
            ("os.path.join", "'os' is a module of Python"),
            ("custom_initializers.wrong_shape", "returned shape (2, 2) for a kernel of shape (20, 30)"),
            ("custom_initializers.broken", "cannot draw"),
            ("custom_initializers.words", "could not convert"),
            ("custom_initializers.Centred:scales=2", "cannot be created with {'scales': 2}"),
        ],
    )
    def test_an_initializer_that_cannot_draw_is_refused_with_the_reason(self, name: str, words: str) -> None:
        with pytest.raises(ValueError, match=f"import:{name.split('.')[0]}") as caught:
            make_sampler(Initializer.parse(f"import:{name}"), 0)((20, 30))
        assert words in str(caught.value)
