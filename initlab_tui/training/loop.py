"""The training loop: a generator of events that knows nothing of processes, files or screens."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Generator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from initlab_tui.domain.events import Checkpointed, Evaluated, Event, Finished, LayersMeasured, Started, Stepped
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import data_dependent, device, network
from initlab_tui.training.compiled_trainer import MAX_CHUNK, CompiledTrainer, CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset

CHUNK_SECONDS = 0.1
FIRST_CHUNK = 4
MEASUREMENTS = 20
MEASUREMENT_SHARE = 0.03  # of the training time for measuring layers, not counting the measurement at step 0
MEASUREMENT_SECONDS = 0.03  # always allowed, so that even a run of a tenth of a second is measured


def train(
    spec: RunSpec,
    data: DeviceDataset,
    programs: CompiledTrainerCache,
    *,
    resume: Checkpointed | None = None,
    wants_checkpoint: Callable[[int], bool] = lambda _: False,
) -> Generator[Event, None, None]:
    """Train the network of `spec` on `data`, from its initialization or from the checkpoint `resume`.

    Yields Started, then Stepped about ten times a second, Evaluated at step 0, after each epoch and every
    `eval_every` steps, LayersMeasured at step 0 and at about twenty later steps, and Finished at the end. Close the
    generator to stop. `wants_checkpoint` is called with the step, after everything that the step yields; if it returns
    True, Checkpointed follows. It is not called after the last step.

    On a CPU the same spec and number of threads give bit-identical weights in any process, whether resumed or not.

    Raises:
        ValueError: if a custom initializer fails, the training set is smaller than a batch, or the checkpoint is that
            of another network or optimizer.
    """
    if spec.batch_size > data.train_images:
        raise ValueError(f"batch_size must be <= {data.train_images}, the training images, got {spec.batch_size}")
    compiled = programs.get(spec, data)
    program = compiled.program
    per_epoch = data.train_images // spec.batch_size
    total = per_epoch * spec.epochs
    images = sample(spec, data) if spec.initializer.is_data_dependent else None
    initialization = program.reset(spec.initializer, spec.seed, spec.learning_rate, images)
    if resume:
        program.restore(resume.state)
    step = resume.step if resume else 0
    yield Started(
        step=step,
        total_steps=total,
        steps_per_epoch=per_epoch,
        weights=network.weights(program.network),
        device=device.name(),
        execution=program.execution,
        note=program.note,
        compile_seconds=compiled.seconds,
        fingerprint=data.fingerprint,
        versions=device.versions(),
        initialization=initialization,
        multiplications=program.network.graph.multiplications,
    )
    yield from _run(spec, data, program, step, per_epoch, total, wants_checkpoint)


def _run(
    spec: RunSpec,
    data: DeviceDataset,
    program: CompiledTrainer,
    step: int,
    per_epoch: int,
    total: int,
    wants_checkpoint: Callable[[int], bool],
) -> Generator[Event, None, None]:
    measurements, pace = MeasurementSchedule(step, total), _Pace()
    if step == 0:
        evaluated, measured = Evaluated(0, *program.evaluate(data)), _measure_layers(program, data, 0, None)
        yield evaluated
        yield measured
        if not math.isfinite(evaluated.loss):
            yield Finished("diverged", f"the loss on the test set was {evaluated.loss} before the first step")
            return
        measurements.cost = measured.seconds
    epoch, order = -1, tf.constant(0)
    while step < total:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = tf.constant(shuffled(spec.seed, epoch, data.train_images))
        until = measurements.steps_until_next(step, pace.seconds_per_step)
        # The step before a measurement is a chunk of its own, so that its update can be measured.
        before = program.probe(data).kernels() if until == 1 else None
        count = 1 if before else min(until - 1, pace.steps(spec.eval_every, step, per_epoch))
        stepped = _chunk(program, data, order, step, per_epoch, count)
        yield stepped
        step = stepped.last
        if before:
            measured = _measure_layers(program, data, step, before)
            measurements.record_cost(measured.seconds)
            yield measured
        else:
            pace.record(count, stepped.seconds)
        bad = first_not_finite(stepped.losses)
        if bad is not None:
            yield Evaluated(step, *program.evaluate(data))
            yield Finished("diverged", f"the loss became {stepped.losses[bad]} at step {stepped.step + bad}")
            return
        if step % per_epoch == 0 or (spec.eval_every and step % spec.eval_every == 0):
            evaluated = Evaluated(step, *program.evaluate(data))
            yield evaluated
            if not math.isfinite(evaluated.loss):
                yield Finished("diverged", f"the loss on the test set was {evaluated.loss} at step {step}")
                return
        if step < total and wants_checkpoint(step):
            yield Checkpointed(step, program.state())
    yield Finished("done")


def _chunk(
    program: CompiledTrainer, data: DeviceDataset, order: tf.Tensor, step: int, per_epoch: int, count: int
) -> Stepped:
    started = time.perf_counter()
    losses, accuracies = program.steps(data, order, step % per_epoch, count)
    seconds = time.perf_counter() - started
    samples = count * program.batch_size
    return Stepped(step + 1, tuple(losses.tolist()), tuple(accuracies.tolist()), seconds, samples)


def _measure_layers(
    program: CompiledTrainer, data: DeviceDataset, step: int, before: Sequence[tf.Tensor] | None
) -> LayersMeasured:
    started = time.perf_counter()
    measurement = program.probe(data).measure(before)
    return LayersMeasured(step, measurement, time.perf_counter() - started)


def schedule(total: int) -> list[int]:
    """Return the steps after which the layers are measured, spaced logarithmically: most changes happen early."""
    return sorted({round(total ** (number / (MEASUREMENTS - 1))) for number in range(MEASUREMENTS)})


def shuffled(seed: int, epoch: int, images: int) -> npt.NDArray[np.int32]:
    """Return the order in which an epoch visits the training images, the same for every initializer."""
    # RandomState's stream is frozen across NumPy versions, Generator's is not.
    return np.random.RandomState([seed, epoch]).permutation(images).astype(np.int32)


def sample(spec: RunSpec, data: DeviceDataset) -> tf.Tensor:
    """Return the stored images that a data-dependent initializer is fitted to: the first that the run trains on."""
    order = shuffled(spec.seed, 0, data.train_images)
    return tf.gather(data.x_train, order[: data_dependent.SAMPLE])


def first_not_finite(losses: tuple[float, ...]) -> int | None:
    """Return the index of the first loss that is NaN or infinite, or None."""
    return next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), None)


class MeasurementSchedule:
    """Decides when to measure the layers: as often as MEASUREMENT_SHARE of the training time allows, and at the end."""

    def __init__(self, step: int, total: int) -> None:
        self._due = [due for due in schedule(total) if due > step]
        self._total = total
        self._spent = 0.0
        self.cost = 0.01  # seconds that the last measurement took

    def steps_until_next(self, step: int, seconds_per_step: float | None) -> int:
        """Return the number of steps to the next measurement; those whose step has passed are dropped."""
        self._due = [due for due in self._due if due > step]
        if seconds_per_step is None or not self._due:
            return sys.maxsize
        allowance = max(MEASUREMENT_SECONDS, MEASUREMENT_SHARE * seconds_per_step * self._total)
        # The end is always measured, even if the earlier measurements took longer than estimated.
        self._due = spread(self._due, max(1, int((allowance - self._spent) / self.cost)))
        return self._due[0] - step

    def record_cost(self, seconds: float) -> None:
        self._spent, self.cost = self._spent + seconds, seconds


def spread(due: Sequence[int], count: int) -> list[int]:
    """Return `count` entries of `due`, or all if there are fewer, evenly spaced by position, the last included."""
    kept = max(0, min(count, len(due)))
    return [due[(number + 1) * len(due) // kept - 1] for number in range(kept)]


class _Pace:
    """Chooses the number of steps in a chunk so that it lasts about CHUNK_SECONDS."""

    def __init__(self) -> None:
        self._count = FIRST_CHUNK
        self.seconds_per_step: float | None = None

    def record(self, count: int, seconds: float) -> None:
        self.seconds_per_step = seconds / count
        self._count = max(1, min(MAX_CHUNK, round(count * CHUNK_SECONDS / max(seconds, 1e-6))))

    def steps(self, eval_every: int, step: int, per_epoch: int) -> int:
        """Return the length of the next chunk, which ends at the latest with the epoch or at the next evaluation."""
        until_evaluation = eval_every - step % eval_every if eval_every else self._count
        return min(self._count, per_epoch - step % per_epoch, until_evaluation)
