"""A run that version 0.1.0 paused continues from its checkpoint to the result of an uninterrupted run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from initlab_tui.domain.events import Evaluated, Event, Finished, Started, Stepped
from initlab_tui.store import checkpoints, sql
from initlab_tui.store.checkpoints import Found
from initlab_tui.store.runs import find_run
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.loop import train
from tests.old_runs import open_unfinished


def losses(events: list[Event]) -> list[float]:
    """Return the training losses after step 660, and the test losses after it."""
    train_losses = {
        step: loss
        for event in events
        if isinstance(event, Stepped)
        for step, loss in enumerate(event.losses, event.step)
    }
    tests = [event.loss for event in events if isinstance(event, Evaluated) and event.step > 660]
    return [loss for step, loss in train_losses.items() if step > 660] + tests


def test_the_run_continues_to_the_result_of_an_uninterrupted_run(
    tmp_path: Path, digits: DeviceDataset, programs: CompiledTrainerCache
) -> None:
    store = open_unfinished(tmp_path)
    run = find_run(store, 1)
    assert run is not None and run.fingerprint == digits.fingerprint
    found = checkpoints.read(store, run)
    assert found.checkpoint is not None and found.refused == {}
    assert (found.checkpoint.at.step, found.checkpoint.totals) == (660, None)
    resumed = list(train(run.spec, digits, programs, resume=found.checkpoint.at))
    whole = list(train(run.spec, digits, programs))
    assert isinstance(resumed[0], Started) and resumed[0].step == 660
    assert resumed[-1] == whole[-1] == Finished("done")
    assert len(losses(resumed)) == 1100 + 25
    # Identical on the machine that wrote the checkpoint; elsewhere the first 660 steps differ in the last digits.
    np.testing.assert_allclose(losses(resumed), losses(whole), rtol=1e-3)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    store = open_unfinished(tmp_path)
    sql.connection(store).execute("UPDATE runs SET checkpoint_owner = 'somebody 0'")
    run = find_run(store, 1)
    assert run is not None
    refused = {"run-1.npz": "run-1.npz is the checkpoint of another run"}
    assert checkpoints.read(store, run) == Found(None, refused)
