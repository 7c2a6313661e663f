"""Turns an initializer of the catalogue, or a custom one, into a function that draws kernels."""

from __future__ import annotations

import contextlib
import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from initlab_tui.domain.catalog.initializers import kaiming_gain
from initlab_tui.domain.custom_code import top_module
from initlab_tui.domain.errors import shown
from initlab_tui.domain.initializer import IMPORT_PREFIX, Initializer

Draw = Callable[[Sequence[int]], Any]


@keras.saving.register_keras_serializable("initlab_tui")
class Sparse(keras.initializers.Initializer):  # type: ignore[misc]
    """Draws `connections` incoming weights of each unit from N(0, stddev²); the others are 0 (Martens 2010).

    Kernels have shape (..., units): all axes but the last are inputs.
    """

    def __init__(self, connections: int = 15, stddev: float = 1.0, seed: int | None = None) -> None:
        self.connections, self.stddev, self.seed = connections, stddev, seed

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        inputs, units = int(np.prod(shape[:-1])), shape[-1]
        generator = np.random.default_rng(self.seed)
        # The columns of the smallest random keys in a row are a uniform choice without replacement.
        chosen = generator.random((units, inputs)).argsort(axis=1)[:, : self.connections]
        kernel = np.zeros((units, inputs))
        np.put_along_axis(kernel, chosen, generator.normal(0.0, self.stddev, chosen.shape), axis=1)
        return keras.ops.convert_to_tensor(kernel.T.reshape(shape), dtype=dtype or keras.config.floatx())

    def get_config(self) -> dict[str, Any]:
        return {"connections": self.connections, "stddev": self.stddev, "seed": self.seed}


@dataclass(frozen=True)
class InCentre:
    """Draws the centre of a convolution's kernel as a matrix, and 0 elsewhere; a dense layer's kernel is all centre.

    With an orthogonal matrix this is algorithm 1 of Xiao et al. 2018, ICML; it needs at least as many outputs as inputs
    to keep all norms.
    """

    of_matrix: Callable[..., Any]

    def __call__(self, shape: Sequence[int], dtype: str) -> Any:
        *window, inputs, units = shape
        kernel = np.zeros(shape, dtype)
        kernel[tuple((size - 1) // 2 for size in window)] = np.asarray(self.of_matrix((inputs, units), dtype=dtype))
        return keras.ops.convert_to_tensor(kernel)


_KERAS_INITIALIZERS: dict[str, Callable[..., Any]] = {
    "zeros": lambda seed: keras.initializers.Zeros(),  # noqa: ARG005
    "ones": lambda seed: keras.initializers.Ones(),  # noqa: ARG005
    "constant": lambda seed, value: keras.initializers.Constant(value),  # noqa: ARG005
    "random_normal": keras.initializers.RandomNormal,
    "random_uniform": keras.initializers.RandomUniform,
    "truncated_normal": keras.initializers.TruncatedNormal,
    "glorot_normal": keras.initializers.GlorotNormal,
    "glorot_uniform": keras.initializers.GlorotUniform,
    "he_normal": keras.initializers.HeNormal,
    "he_uniform": keras.initializers.HeUniform,
    "he_fan_avg": lambda seed: keras.initializers.VarianceScaling(2.0, "fan_avg", "untruncated_normal", seed=seed),
    "lecun_normal": keras.initializers.LecunNormal,
    "lecun_uniform": keras.initializers.LecunUniform,
    "variance_scaling": keras.initializers.VarianceScaling,
    "orthogonal": keras.initializers.Orthogonal,
    "identity": lambda seed, gain: keras.initializers.Identity(gain),  # noqa: ARG005
    "torch_default": lambda seed: keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed),
    "sparse": Sparse,
    "kaiming": lambda seed, a, mode, nonlinearity, distribution: keras.initializers.VarianceScaling(
        kaiming_gain({"a": a, "nonlinearity": nonlinearity}) ** 2,
        mode,
        "untruncated_normal" if distribution == "normal" else "uniform",
        seed=seed,
    ),
    "transformer_normal": lambda seed, stddev: keras.initializers.RandomNormal(0.0, stddev, seed=seed),
    "delta_orthogonal": lambda seed, gain: InCentre(keras.initializers.Orthogonal(gain, seed=seed)),
    "dirac": lambda seed, gain: InCentre(keras.initializers.Identity(gain)),  # noqa: ARG005
    # Only the orthonormal draw: `data_dependent.py` uses the parameters afterwards.
    "lsuv": lambda seed, margin, iterations: keras.initializers.Orthogonal(seed=seed),  # noqa: ARG005
}


def layer_seed(seed: int, layer: int, *part: int) -> int:
    """Return the seed of a layer's draw: different for each layer (and part) of a run, the same in every process."""
    return int(np.random.SeedSequence([seed, layer, *part]).generate_state(1)[0] >> 1)


def make_sampler(initializer: Initializer, seed: int) -> Draw:
    """Return a function that draws a float32 kernel of a given shape.

    Raises:
        ValueError: if a custom initializer cannot be imported, is not one, or does not accept its parameters.
            The returned function raises it if the custom initializer does not return numbers of that shape.
    """
    parameters = dict(initializer.parameters)
    if not initializer.is_imported:
        made = _KERAS_INITIALIZERS[initializer.name](**parameters, seed=seed)
        return lambda shape: made(shape, dtype="float32")
    custom = _custom(initializer, parameters, seed)
    return lambda shape: _checked(initializer, custom, shape)


def _custom(initializer: Initializer, parameters: dict[str, Any], seed: int) -> Callable[[Sequence[int]], Any]:
    found = _imported(initializer)
    if isinstance(found, keras.initializers.Initializer):
        if parameters:
            raise ValueError(f"{shown(initializer)}: is an instance, which takes no parameters; name its class instead")
        made = copy.copy(found)
        if hasattr(made, "seed"):
            made.seed = seed
        return lambda shape: made(shape, **_with_dtype(_accepted(made)))
    is_class: bool = inspect.isclass(found)
    accepted = _accepted(found)
    seeded = {"seed": seed} if "seed" in accepted else {}
    if not is_class:
        # A function draws when it is called, so it gets its parameters and the seed together with the shape.
        return lambda shape: found(shape, **_with_dtype(accepted), **seeded, **parameters)
    try:
        made = found(**parameters, **seeded)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise ValueError(f"{shown(initializer)}: cannot be created with {parameters}: {what}") from error
    return lambda shape: made(shape, **_with_dtype(_accepted(made)))


def _imported(initializer: Initializer) -> Any:
    """Import a custom initializer, and check that it is one before anything of it is called."""
    top = top_module(initializer)
    module, _, attribute = initializer.name.removeprefix(IMPORT_PREFIX).rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    # Importing a module may raise anything, even SystemExit.
    except (Exception, SystemExit) as error:
        raise ValueError(f"{shown(initializer)}: cannot be imported: {type(error).__name__}: {error}") from error
    if not _is_initializer(found):
        raise ValueError(
            f"{shown(initializer)}: must be a function, or a class that derives from keras.initializers.Initializer, "
            f"got {_described(found)}"
        )
    # A module also has what it imports, such as functions of Python itself.
    defined = found.__module__ or ""
    if inspect.isfunction(found) and defined.partition(".")[0] != top:
        raise ValueError(f"{shown(initializer)}: is defined in {defined or 'no module'}, not in {top}; name it there")
    return found


def _is_initializer(found: object) -> bool:
    if inspect.isclass(found):
        return issubclass(found, keras.initializers.Initializer)
    return inspect.isfunction(found) or isinstance(found, keras.initializers.Initializer)


def _described(found: object) -> str:
    return f"the class {found.__name__}" if inspect.isclass(found) else f"a {type(found).__name__}"


@contextlib.contextmanager
def importing_from(folder: str) -> Iterator[None]:
    """Allow custom modules to be imported from `folder`, and remove them from `sys.modules` afterwards.

    Another folder may have a module of the same name, and the user may edit a module between two imports.
    """
    before = set(sys.modules)
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            top = sys.modules.get(name.partition(".")[0])
            file = Path(getattr(top, "__file__", None) or "/no/such/file")
            if Path(folder) in (file.parent, file.parent.parent):
                del sys.modules[name]


def _accepted(function: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return {"seed", "dtype"}
    return {parameter.name for parameter in parameters}


def _with_dtype(accepted: set[str]) -> dict[str, str]:
    return {"dtype": "float32"} if "dtype" in accepted else {}


def _checked(initializer: Initializer, draw: Callable[[Sequence[int]], Any], shape: Sequence[int]) -> Any:
    try:
        drawn = np.asarray(keras.ops.convert_to_numpy(draw(tuple(shape))), dtype=np.float32)
    except Exception as error:
        raise ValueError(
            f"{shown(initializer)}: cannot draw a kernel of shape {tuple(shape)}: {type(error).__name__}: {error}"
        ) from error
    if drawn.shape != tuple(shape):
        raise ValueError(f"{shown(initializer)}: returned shape {drawn.shape} for a kernel of shape {tuple(shape)}")
    return drawn
