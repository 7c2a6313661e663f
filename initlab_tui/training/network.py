"""Builds the network of a spec and initializes its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import data_dependent
from initlab_tui.training.initializers import layer_seed, make_sampler

MOMENTUM = 0.9


def build(spec: RunSpec, shape: Sequence[int], classes: int) -> keras.Model:
    """Build the dense network of `spec`, from float32 images of `shape` to logits of shape (batch, classes)."""
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
    """Build an optimizer with Keras's defaults; `momentum` and `nesterov` are SGD with momentum 0.9."""
    match name:
        case "momentum" | "nesterov":
            return keras.optimizers.SGD(momentum=MOMENTUM, nesterov=name == "nesterov")
        case _:
            return keras.optimizers.get(name)


def initialize(
    model: keras.Model, initializer: Initializer, seed: int, images: tf.Tensor | None = None
) -> dict[str, Any]:
    """Draw every kernel of `model`, each layer with its own seed, and set all other variables to zero.

    A data-dependent initializer is then fitted to `images`, float32 of shape (images, *shape). Returns what it did;
    an empty dict for the others.

    Raises:
        ValueError: if a custom initializer fails, or a data-dependent one gets no images.
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
    """Return the layers that have a kernel, from the first to the logits."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]


class LayerOutputs(NamedTuple):
    """The outputs of a layer for a batch, both of shape (images, units); for the logits they are equal."""

    preactivations: tf.Tensor
    activations: tf.Tensor


def pass_forward(layers: Sequence[keras.layers.Dense], images: tf.Tensor) -> list[LayerOutputs]:
    """Return the outputs of each dense layer for flat images of shape (images, inputs)."""
    outputs = []
    for layer in layers:
        preactivations = tf.matmul(images, layer.kernel) + layer.bias
        images = layer.activation(preactivations)
        outputs.append(LayerOutputs(preactivations, images))
    return outputs


def kernels(model: keras.Model) -> list[bool]:
    """Return for each trainable variable whether it is a kernel."""
    kernel_ids = {id(getattr(layer, "kernel", None)) for layer in model.layers}
    return [id(variable) in kernel_ids for variable in model.trainable_variables]


def weights(model: keras.Model) -> int:
    """Return the number of trainable weights and biases."""
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def architecture(spec: RunSpec, shape: Sequence[int], classes: int) -> tuple[Any, ...]:
    """Return everything that the compiled functions depend on; runs for which it is equal share a trainer."""
    return (
        *(tuple(shape), classes, spec.hidden, spec.activation),
        *(spec.optimizer, spec.batch_size, spec.l2, spec.execution),
    )
