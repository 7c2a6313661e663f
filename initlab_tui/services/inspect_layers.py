"""Has TensorFlow measure some starts' layers, in a process of its own, before any training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.layers.diagnosis import LayerStatistics, Measurement, NetworkStatistics
from initlab_tui.domain.layers.inspection import Inspection, inspection
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.tensorflow_process import ask
from initlab_tui.services import preflight


def inspect(specs: Sequence[RunSpec], data_dir: Path | None, import_folder: Path) -> list[Inspection]:
    """The starts of `specs`, which share all but the initializer.

    Raises:
        InvalidInputError: when the data is not to be had, the network does not fit, or a start cannot be drawn.
    """
    # No step is taken: a batch larger than the data is no trouble here.
    specs = [spec.model_copy(update={"batch_size": 1}) for spec in specs]
    facts = preflight.check(specs, data_dir, import_folder).facts
    answer = ask(
        "inspect",
        {
            "specs": [spec.to_json() for spec in specs],
            "data_file": str(facts.file) if facts.file else None,
            "import_folder": str(import_folder),
        },
    )
    if "error" in answer:
        raise InvalidInputError.of("initializer", answer["error"])
    kernels = specs[0].layer_shapes(facts.shape, facts.classes)
    return [
        inspection(
            spec,
            kernels,
            Measurement(tuple(map(LayerStatistics._make, found["layers"])), NetworkStatistics._make(found["network"])),
        )
        for spec, found in zip(specs, answer["healths"], strict=True)
    ]
