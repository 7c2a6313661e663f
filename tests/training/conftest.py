"""The dataset and the compiled trainers that the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import pytest

from initlab_tui.data.arrays import load
from initlab_tui.training import compiled_trainer
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset


@pytest.fixture(scope="session")
def digits() -> DeviceDataset:
    return DeviceDataset(load("digits", None))


@pytest.fixture(scope="session")
def programs() -> Iterator[CompiledTrainerCache]:
    """Keeps every trainer, so that each architecture is compiled once for all tests."""
    with mock.patch.object(compiled_trainer, "KEPT_PROGRAMS", 1000):
        yield CompiledTrainerCache()
