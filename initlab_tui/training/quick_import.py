"""Import TensorFlow and Keras without work that training does not need; does not import them itself."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quick_import() -> Iterator[None]:
    """Import TensorFlow and Keras in this block.

    Garbage is not collected, since the imports create millions of lasting objects: that takes 0.6 s. scikit-learn
    cannot be imported, since Keras imports it for its wrappers wherever it is installed: that takes 0.5 s.
    """
    hidden = "sklearn" not in sys.modules
    if hidden:
        sys.modules["sklearn"] = None  # type: ignore[assignment] # Python's way to say that it cannot be imported
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        if hidden:
            del sys.modules["sklearn"]
