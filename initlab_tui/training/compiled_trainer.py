"""A network and its optimizer, compiled into a training function and an evaluation function.

Both read the dataset from the device's memory.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import EVALUATION_BATCH, RunSpec
from initlab_tui.training import network
from initlab_tui.training.device_dataset import DeviceDataset, scaled
from initlab_tui.training.layer_measurement import Probe, probe_images
from initlab_tui.training.network import BuiltNetwork
from initlab_tui.training.xla_cache import XlaCache

if TYPE_CHECKING:
    from initlab_tui.domain.events import State

MAX_CHUNK = 1024
KEPT_PROGRAMS = 4


Floats = npt.NDArray[np.floating[Any]]


def is_unnamed(state: State) -> bool:
    """Return whether a state is that of a checkpoint of version 0.1.0, in the order of the variables, without names."""
    return all(name.startswith("arr_") for name in state)


def probe_of(network: BuiltNetwork, data: DeviceDataset) -> Probe:
    """Return a probe that measures the layers of a network on images spread evenly over the training set."""
    count = min(probe_images(network.graph), data.train_images)
    chosen = np.linspace(0, data.train_images - 1, count).astype(np.int32)
    images, labels = tf.gather(data.x_train, chosen), tf.gather(data.y_train, chosen)
    return Probe(network, data.pixels(images), labels)


class CompiledTrainer:
    """A network and an optimizer, compiled once for an architecture and reused by every run that shares it.

    `execution` is the mode in use. If XLA does not compile on this device it is `graph`, and `note` has the reason.
    `compile_seconds` is the time that building and compiling took.
    """

    def __init__(self, spec: RunSpec, data: DeviceDataset, cache: XlaCache | None = None) -> None:
        started = time.perf_counter()
        self.network = network.build(spec, data.shape, data.classes)
        self.model = self.network.model
        self.optimizer = network.build_optimizer(spec.optimizer)
        self.optimizer.build(self.model.trainable_variables)
        self._fresh_optimizer = [variable.numpy() for variable in self.optimizer.variables]
        self.batch_size, self._scale = spec.batch_size, data.pixel_scale
        self._probe: Probe | None = None
        self._l2, self._kernels = spec.l2, network.kernels(self.network)
        self.execution, self.note = _resolved(spec), ""
        self._compile(self.execution)
        try:
            self._warm_up(data, self._compiling(spec, data, cache))
        except tf.errors.OpError as error:
            if self.execution != "xla":
                raise
            self.execution, self.note = (
                "graph",
                f"XLA does not compile here, ran as graph: {_first_line(error)}",
            )
            self._compile("graph")
            self._warm_up(data, contextlib.nullcontext())
        self.compile_seconds = time.perf_counter() - started

    def reset(
        self, initializer: Initializer, seed: int, learning_rate: float, images: tf.Tensor | None = None
    ) -> dict[str, Any]:
        """Initialize the network with `initializer` and `seed`, and reset the optimizer.

        A data-dependent initializer is fitted to `images`, which are stored pixels. Returns what it did in each
        layer; an empty dict for the others.
        """
        pixels = None if images is None else self._pixels(images)
        fitted = network.initialize(self.network, initializer, seed, pixels)
        for variable, value in zip(self.optimizer.variables, self._fresh_optimizer, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate = learning_rate
        return fitted

    def probe(self, data: DeviceDataset) -> Probe:
        """Return the probe that measures this network's layers."""
        if self._probe is None:
            self._probe = probe_of(self.network, data)
        return self._probe

    def steps(self, data: DeviceDataset, order: tf.Tensor, first: int, count: int) -> tuple[Floats, Floats]:
        """Take `count` training steps (at most MAX_CHUNK), beginning with batch `first` of the epoch.

        Batch i holds the i-th `batch_size` indices of `order`. Returns each step's loss and accuracy on its batch,
        before the update.
        """
        losses, correct = self._chunk(data.x_train, data.y_train, order, tf.constant(first), tf.constant(count))
        return losses.numpy()[:count], correct.numpy()[:count] / self.batch_size

    def evaluate(self, data: DeviceDataset) -> tuple[float, float]:
        """Return mean loss and accuracy on the whole test set."""
        loss, correct = self._evaluate(data.x_test, data.y_test)
        return float(loss) / data.test_images, float(correct) / data.test_images

    def state(self) -> State:
        """Return everything that training changes, as arrays by name: weights, optimizer, and other state."""
        return {name: np.asarray(variable.numpy()) for name, variable in self._variables().items()}  # `numpy` copies

    def restore(self, state: State) -> None:
        """Restore a state that `state` returned, in this process or another one.

        Raises:
            ValueError: if its names or shapes are not those of this network and optimizer; nothing is restored.
        """
        variables = self._variables()
        if is_unnamed(state):
            state = dict(zip(variables, state.values(), strict=True))
        different = sorted(
            name
            for name in variables.keys() | state.keys()
            if name not in variables or name not in state or tuple(variables[name].shape) != state[name].shape
        )
        if different:
            shown = ", ".join(different[:5])
            raise ValueError(f"the checkpoint is that of another network or optimizer, which differ in {shown}")
        for name, variable in variables.items():
            variable.assign(state[name])

    def _variables(self) -> dict[str, Any]:
        """Return the variables by names that do not depend on what was built in this process before."""
        network, optimizer = self.model.name, self.optimizer.name
        named = {f"model/{each.path.removeprefix(f'{network}/')}": each for each in self.model.variables}
        for each in self.optimizer.variables:
            named[f"optimizer/{each.path.removeprefix(f'{optimizer}/').removeprefix(f'{network}_')}"] = each
        if len(named) != len(self.model.variables) + len(self.optimizer.variables):
            raise ValueError("two variables of the network or its optimizer have the same name")
        return named

    def _compile(self, execution: str) -> None:
        def wrap(function: Callable[..., Any]) -> Any:
            if execution == "eager":
                return function
            return tf.function(function, autograph=False, jit_compile=execution == "xla")

        self._chunk, self._evaluate = wrap(self._chunk_body), wrap(self._evaluate_body)

    def _compiling(self, spec: RunSpec, data: DeviceDataset, cache: XlaCache | None) -> AbstractContextManager[None]:
        if cache is None or self.execution != "xla":
            return contextlib.nullcontext()
        program = network.architecture(spec, data.shape, data.classes)
        return cache.compiling(f"{program} {data.fingerprint}", meanwhile=lambda: self.probe(data).measure())

    def _warm_up(self, data: DeviceDataset, compiling: AbstractContextManager[None]) -> None:
        if self.execution != "eager":
            self._trace(data)
        with compiling:
            self._call_once(data)
        self.probe(data).measure()

    def _trace(self, data: DeviceDataset) -> None:
        self._chunk.get_concrete_function(*_no_steps(data))
        self._evaluate.get_concrete_function(data.x_test, data.y_test)

    def _call_once(self, data: DeviceDataset) -> None:
        """Compile both functions by calling them; no step is taken."""
        self._chunk(*_no_steps(data))
        self._evaluate(data.x_test, data.y_test)

    def _pixels(self, images: tf.Tensor) -> tf.Tensor:
        return scaled(images, self._scale)

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Take one step as in the lecture: forward pass on a tape, cross entropy on logits, gradients, update.

        Returns the loss and the number of correct predictions, because counts are exact in float32.
        """
        variables = self.model.trainable_variables
        with tf.GradientTape() as tape:
            logits = self.model(self._pixels(images), training=True)
            loss = tf.reduce_mean(_cross_entropy(labels, logits))
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        self.optimizer.apply(self._decayed(gradients), variables)
        return loss, tf.reduce_sum(_correct(labels, logits))

    def _decayed(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Add the gradient of (l2 / 2) × the sum of the squared kernels, if there is an l2 penalty."""
        if not self._l2:
            return gradients
        triples = zip(gradients, self.model.trainable_variables, self._kernels, strict=True)
        return [gradient + self._l2 * each.value if is_kernel else gradient for gradient, each, is_kernel in triples]

    def _chunk_body(
        self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, first: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        # Not tf.range and tf.slice: XLA treats their bounds as compile-time constants and would compile again for
        # every chunk. An explicit loop needs no AutoGraph, and its conversion takes longer than the tracing itself.
        def step(taken: tf.Tensor, losses: tf.TensorArray, corrects: tf.TensorArray) -> tuple[Any, ...]:
            batch = tf.gather(order, (first + taken) * self.batch_size + tf.range(self.batch_size))
            loss, correct = self._step(tf.gather(images, batch), tf.gather(labels, batch))
            return taken + 1, losses.write(taken, loss), corrects.write(taken, correct)

        # A compiled program must work for chunks of any length; in eager mode, unused elements cost more than a step.
        size = int(count) if tf.executing_eagerly() else MAX_CHUNK
        per_step = [tf.TensorArray(tf.float32, size=size, element_shape=()) for _ in range(2)]
        _, losses, corrects = tf.while_loop(lambda taken, *_: taken < count, step, (tf.constant(0), *per_step))
        return losses.stack(), corrects.stack()

    def _evaluate_body(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        total = labels.shape[0]
        batch = min(EVALUATION_BATCH, total)

        def add_batch(first: tf.Tensor, loss: tf.Tensor, correct: tf.Tensor) -> tuple[tf.Tensor, ...]:
            # The last batch repeats the last image to keep its shape; the repeated images have no weight.
            indices = first + tf.range(batch)
            counts = tf.cast(indices < total, tf.float32)
            indices = tf.minimum(indices, total - 1)
            targets = tf.gather(labels, indices)
            logits = self.model(self._pixels(tf.gather(images, indices)), training=False)
            loss += tf.reduce_sum(tf.where(counts > 0, _cross_entropy(targets, logits), 0.0))
            correct += tf.reduce_sum(counts * _correct(targets, logits))
            return first + batch, loss, correct

        none_yet = (tf.constant(0), tf.constant(0.0), tf.constant(0.0))
        _, loss, correct = tf.while_loop(lambda first, *_: first < total, add_batch, none_yet)
        return loss, correct


def _resolved(spec: RunSpec) -> str:
    """Return how a spec is executed on this device."""
    if spec.execution != "auto":
        return spec.execution
    # Measured on CPUs: as a graph, whose convolutions are oneDNN's, convolutional networks train 1.3 to 1.7 times as
    # fast as with XLA.
    return "xla" if tf.config.list_logical_devices("GPU") else "graph"


def _no_steps(data: DeviceDataset) -> tuple[tf.Tensor, ...]:
    """Return the arguments of a chunk that trains no step."""
    order = tf.zeros([data.train_images], tf.int32)
    return data.x_train, data.y_train, order, tf.constant(0), tf.constant(0)


def _cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def _correct(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.equal(tf.argmax(logits, -1, output_type=tf.int32), labels), tf.float32)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


@dataclass(frozen=True)
class Compiled:
    """A compiled trainer for a run, and the seconds that compiling took: 0 if it was in the cache."""

    program: CompiledTrainer
    seconds: float


class CompiledTrainerCache:
    """The trainers compiled in this process; the least recently used are dropped first.

    `cache` stores the programs that XLA compiled on disk, for other processes.
    """

    def __init__(self, cache: XlaCache | None = None) -> None:
        self._cache = cache
        self._kept: dict[tuple[Any, ...], CompiledTrainer] = {}

    def get(self, spec: RunSpec, data: DeviceDataset) -> Compiled:
        # The shapes and dtypes of the data are compiled in too.
        key = (*network.architecture(spec, data.shape, data.classes), data.fingerprint)
        program = self._kept.pop(key, None)
        seconds = 0.0
        if program is None:
            program = CompiledTrainer(spec, data, self._cache)
            seconds = program.compile_seconds
        self._kept[key] = program
        while len(self._kept) > KEPT_PROGRAMS:
            del self._kept[next(iter(self._kept))]
        return Compiled(program, seconds)
