"""Opens the lab on the screen: the only place where the command line knows of it."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from initlab_tui.domain.spec import Comparison
from initlab_tui.store.database import Store


def has_terminal() -> bool:
    """Whether there is a screen to open the lab on, and a keyboard."""
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def open_lab(store_path: Path, data_dir: Path | None, demo: Comparison | None = None) -> int:
    """Open the lab over a store until the person leaves; returns the exit code.

    Raises:
        InvalidInputError: when the store cannot be used.
    """
    gc.disable()  # until the first paint, as for all imports
    from initlab_tui.tui.app import LabApp  # Textual takes a third of a second, and no other command needs it

    with Store.open(store_path) as store:
        app = LabApp(store, data_dir, Path.cwd(), demo)
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0
