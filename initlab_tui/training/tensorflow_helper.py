"""Answers questions that need TensorFlow or Keras, for processes that do not load them.

    python -m initlab_tui.training.tensorflow_helper ANSWER_FILE QUESTION [JSON]

The answer, or {"error": message}, is written to ANSWER_FILE as JSON, because native code writes to both output streams.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from initlab_tui.data import arrays
from initlab_tui.data.arrays import KEYS
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import device, network
from initlab_tui.training.compiled_trainer import probe_of
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.initializers import importing_from
from initlab_tui.training.loop import sample

NETWORK_TIMEOUT = 30.0


def fetch(name: str, into: str) -> dict[str, Any]:
    """Load a dataset through Keras, from its cache or by downloading, and save it as an npz file at `into`."""
    socket.setdefaulttimeout(NETWORK_TIMEOUT)
    (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    path = Path(into)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(file, **dict(zip(KEYS, (x_train, y_train, x_test, y_test), strict=True)))
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return {"file": into}


def draw(specs: list[str], shape: list[int], classes: int, import_folder: str) -> dict[str, Any]:
    """Draw every kernel of the specs' networks once, to check that custom initializers work."""
    with importing_from(import_folder):
        for spec in map(RunSpec.from_json, specs):
            network.initialize(network.build(spec, shape, classes), spec.initializer, spec.seed)
    return {}


def inspect(specs: list[str], data_file: str | None, import_folder: str) -> dict[str, Any]:
    """Measure the layers of the specs' networks before training."""
    read = [RunSpec.from_json(spec) for spec in specs]
    data = DeviceDataset(arrays.load(read[0].dataset, Path(data_file) if data_file else None))
    built = network.build(read[0], data.shape, data.classes)
    probe = probe_of(built, data)
    measurements = []
    with importing_from(import_folder):
        for spec in read:
            network.initialize(built, spec.initializer, spec.seed, data.pixels(sample(spec, data)))
            measurements.append(probe.measure().document())
    return {"measurements": measurements}


def devices() -> dict[str, Any]:
    """Return the versions, the devices that TensorFlow sees, and whether XLA compiles on each."""
    return {
        "versions": device.versions(),
        "built_with_cuda": tf.test.is_built_with_cuda(),
        "devices": [
            {"device": logical.name, "name": device.name(), **_xla(logical.name)}
            for logical in tf.config.list_logical_devices()
            if logical.device_type in ("CPU", "GPU")
        ],
    }


def _xla(where: str) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        with tf.device(where):
            product = tf.function(lambda a: tf.reduce_sum(tf.matmul(a, a)), jit_compile=True)
            total = float(product(tf.ones([8, 8])))
    except tf.errors.OpError as error:
        return {"xla": False, "xla_error": str(error).strip().splitlines()[0][:300]}
    return {"xla": total == 512.0, "xla_seconds": time.perf_counter() - started}


QUESTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {
    "fetch": fetch,
    "draw": draw,
    "inspect": inspect,
    "devices": devices,
}


def main(arguments: list[str]) -> None:
    """Answer one question and write the answer to its file."""
    answer, question, parameters = arguments[0], arguments[1], json.loads((arguments[2:] or ["{}"])[0])
    device.override_keras_config()
    try:
        result = QUESTIONS[question](**parameters)
    # The caller decides what an error means. Keras's downloader raises plain Exception.
    except Exception as error:
        result = {"error": str(error).strip() or type(error).__name__}
    Path(answer).write_text(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
