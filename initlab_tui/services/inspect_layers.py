"""Measures the layers of some initializers before training; TensorFlow runs in a separate process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.layers.inspection import Inspection, inspection
from initlab_tui.domain.layers.measurement import Measurement
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.tensorflow_process import ask
from initlab_tui.services import preflight


def inspect(specs: Sequence[RunSpec], data_dir: Path | None, import_folder: Path) -> list[Inspection]:
    """Measure the layers of `specs`, which differ only in the initializer, in a separate process.

    Raises:
        InvalidInputError: if the data is not available, the network does not fit, or an initializer fails.
    """
    # No step is taken, so a batch that is larger than the dataset is allowed.
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
    graph = specs[0].graph(facts.shape, facts.classes)
    return [
        inspection(spec, graph, Measurement.of_document(document))
        for spec, document in zip(specs, answer["measurements"], strict=True)
    ]
