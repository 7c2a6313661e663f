"""Runs the TensorFlow helper in a separate process, so that this process does not load TensorFlow and Keras."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def ask(
    question: str,
    parameters: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    progress: bool = False,
) -> dict[str, Any]:
    """Return the answer of `training.tensorflow_helper` to a question; if it failed, a dict with the key `error`.

    With `progress`, the output of Keras goes to stderr; otherwise nothing is written to the streams of this process.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer, log = Path(folder) / "answer.json", Path(folder) / "log"
        with log.open("wb") as output:
            code = subprocess.run(
                [
                    *(sys.executable, "-m", "initlab_tui.training.tensorflow_helper"),
                    *(str(answer), question, json.dumps(dict(parameters or {}))),
                ],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr if progress else output,
                stderr=output,
                env={
                    "TF_CPP_MIN_LOG_LEVEL": "2",
                    "KERAS_BACKEND": "tensorflow",
                    **(environment or os.environ),
                },
                cwd="/",
            ).returncode
        if code == 0 and answer.is_file():
            loaded: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            return loaded
        last_line = log.read_text(errors="replace").strip().splitlines()[-1:]
        return {"error": f"the TensorFlow process ended with exit code {code}: {' '.join(last_line)}"}
