from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from initlab_tui.data.arrays import load
from initlab_tui.domain.catalog.choices import ACTIVATIONS
from initlab_tui.domain.events import Checkpointed, Evaluated, Event, Started, Stepped
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import network
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.data_dependent import SAMPLE
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.loop import shuffled, train


def spec(**fields: object) -> RunSpec:
    # Eager execution compiles nothing, and the fit does not depend on the execution mode.
    given = {"hidden": "32x10", "batch_size": 32, "initializer": "lsuv", "execution": "eager", **fields}
    return RunSpec.checked(**given)


def initialize(chosen: RunSpec, data: DeviceDataset, programs: CompiledTrainerCache) -> Mapping[str, Any]:
    """Start a run and return its record of the initialization."""
    event = next(iter(train(chosen, data, programs)))
    assert isinstance(event, Started)
    return event.initialization


def first_images(seed: int) -> np.ndarray[Any, Any]:
    """Return the run's first training images as the network receives them."""
    data = load("digits", None)
    return data.x_train[shuffled(seed, 0, 1437)[:SAMPLE]].astype(np.float64) / 16


def variances(chosen: RunSpec, kernels: Sequence[Any], images: np.ndarray[Any, Any]) -> list[float]:
    """Return the variance of each layer's pre-activations, computed in NumPy."""
    activation = keras.activations.get(chosen.activation)
    signal, found = images.reshape(len(images), -1), []
    for kernel in kernels:
        preactivations = signal @ kernel.numpy().astype(np.float64)
        found.append(float(preactivations.var()))
        signal = activation(tf.constant(preactivations)).numpy()
    assert len(found) == len(chosen.hidden) + 1
    return found


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_layers_preactivations_have_unit_variance_on_the_first_images(
    digits: DeviceDataset, programs: CompiledTrainerCache, activation: str
) -> None:
    chosen = spec(activation=activation, hidden="48,200,16", seed=3)
    record = initialize(chosen, digits, programs)
    kernels = programs.get(chosen, digits).program.network.kernels
    assert variances(chosen, kernels, first_images(3)) == pytest.approx([1.0] * 4, abs=1e-4)
    assert [layer["variance"] for layer in record["layers"]] == pytest.approx([1.0] * 4, abs=1e-4)


def test_the_fit_is_recorded_layer_by_layer(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    record = initialize(spec(hidden="32,32"), digits, programs)
    assert record["images"] == 512
    assert [layer["layer"] for layer in record["layers"]] == ["dense_1", "dense_2", "logits"]
    # With zero biases a layer's output is linear in its kernel, so one iteration is enough.
    assert {(layer["iterations"], layer["ended"]) for layer in record["layers"]} == {(1, "within the margin")}
    # Orthonormal kernels with ReLU pass on about half of the variance.
    assert all(0.1 < layer["variance_drawn"] < 0.98 for layer in record["layers"][1:])
    assert initialize(spec(initializer="he_normal", hidden="32,32"), digits, programs) == {}


def test_a_layer_within_the_margin_is_left_as_drawn(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    record = initialize(spec(initializer="lsuv:margin=0.5"), digits, programs)["layers"]
    within = [abs(layer["variance_drawn"] - 1) < 0.5 for layer in record]
    assert set(within) == {True, False}
    assert [layer["iterations"] == 0 for layer in record] == within
    assert [layer["variance"] == layer["variance_drawn"] for layer in record] == within


def test_a_layer_without_signal_is_left_as_drawn_and_recorded(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    # In a stack of single ReLUs, one soon has only negative inputs.
    chosen = spec(hidden="1x30")
    record = initialize(chosen, digits, programs)["layers"]
    dead = [layer for layer in record if layer["variance"] == 0]
    assert dead and all(layer["iterations"] == 0 for layer in dead)
    assert {layer["ended"] for layer in dead} == {"the variance is 0: this layer's output is the same for every image"}
    assert record[-1] in dead and record[0] not in dead
    weights = list(programs.get(chosen, digits).program.state().values())
    assert all(np.isfinite(array).all() for array in weights)


def test_a_variance_that_is_not_finite_is_recorded_and_left(digits: DeviceDataset) -> None:
    model = network.build(spec(hidden="8"), digits.shape, digits.classes)
    record = network.initialize(model, spec().initializer, 0, tf.fill([4, 8, 8], np.float32(np.inf)))
    assert [(layer["iterations"], layer["variance"]) for layer in record["layers"]] == [(0, None), (0, None)]
    assert {layer["ended"] for layer in record["layers"]} == {"the variance is not finite"}


def test_initializing_without_images_is_an_error(digits: DeviceDataset) -> None:
    model = network.build(spec(hidden="8"), digits.shape, digits.classes)
    with pytest.raises(ValueError, match="lsuv is fitted to training images but got none"):
        network.initialize(model, spec().initializer, 0)


def accuracy(events: Sequence[Event]) -> float:
    return [event for event in events if isinstance(event, Evaluated)][-1].accuracy


def test_a_deep_network_learns_with_lsuv_but_not_with_a_small_normal(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    deep = {"hidden": "64x20", "epochs": 5, "execution": "graph"}
    assert accuracy(list(train(spec(**deep), digits, programs))) > 0.8
    assert accuracy(list(train(spec(**deep, initializer="random_normal:stddev=0.05"), digits, programs))) < 0.3


def test_the_initial_weights_are_the_same_in_every_execution_mode(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    weights, curves = [], []
    for execution in ("xla", "graph", "eager"):
        chosen = spec(execution=execution, hidden="16,16")
        events = train(chosen, digits, programs)
        next(events)
        weights.append([array.tobytes() for array in programs.get(chosen, digits).program.state().values()])
        curves.append([loss for event in events if isinstance(event, Stepped) for loss in event.losses])
    assert weights[0] == weights[1] == weights[2]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)
    np.testing.assert_allclose(curves[2], curves[0], rtol=1e-3)


def test_the_fit_depends_on_the_seed(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    once, again, other = (initialize(spec(seed=seed), digits, programs) for seed in (1, 1, 2))
    assert once == again != other


def test_resume_gives_identical_weights(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    chosen = spec(hidden="16,16", epochs=3, execution="xla")
    whole = list(train(chosen, digits, programs))
    expected = [array.tobytes() for array in programs.get(chosen, digits).program.state().values()]
    events = train(chosen, digits, programs, wants_checkpoint=lambda step: True)
    checkpoint = next(event for event in events if isinstance(event, Checkpointed))
    events.close()
    fresh = CompiledTrainerCache()
    resumed = list(train(chosen, digits, fresh, resume=checkpoint))
    assert isinstance(whole[0], Started) and isinstance(resumed[0], Started)
    assert resumed[0].initialization == whole[0].initialization
    assert [array.tobytes() for array in fresh.get(chosen, digits).program.state().values()] == expected


def test_scaling_kernels_revives_no_dead_unit(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    """Scaling a kernel keeps the signs of pre-activations, so the same units are dead, as the glossary says."""
    dead = []
    for initializer in ("orthogonal", "lsuv"):
        chosen = spec(initializer=initializer, hidden="8x10")
        initialize(chosen, digits, programs)
        signal, kernels = first_images(0).reshape(SAMPLE, -1), programs.get(chosen, digits).program.network.kernels
        for kernel in kernels[:-1]:
            signal = np.maximum(signal @ kernel.numpy().astype(np.float64), 0.0)
        dead.append((signal > 0).tolist())
    assert dead[0] == dead[1]
    assert not all(any(column) for column in zip(*dead[0], strict=True))
