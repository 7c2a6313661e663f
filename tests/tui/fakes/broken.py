"""Fails at start-up, as when TensorFlow cannot be imported."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.exit("\x1b[31mImportError: libtensorflow_framework.so.2: cannot open shared object file")
