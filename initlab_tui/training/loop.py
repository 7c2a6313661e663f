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
from initlab_tui.training.compiled_trainer import MAX_CHUNK, CompiledTrainer, CompiledTrainerCache, DeviceDataset

CHUNK_SECONDS = 0.1
FIRST_CHUNK = 4
CHECKUPS = 20
CHECKUP_SHARE = 0.03  # of the training time that they may take, that at step 0 left out
CHECKUP_SECONDS = 0.03  # that they may take in any case: a run of a tenth of a second is worth some too


def train(
    spec: RunSpec,
    data: DeviceDataset,
    programs: CompiledTrainerCache,
    *,
    resume: Checkpointed | None = None,
    wants_checkpoint: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Train the network of `spec` on `data`, from its start or from the checkpoint `resume`.

    Yields Started, then Stepped about ten times a second, Evaluated at step 0, after each epoch and every
    `eval_every` steps, LayersMeasured at step 0 and at about twenty steps more, and Finished at last. Close the
    generator to stop. `wants_checkpoint` is asked after each Stepped; where it is true, Checkpointed follows.

    On a CPU the same spec and number of threads give the same weights bit for bit, in any process, whether
    resumed or not.

    Raises:
        ValueError: when a person's own initializer fails, or there is less data than a batch.
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
        weights=network.weights(program.model),
        device=device.name(),
        execution=program.execution,
        note=program.note,
        compile_seconds=compiled.seconds,
        fingerprint=data.fingerprint,
        versions=device.versions(),
        initialization=initialization,
    )
    yield from _run(spec, data, program, step, per_epoch, total, wants_checkpoint)


def _run(
    spec: RunSpec,
    data: DeviceDataset,
    program: CompiledTrainer,
    step: int,
    per_epoch: int,
    total: int,
    wants_checkpoint: Callable[[], bool],
) -> Generator[Event, None, None]:
    checkups, pace = Checkups(step, total), _Pace()
    if step == 0:
        evaluated, measured = Evaluated(0, *program.evaluate(data)), _checkup(program, data, 0, None)
        yield evaluated
        yield measured
        if not math.isfinite(evaluated.loss):
            yield Finished("diverged", f"the loss on the test set was {evaluated.loss} before the first step")
            return
        checkups.cost = measured.seconds
    epoch, order = -1, tf.constant(0)
    while step < total:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = tf.constant(shuffled(spec.seed, epoch, data.train_images))
        until = checkups.steps_until_next(step, pace.seconds_per_step)
        # The step after which the layers are measured is taken alone, so that its update is known.
        before = program.probe(data).kernels() if until == 1 else None
        count = 1 if before else min(until - 1, pace.steps(spec.eval_every, step, per_epoch))
        stepped = _chunk(program, data, order, step, per_epoch, count)
        yield stepped
        step = stepped.last
        if before:
            measured = _checkup(program, data, step, before)
            checkups.took(measured.seconds)
            yield measured
        else:
            pace.measured(count, stepped.seconds)
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
        if step < total and wants_checkpoint():
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


def _checkup(
    program: CompiledTrainer, data: DeviceDataset, step: int, before: Sequence[tf.Tensor] | None
) -> LayersMeasured:
    started = time.perf_counter()
    measurement = program.probe(data).measure(before)
    return LayersMeasured(step, measurement, time.perf_counter() - started)


def schedule(total: int) -> list[int]:
    """The steps after which the layers are measured besides step 0: logarithmic, as most happens early."""
    return sorted({round(total ** (number / (CHECKUPS - 1))) for number in range(CHECKUPS)})


def shuffled(seed: int, epoch: int, images: int) -> npt.NDArray[np.int32]:
    """The order in which an epoch visits the training images: the same for every initializer."""
    # RandomState's stream is frozen across NumPy versions, Generator's is not.
    return np.random.RandomState([seed, epoch]).permutation(images).astype(np.int32)


def sample(spec: RunSpec, data: DeviceDataset) -> tf.Tensor:
    """The images that a data-dependent initializer is fitted to, as they are stored: the first of the run's own."""
    order = shuffled(spec.seed, 0, data.train_images)
    return tf.gather(data.x_train, order[: data_dependent.SAMPLE])


def first_not_finite(losses: tuple[float, ...]) -> int | None:
    """Index of the first loss that is NaN or infinite."""
    return next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), None)


class Checkups:
    """When the layers are measured: as often as CHECKUP_SHARE of the training's time allows, and at its end."""

    def __init__(self, step: int, total: int) -> None:
        self._due = [due for due in schedule(total) if due > step]
        self._total = total
        self._spent = 0.0
        self.cost = 0.01  # seconds that one takes, as the last did

    def steps_until_next(self, step: int, seconds_per_step: float | None) -> int:
        """How many steps to the next one; what was passed by is left out."""
        self._due = [due for due in self._due if due > step]
        if seconds_per_step is None or not self._due:
            return sys.maxsize
        allowance = max(CHECKUP_SECONDS, CHECKUP_SHARE * seconds_per_step * self._total)
        # The end is measured in any case, also where the earlier ones took longer than was thought.
        self._due = spread(self._due, max(1, int((allowance - self._spent) / self.cost)))
        return self._due[0] - step

    def took(self, seconds: float) -> None:
        self._spent, self.cost = self._spent + seconds, seconds


def spread(due: Sequence[int], count: int) -> list[int]:
    """`count` of `due`, or all where they are fewer: evenly by place, the last among them."""
    kept = max(0, min(count, len(due)))
    return [due[(number + 1) * len(due) // kept - 1] for number in range(kept)]


class _Pace:
    """How many steps to take at once so that a chunk lasts about CHUNK_SECONDS."""

    def __init__(self) -> None:
        self._count = FIRST_CHUNK
        self.seconds_per_step: float | None = None

    def measured(self, count: int, seconds: float) -> None:
        self.seconds_per_step = seconds / count
        self._count = max(1, min(MAX_CHUNK, round(count * CHUNK_SECONDS / max(seconds, 1e-6))))

    def steps(self, eval_every: int, step: int, per_epoch: int) -> int:
        """The next chunk's length: never past the end of the epoch or the next evaluation."""
        until_evaluation = eval_every - step % eval_every if eval_every else self._count
        return min(self._count, per_epoch - step % per_epoch, until_evaluation)
