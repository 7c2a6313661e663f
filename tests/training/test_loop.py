from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from initlab_tui.data.arrays import load
from initlab_tui.domain.catalog.choices import ACTIVATIONS, OPTIMIZERS
from initlab_tui.domain.events import Checkpointed, Evaluated, Event, Finished, LayersMeasured, Started, Stepped
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import loop
from initlab_tui.training.compiled_trainer import CompiledTrainer, CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.loop import (
    MEASUREMENT_SECONDS,
    MEASUREMENT_SHARE,
    MeasurementSchedule,
    schedule,
    shuffled,
    spread,
    train,
)


def spec(**fields: object) -> RunSpec:
    return RunSpec.checked(**{"hidden": "16,16", "batch_size": 32, "initializer": "he_normal", **fields})


def losses(events: list[Event]) -> list[float]:
    return [loss for event in events if isinstance(event, Stepped) for loss in event.losses]


def weights_of(programs: CompiledTrainerCache, chosen: RunSpec, data: DeviceDataset) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in programs.get(chosen, data).program.state().items()}


def evaluated(events: list[Event]) -> list[Evaluated]:
    return [event for event in events if isinstance(event, Evaluated)]


def test_a_run_yields_its_events_in_order(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    events = list(train(spec(epochs=3, learning_rate=0.003), digits, programs))
    started, finished = events[0], events[-1]
    per_epoch = 1437 // 32
    assert isinstance(started, Started)
    assert (started.step, started.total_steps, started.steps_per_epoch) == (0, 3 * per_epoch, per_epoch)
    assert started.weights == 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10
    assert [one.step for one in evaluated(events)] == [0, per_epoch, 2 * per_epoch, 3 * per_epoch]
    steps = [event for event in events if isinstance(event, Stepped)]
    assert list(itertools.chain.from_iterable(range(one.step, one.last + 1) for one in steps)) == list(
        range(1, 3 * per_epoch + 1)
    )
    assert finished == Finished("done")
    # The network learns.
    assert evaluated(events)[0].accuracy < 0.3 < 0.7 < evaluated(events)[-1].accuracy


def test_eval_every_adds_evaluations_within_an_epoch(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    events = list(train(spec(eval_every=20), digits, programs))
    assert [one.step for one in evaluated(events)] == [0, 20, 40, 44]


def test_the_initial_loss_of_zero_weights_is_that_of_guessing(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    # Zero logits make every class equally likely: the loss is ln 10, the prediction the first class.
    first = evaluated(list(train(spec(initializer="zeros"), digits, programs)))[0]
    assert first.loss == pytest.approx(math.log(10), abs=1e-5)
    assert first.accuracy == pytest.approx(float(np.mean(load("digits", None).y_test == 0)))


def test_an_sgd_step_matches_plain_gradient_descent_in_numpy(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    """Compare one step of a network without hidden layers."""
    data = load("digits", None)
    chosen = spec(hidden="none", optimizer="sgd", learning_rate=0.5, initializer="zeros", batch_size=1437)
    list(train(chosen, digits, programs))
    state = programs.get(chosen, digits).program.state()
    kernel, bias = (np.asarray(state[f"model/logits/{name}"], np.float64) for name in ("kernel", "bias"))
    pixels = data.x_train.reshape(1437, 64).astype(np.float64) / 16
    labels = np.eye(10)[data.y_train]
    gradient = pixels.T @ (0.1 - labels) / 1437
    np.testing.assert_allclose(kernel, -0.5 * gradient, atol=1e-6)
    np.testing.assert_allclose(bias, -0.5 * (0.1 - labels).mean(0), atol=1e-6)


def test_l2_decays_kernels_but_not_biases_and_is_not_part_of_the_loss(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    plain = spec(optimizer="sgd", learning_rate=0.5, batch_size=1437)
    shrunk = plain.model_copy(update={"l2": 0.01})

    def weights(chosen: RunSpec) -> list[npt.NDArray[np.float64]]:
        state = programs.get(chosen, digits).program.state()
        return [np.asarray(array, np.float64) for name, array in state.items() if name.startswith("model/")]

    curve = losses(list(train(plain, digits, programs)))
    after = weights(plain)
    programs.get(plain, digits).program.reset(plain.initializer, plain.seed, plain.learning_rate)
    before = weights(plain)
    assert losses(list(train(shrunk, digits, programs))) == curve
    for initial, without, decayed in zip(before, after, weights(shrunk), strict=True):
        expected = without - 0.5 * 0.01 * initial if without.ndim == 2 else without
        np.testing.assert_allclose(decayed, expected, atol=1e-6)


@pytest.mark.parametrize("hidden", ["16,16", "none"])
def test_xla_graph_and_eager_give_the_same_losses(
    digits: DeviceDataset, programs: CompiledTrainerCache, hidden: str
) -> None:
    curves = [
        losses(list(train(spec(execution=execution, hidden=hidden), digits, programs)))
        for execution in ("xla", "graph", "eager")
    ]
    np.testing.assert_allclose(curves[1], curves[0], rtol=1e-3)
    np.testing.assert_allclose(curves[2], curves[0], rtol=1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_and_keeps_no_state_between_runs(
    digits: DeviceDataset, programs: CompiledTrainerCache, optimizer: str
) -> None:
    rate = {"sgd": 0.3, "momentum": 0.05, "nesterov": 0.05, "adagrad": 0.05}.get(optimizer, 0.003)
    chosen = spec(optimizer=optimizer, learning_rate=rate)
    first = losses(list(train(chosen, digits, programs)))
    assert np.mean(first[-5:]) < 0.7 * first[0]
    # The compiled program is shared, its state is not: a run in between changes nothing.
    list(train(chosen.model_copy(update={"seed": 5, "learning_rate": 1.0}), digits, programs))
    assert losses(list(train(chosen, digits, programs))) == first


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_trains(digits: DeviceDataset, programs: CompiledTrainerCache, activation: str) -> None:
    curve = losses(list(train(spec(activation=activation, epochs=2, learning_rate=0.01), digits, programs)))
    assert np.mean(curve[-5:]) < 0.8 * curve[0]


def test_an_architecture_is_compiled_once(digits: DeviceDataset) -> None:
    fresh = CompiledTrainerCache()
    seconds = []
    for change in ({}, {"seed": 3}, {"initializer": "orthogonal"}, {"learning_rate": 0.1}, {"activation": "tanh"}):
        started = next(iter(train(spec(**change), digits, fresh)))
        assert isinstance(started, Started)
        seconds.append(started.compile_seconds)
    assert [bool(taken) for taken in seconds] == [True, False, False, False, True]


CHUNKS_OF_MANY_LENGTHS = """
import tensorflow as tf
from initlab_tui.data.arrays import load
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training.loop import shuffled
from initlab_tui.training.compiled_trainer import CompiledTrainer
from initlab_tui.training.device_dataset import DeviceDataset
data = DeviceDataset(load("digits", None))
program = CompiledTrainer(RunSpec(), data)
order = tf.constant(shuffled(0, 0, data.train_images))
for first, count in ((0, 1), (1, 7), (3, 8), (0, 11)):
    program.steps(data, order, first, count)
"""


def test_chunks_of_any_length_are_compiled_once(tmp_path: Path) -> None:
    # XLA silently treats some sizes as compile-time constants; its dump shows what it compiled.
    flags = {"XLA_FLAGS": f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"}
    subprocess.run([sys.executable, "-c", CHUNKS_OF_MANY_LENGTHS], check=True, env={**os.environ, **flags})
    compiled = [path.name for path in tmp_path.iterdir() if path.name.endswith("before_optimizations.txt")]
    assert len([name for name in compiled if "_chunk_body" in name]) == 1, compiled


def test_data_order_depends_on_the_seed_alone() -> None:
    assert np.array_equal(shuffled(1, 2, 100), shuffled(1, 2, 100))
    assert sorted(shuffled(1, 2, 100)) == list(range(100))
    assert not np.array_equal(shuffled(1, 2, 100), shuffled(1, 3, 100))
    assert not np.array_equal(shuffled(1, 2, 100), shuffled(2, 2, 100))


def test_a_diverging_run_ends_with_that_outcome_and_the_step(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    chosen = spec(optimizer="sgd", learning_rate=1e4, hidden="16x4", activation="linear")
    events = list(train(chosen, digits, programs))
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.outcome == "diverged"
    curve = losses(events)
    bad = next(index for index, loss in enumerate(curve, 1) if not math.isfinite(loss))
    assert f"at step {bad}" in finished.reason
    assert len(curve) < 44 or bad == 44
    assert isinstance(events[-2], Evaluated) and events[-2].step == len(curve)


def test_an_infinite_initial_loss_diverges_before_the_first_step(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    events = list(train(spec(initializer="constant:value=1000000", hidden="64x10"), digits, programs))
    assert [type(event) for event in events] == [Started, Evaluated, LayersMeasured, Finished]
    assert isinstance(events[-1], Finished)
    assert "before the first step" in events[-1].reason


def test_layers_are_measured_at_step_0_and_throughout_a_long_run(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    chosen = spec(epochs=120)
    events = list(train(chosen, digits, programs))
    measured = [event for event in events if isinstance(event, LayersMeasured)]
    assert measured[0].step == 0
    assert {event.step for event in measured[1:]} < set(schedule(120 * 44))
    assert measured[-1].step == 120 * 44
    assert measured[0].measurement.layers[0]["update_ratio"] is None
    assert all(0 < (layer["update_ratio"] or 0) < 1 for event in measured[1:] for layer in event.measurement.layers)


@pytest.mark.parametrize(("seconds_per_step", "cost"), [(1e-4, 0.009), (1e-3, 0.02), (0.1, 0.06), (1e-4, 1.0)])
def test_measuring_takes_no_more_than_its_share_of_the_training(seconds_per_step: float, cost: float) -> None:
    step, total, spent = 4, 20_000, 0.0
    measurements = MeasurementSchedule(step, total)
    measurements.cost = cost
    while (until := measurements.steps_until_next(step, seconds_per_step)) <= total - step:
        step, spent = step + until, spent + cost
        measurements.record_cost(cost)
    assert spent <= max(MEASUREMENT_SECONDS, MEASUREMENT_SHARE * seconds_per_step * total) or spent == cost
    assert step == total


def test_affordable_measurements_are_spread_over_the_run_and_include_its_end() -> None:
    due = schedule(10_000)
    assert (len(due), due[0], due[-1]) == (20, 1, 10_000)
    assert spread(due, 100) == spread(due, 20) == due
    assert spread(due, 1) == [10_000]
    assert spread(due, 4) == [due[4], due[9], due[14], due[19]]
    assert spread(due, 0) == spread(due, -1) == []


def test_measuring_layers_does_not_change_the_trained_weights(
    digits: DeviceDataset, programs: CompiledTrainerCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = spec(epochs=4)
    states = []
    for seconds in (0.0, 1000.0):
        monkeypatch.setattr(loop, "MEASUREMENT_SHARE", 0.0)
        monkeypatch.setattr(loop, "MEASUREMENT_SECONDS", seconds)
        events = list(train(chosen, digits, programs))
        measured = [event.step for event in events if isinstance(event, LayersMeasured)]
        assert measured == [0, 4 * 44] if seconds == 0 else (len(measured) > 12 and measured[-1] == 4 * 44)
        states.append(weights_of(programs, chosen, digits))
    assert states[0] == states[1]


@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "adagrad"])
def test_resume_gives_identical_weights(digits: DeviceDataset, programs: CompiledTrainerCache, optimizer: str) -> None:
    chosen = spec(optimizer=optimizer, epochs=3)
    whole = list(train(chosen, digits, programs))
    expected = weights_of(programs, chosen, digits)

    first: list[Event] = []
    for event in train(chosen, digits, programs, wants_checkpoint=lambda step: step > 60):
        first.append(event)
        if isinstance(event, Checkpointed):
            break
    checkpoint = first[-1]
    assert isinstance(checkpoint, Checkpointed) and 44 < checkpoint.step < 132
    resumed = CompiledTrainerCache()
    second = list(train(chosen, digits, resumed, resume=checkpoint))
    assert losses(first) + losses(second) == losses(whole)
    assert evaluated(first) + evaluated(second) == evaluated(whole)
    assert weights_of(resumed, chosen, digits) == expected


def test_the_checkpoint_of_another_network_or_optimizer_is_refused(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    state = programs.get(spec(), digits).program.state()
    assert list(state)[:3] == ["model/dense_1/kernel", "model/dense_1/bias", "model/dense_2/kernel"]
    assert "optimizer/dense_1_kernel_momentum" in state
    with pytest.raises(
        ValueError, match="another network or optimizer, which differ in optimizer/dense_1_bias_momentum"
    ):
        programs.get(spec(optimizer="sgd"), digits).program.restore(state)
    with pytest.raises(ValueError, match="model/dense_1/kernel"):
        programs.get(spec(hidden="16,8"), digits).program.restore(dict(state) | {"model/dense_1/kernel": np.zeros(2)})


TRAIN_AND_HASH = """
import hashlib, sys
from initlab_tui.training import device
device.configure(2)
from initlab_tui.data.arrays import load
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training.loop import train
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
data, programs = DeviceDataset(load("digits", None)), CompiledTrainerCache()
for written in sys.argv[1:]:
    spec = RunSpec.from_json(written)
    for event in train(spec, data, programs):
        pass
    digest = hashlib.sha256()
    for array in programs.get(spec, data).program.state().values():
        digest.update(array.tobytes())
    print("weights", digest.hexdigest())
"""
HASHED = [
    spec(execution=execution, initializer=initializer, hidden="256,256", epochs=2).to_json()
    for execution, initializer in (("xla", "he_normal"), ("graph", "lsuv"))
]


@pytest.fixture(scope="module")
def hashes() -> list[dict[str, str]]:
    """The hashes of the trained weights in two processes, which train the specs in opposite orders."""
    orders = [HASHED, HASHED[::-1]]
    processes = [
        subprocess.Popen([sys.executable, "-c", TRAIN_AND_HASH, *specs], stdout=subprocess.PIPE, text=True)
        for specs in orders
    ]
    printed = [re.findall(r"^weights (\w{64})$", process.communicate()[0], re.MULTILINE) for process in processes]
    return [dict(zip(specs, digests, strict=True)) for specs, digests in zip(orders, printed, strict=True)]


@pytest.mark.parametrize("chosen", HASHED, ids=["xla-he_normal", "graph-lsuv"])
def test_the_same_spec_gives_the_same_weights_in_any_process(hashes: list[dict[str, str]], chosen: str) -> None:
    assert hashes[0][chosen] == hashes[1][chosen]


class NotForXla(CompiledTrainer):
    """A trainer with an operation that XLA cannot compile, as on a device without the XLA libraries."""

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any]:
        return super()._step(tf.py_function(lambda same: same, [images], images.dtype), labels)

    def _pixels(self, images: tf.Tensor) -> tf.Tensor:
        return super()._pixels(tf.ensure_shape(images, [None, 8, 8]))


def test_a_run_that_xla_cannot_compile_uses_graph_execution_and_records_it(digits: DeviceDataset) -> None:
    program = NotForXla(spec(), digits)
    assert program.execution == "graph"
    assert "XLA does not compile here" in program.note
    program.reset(spec().initializer, 0, 0.001)
    steps, _ = program.steps(digits, tf.constant(shuffled(0, 0, 1437)), 0, 44)
    assert steps[-5:].mean() < steps[0]


def test_real_mnist_learns_as_measured(mnist_folder: Path, programs: CompiledTrainerCache) -> None:
    data = DeviceDataset(load("mnist", mnist_folder / "mnist.npz"))
    reached = {}
    for written in ("random_normal:stddev=1.0", "random_normal", "he_normal"):
        events = list(train(RunSpec.checked(dataset="mnist", initializer=written), data, programs))
        reached[written] = evaluated(events)[-1].accuracy
    assert 0.77 < reached["random_normal:stddev=1.0"] < 0.86
    # The standard deviation of Keras's RandomNormal() happens to be close to Xavier's on this network.
    assert abs(reached["random_normal"] - reached["he_normal"]) < 0.02
    assert min(reached["random_normal"], reached["he_normal"]) > 0.935
