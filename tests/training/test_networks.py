"""Networks other than plain dense ones: built as their graph says, reset between runs, resumed and measured."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from initlab_tui.domain.events import Checkpointed, Evaluated, Event, Finished, LayersMeasured, Started, Stepped
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.layers.graph import Kind
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import network
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.layer_measurement import Probe
from initlab_tui.training.loop import train
from initlab_tui.training.network import BuiltNetwork

SMALL = [
    "mlp:16,norm=rms,norm_position=after",
    "mlp:16,norm=layer",
    "residual_mlp:blocks=2,width=16,norm=batch,branch_scale=0,scalar_biases=yes",
    "convnet:4,pool,8,dense16,norm=group",
    "convnet:4,norm=batch,head=average",
    "resnet:depth=8,width=4",
    "resnet:depth=8,width=4,order=pre,norm=none,branch_scale=1,scalar_biases=yes",
    "vit:width=8,depth=1,heads=2",
]


def built(text: str, digits: DeviceDataset, initializer: str = "he_normal") -> BuiltNetwork:
    made = network.build(RunSpec.checked(network=text), digits.shape, digits.classes)
    network.initialize(made, Initializer.parse(initializer), seed=0)
    return made


def spec(text: str, **fields: object) -> RunSpec:
    given = {"network": text, "batch_size": 64, "execution": "graph", "learning_rate": 0.01, **fields}
    return RunSpec.checked(**given)


def results(events: list[Event]) -> list[object]:
    """Return everything that a run has computed, without times."""
    return [
        value
        for event in events
        for value in (
            list(zip(event.losses, event.accuracies, strict=True))
            if isinstance(event, Stepped)
            else [(event.step, event.loss, event.accuracy)]
            if isinstance(event, Evaluated)
            else []
        )
    ]


@pytest.mark.parametrize("text", SMALL)
def test_the_model_has_the_shapes_and_weights_of_its_graph(text: str, digits: DeviceDataset) -> None:
    made = built(text, digits)
    outputs = made.outputs(digits.pixels(digits.x_train[:4]))
    for node in made.graph.nodes:
        assert outputs[node.name].shape == (4, *node.shape), node.name
    assert network.weights(made) == made.graph.weights
    for node, kernel in zip(made.graph.kernels, made.kernels, strict=True):
        assert tuple(kernel.shape) == node.kernel_shape


@pytest.mark.parametrize("text", SMALL)
def test_a_network_outputs_what_its_model_does(text: str, digits: DeviceDataset) -> None:
    made, images = built(text, digits), digits.pixels(digits.x_train[:16])
    logits = made.outputs(images)["logits"]
    assert np.array_equal(logits, made.model(images, training=True))


def test_a_second_run_in_the_same_program_repeats_the_first(
    digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    # The running averages of the batch normalization, its scales and shifts are reset.
    runs = [list(train(spec("convnet:4,norm=batch,head=average"), digits, programs)) for _ in range(2)]
    assert results(runs[0]) == results(runs[1])
    assert isinstance(runs[1][0], Started)
    assert runs[1][0].compile_seconds == 0


def test_what_is_not_a_kernel_starts_as_usual(digits: DeviceDataset) -> None:
    made = built("resnet:depth=8,width=4,scalar_biases=yes,branch_scale=1", digits)
    for variable in made.model.variables:
        variable.assign(tf.fill(variable.shape, 7.0))
    network.initialize(made, Initializer.parse("he_normal"), seed=0)
    kernels = {id(kernel) for kernel in made.kernels}
    for variable in made.model.variables:
        if id(variable) not in kernels:
            expected = 1.0 if variable.name in ("gamma", "moving_variance", "factor") else 0.0
            assert np.all(variable.numpy() == expected), variable.path
    assert all(np.abs(kernel.numpy()).max() < 7 for kernel in made.kernels)


def test_a_position_embedding_is_drawn_with_one_input(digits: DeviceDataset) -> None:
    made = built("vit:width=128,depth=1,patch=1", digits, "he_normal")
    (kernel,) = (
        kernel for node, kernel in zip(made.graph.kernels, made.kernels, strict=True) if node.kind is Kind.EMBEDDING
    )
    assert kernel.shape == (64, 128)
    assert kernel.numpy().std() == pytest.approx(np.sqrt(2), rel=0.05)  # Var = 2 / fan_in
    assert len(np.unique(kernel.numpy()[:, 0])) == 64


@pytest.mark.parametrize("text", ["convnet:4,norm=batch,head=average", "vit:width=8,depth=1,heads=2"])
def test_a_resumed_run_is_bit_identical(text: str, digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    unbroken = list(train(spec(text), digits, programs))
    assert isinstance(unbroken[-1], Finished)
    interrupted: list[Event] = []
    for event in train(spec(text), digits, programs, wants_checkpoint=lambda step: step >= 8):
        interrupted.append(event)
        if isinstance(event, Checkpointed):
            break
    assert isinstance(interrupted[-1], Checkpointed)
    resumed = list(train(spec(text), digits, programs, resume=interrupted[-1]))
    assert results(interrupted) + results(resumed) == results(unbroken)


def test_measuring_changes_nothing_that_training_uses(digits: DeviceDataset) -> None:
    made = built("convnet:4,norm=batch,head=average", digits)
    before = [variable.numpy() for variable in made.model.variables]
    Probe(made, digits.pixels(digits.x_train[:32]), digits.y_train[:32]).measure()
    assert all(np.array_equal(old, new.numpy()) for old, new in zip(before, made.model.variables, strict=True))


def test_the_statistics_of_a_convolution_are_over_all_positions(digits: DeviceDataset) -> None:
    made = built("convnet:6,pool,5", digits)
    layer = made.layers["conv_1"]
    layer.bias.assign([0.0, 0.0, -100.0, -100.0, 0.0, 0.0])  # two channels that are never on
    images = digits.pixels(digits.x_train[:32])
    measured = Probe(made, images, digits.y_train[:32]).measure().layers[0]
    preactivations = layer(tf.reshape(images, [-1, 8, 8, 1])).numpy().astype(np.float64)
    assert measured["preactivation_mean"] == pytest.approx(preactivations.mean(), rel=1e-4)
    assert measured["preactivation_std"] == pytest.approx(preactivations.std(), rel=1e-4)
    assert measured["activation_std"] == pytest.approx(np.maximum(preactivations, 0).std(), rel=1e-4)
    assert measured["dead_share"] == pytest.approx(2 / 6)


def test_a_network_of_each_kind_learns(digits: DeviceDataset, programs: CompiledTrainerCache) -> None:
    for text in ("convnet:8,16,pool,dense32", "vit:width=8,depth=1,heads=2"):
        events = list(train(spec(text, epochs=4), digits, programs))
        last = [event for event in events if isinstance(event, Evaluated)][-1]
        assert last.accuracy > 0.6, text
        assert any(isinstance(event, LayersMeasured) and event.step > 0 for event in events)
