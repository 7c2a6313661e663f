"""Decides when a run saves a checkpoint, saves it, and reads it when the run continues."""

from __future__ import annotations

import contextlib
import sys
import time

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.events import Checkpointed, Started
from initlab_tui.store import checkpoints, progress
from initlab_tui.store.checkpoints import Checkpoint
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.runs import Run

# Between checkpoints at the ends of epochs, which may last a tenth of a second. So little training is quickly repeated.
EPOCH_SECONDS = 5.0
COST_SHARE = 0.015  # of the training time, for saving checkpoints
# To estimate the cost of a worker's first checkpoint.
SAVE_SECONDS, SAVE_BYTES_PER_SECOND = 0.02, 200e6
ARRAYS_PER_WEIGHT = 3  # the weight and two moments of Adam
BYTES_PER_WEIGHT = 4


class CheckpointSchedule:
    """Says when a checkpoint is due: at the end of an epoch, or after `every` seconds (never if None).

    An epoch's end is skipped if the last checkpoint is less than EPOCH_SECONDS ago, and any checkpoint is delayed while
    saving would take more than COST_SHARE of the time since the last one. `cost` is the expected duration of saving.
    """

    def __init__(self, every: float | None, cost: float) -> None:
        self._every, self.cost = every, cost
        self._last = time.monotonic()

    def is_due(self, *, epoch_ended: bool) -> bool:
        if self._every is None:
            return False
        wanted = min(EPOCH_SECONDS, self._every) if epoch_ended else self._every
        return time.monotonic() - self._last >= max(wanted, self.cost / COST_SHARE)

    def record(self, seconds: float) -> None:
        """Record that a checkpoint was saved just now, or could not be saved, and how long that took."""
        self.cost, self._last = seconds, time.monotonic()


class SavingCost:
    """Estimates how long a worker takes to save a checkpoint, from the last one that it saved in any run."""

    def __init__(self) -> None:
        self._factor = 1.0

    def estimate(self, size: float) -> float:
        """Return the expected seconds for a checkpoint of `size` bytes."""
        return self._factor * _usual_seconds(size)

    def record(self, size: float, seconds: float) -> None:
        """Record how long it took to save a checkpoint of `size` bytes."""
        self._factor = seconds / _usual_seconds(size)


def _usual_seconds(size: float) -> float:
    return SAVE_SECONDS + size / SAVE_BYTES_PER_SECOND


class CheckpointSaver:
    """The checkpoints of one run while it trains; the worker's runs share `cost`."""

    def __init__(self, store: Store, run: Run, cost: SavingCost) -> None:
        self._store, self._run, self._cost = store, run, cost
        self._schedule = CheckpointSchedule(run.checkpoint_every, 0.0)
        self._size = 0.0
        self._per_epoch = 1
        self._begun = 0.0
        self._failed = False

    def read(self) -> tuple[Checkpoint | None, str]:
        """Return the checkpoint to continue from, None to train from step 0, and a note if one could not be used.

        What could not be used is removed, because it would take the place of an intact one.
        """
        if self._run.total_steps is None:
            # The run never began, so a file of this name is that of a run in a removed store.
            self._store.files.remove_checkpoints(self._run.id)
            return None, ""
        found = checkpoints.read(self._store, self._run)
        if not found.refused:
            return found.checkpoint, ""
        instead = f"continues from step {found.checkpoint.at.step}" if found.checkpoint else "starts again from step 0"
        note = f"{'; '.join(found.refused.values())}: {instead}"
        print(note, file=sys.stderr)
        progress.note_checkpoint(self._store, self._run, note)
        for name in found.refused:
            self._store.files.remove(name)
        return found.checkpoint, note

    def start(self, event: Started) -> None:
        """Start to measure the time until the first checkpoint."""
        self._size = event.weights * ARRAYS_PER_WEIGHT * BYTES_PER_WEIGHT
        self._schedule = CheckpointSchedule(self._run.checkpoint_every, self._cost.estimate(self._size))
        self._per_epoch = event.steps_per_epoch

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint should be saved after this step."""
        return self._schedule.is_due(epoch_ended=step % self._per_epoch == 0)

    def begin(self) -> None:
        """Note the time at which the state of the network is asked for, because copying it is part of the cost."""
        self._begun = time.monotonic()

    def save(self, event: Checkpointed) -> str:
        """Save a checkpoint, and return an empty text, or why it could not be saved.

        Everything until its step must have been recorded, and is on disk before the checkpoint, which would otherwise
        be ahead of the metrics after a power failure. The first failure is recorded as an event.

        Raises:
            LostRunError: if the run no longer belongs to this worker.
        """
        if not self._store.still_exists():
            return "the store was removed"
        problem = ""
        try:
            totals = progress.settle(self._store, self._run)
            checkpoints.write(self._store, self._run, event, totals)
            progress.record_checkpoint(self._store, self._run)
        except (OSError, InvalidInputError, StoreError) as error:
            # Training continues without it: the disk may have room again, or the store be free, at the next one.
            reason = error.strerror if isinstance(error, OSError) else None
            problem = f"no checkpoint at step {event.step}: {reason or error}"
            self._note_failure(problem)
        seconds = time.monotonic() - self._begun
        self._schedule.record(seconds)
        if not problem:
            self._failed = False
            self._cost.record(self._size, seconds)
        return problem

    def _note_failure(self, problem: str) -> None:
        """Record that a checkpoint could not be saved, unless the one before could not either."""
        print(problem, file=sys.stderr)
        if not self._failed:
            with contextlib.suppress(StoreError):
                progress.note_checkpoint(self._store, self._run, problem)
        self._failed = True


def version_note(run: Run, event: Started) -> str:
    """Return a note if a run continues with other versions than it had, because the results may then differ."""
    try:
        before = run.record.get("versions") if event.step else None
    except StoreError:  # the record is damaged, and is written again
        before = None
    if not isinstance(before, dict):
        return ""
    changed = [
        f"{name} {version} instead of {before[name]}"
        for name, version in event.versions.items()
        if name in before and before[name] != version
    ]
    return f"Resumed with {', '.join(changed)}: results may differ from an unbroken run." if changed else ""
