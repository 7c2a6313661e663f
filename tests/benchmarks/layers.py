"""The cost of measuring the layers, as a share of the training time.

    python -m tests.benchmarks.layers [--data-dir ../shared/data]

Measured as a share of the same run's time, so that a busy machine affects both. Step 0 is listed separately.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from initlab_tui.data import arrays
from initlab_tui.domain.events import LayersMeasured, Stepped
from initlab_tui.domain.fields import hidden_text
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.loop import train

RUNS = (("256,256", 1), ("256,256", 10), ("256,256", 40), ("100x30", 3), ("1000x5", 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    file = parser.parse_args().data_dir / "mnist.npz"
    data, programs = DeviceDataset(arrays.load("mnist", file)), CompiledTrainerCache()
    print("MNIST, relu      epochs  training  share measuring  number  each, median    at step 0")
    for hidden, epochs in RUNS:
        measure(RunSpec.checked(dataset="mnist", hidden=hidden, epochs=epochs, initializer="he_normal"), data, programs)


def measure(spec: RunSpec, data: DeviceDataset, programs: CompiledTrainerCache) -> None:
    """Train once and print the share of the measurements."""
    events = list(train(spec, data, programs))
    training = sum(event.seconds for event in events if isinstance(event, Stepped))
    first, *others = (event.seconds for event in events if isinstance(event, LayersMeasured))
    each = f"{1000 * statistics.median(others):.1f} ms" if others else "–"
    print(
        f"{hidden_text(spec.hidden):<15} {spec.epochs:>7} {training:>7.1f} s {sum(others) / training:>17.2%} "
        f"{len(others):>6} {each:>13} {1000 * first:>9.1f} ms"
    )


if __name__ == "__main__":
    main()
