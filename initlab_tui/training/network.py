"""The network that a spec describes, and how it gets its initial weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from initlab_tui.domain.spec import Initializer, RunSpec
from initlab_tui.training import data_dependent
from initlab_tui.training.initializers import layer_seed, make_sampler

MOMENTUM = 0.9


def build(spec: RunSpec, shape: Sequence[int], classes: int) -> keras.Model:
    """The dense network of `spec`: images of `shape`, float32, to logits of shape (batch, classes)."""
    *hidden, logits = spec.layer_shapes(shape, classes)
    return keras.Sequential(
        [
            keras.Input(tuple(shape)),
            keras.layers.Flatten(),
            *(keras.layers.Dense(kernel.fan_out, spec.activation, name=kernel.layer) for kernel in hidden),
            keras.layers.Dense(logits.fan_out, name=logits.layer),
        ]
    )


def build_optimizer(name: str) -> keras.optimizers.Optimizer:
    """The optimizer of that name with Keras's defaults; momentum and nesterov are SGD with momentum 0.9."""
    match name:
        case "momentum" | "nesterov":
            return keras.optimizers.SGD(momentum=MOMENTUM, nesterov=name == "nesterov")
        case _:
            return keras.optimizers.get(name)


def initialize(
    model: keras.Model, initializer: Initializer, seed: int, images: tf.Tensor | None = None
) -> dict[str, Any]:
    """Draw every kernel of `model` anew, each layer from a seed of its own, and set all else to zero.

    A data-dependent initializer is then fitted to `images`, of shape (images, *shape), float32; what it did is
    returned, and nothing for others.

    Raises:
        ValueError: when a person's own initializer fails, or one that is fitted to images gets none.
    """
    layers = [layer for layer in model.layers if layer.trainable_variables]
    for number, layer in enumerate(layers):
        kernel = getattr(layer, "kernel", None)
        for variable in layer.trainable_variables:
            shape = variable.shape
            draw = make_sampler(initializer, layer_seed(seed, number)) if variable is kernel else keras.ops.zeros
            variable.assign(draw(shape))
    return data_dependent.fit(model, initializer, images)


def dense_layers(model: keras.Model) -> list[keras.layers.Dense]:
    """The layers that have a kernel, from the first to the logits."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]


class LayerOutputs(NamedTuple):
    """What one layer makes of a batch, both of shape (images, units); of the logits they are the same."""

    preactivations: tf.Tensor
    activations: tf.Tensor


def pass_forward(layers: Sequence[keras.layers.Dense], images: tf.Tensor) -> list[LayerOutputs]:
    """Pass flat images, (images, inputs), through dense layers, keeping what the model itself does not give."""
    passed = []
    for layer in layers:
        before = tf.matmul(images, layer.kernel) + layer.bias
        images = layer.activation(before)
        passed.append(LayerOutputs(before, images))
    return passed


def kernels(model: keras.Model) -> list[bool]:
    """Which of the trainable variables are kernels."""
    own = {id(getattr(layer, "kernel", None)) for layer in model.layers}
    return [id(variable) in own for variable in model.trainable_variables]


def weights(model: keras.Model) -> int:
    """How many weights and biases are trained."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def architecture(spec: RunSpec, shape: Sequence[int], classes: int) -> tuple[Any, ...]:
    """What a compiled program depends on: runs with an equal one share it."""
    return (
        *(tuple(shape), classes, spec.hidden, spec.activation),
        *(spec.optimizer, spec.batch_size, spec.l2, spec.execution),
    )
