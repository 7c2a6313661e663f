"""Speeds up the import of TensorFlow and Keras; this module itself does not import them."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quick_import() -> Iterator[None]:
    """Make imports of TensorFlow and Keras within the block faster.

    Garbage collection is disabled, because the imports create millions of lasting objects; this saves 0.6 s. Imports of
    scikit-learn fail, because Keras imports it for its wrappers if it is installed; this saves 0.5 s.
    """
    hidden = "sklearn" not in sys.modules
    if hidden:
        sys.modules["sklearn"] = None  # type: ignore[assignment] # makes the import fail
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if hidden:
            del sys.modules["sklearn"]
