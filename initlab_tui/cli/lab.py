"""Opens the lab; no other module of the command line imports the screen."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from initlab_tui.cli import interrupts
from initlab_tui.store.database import Store

if TYPE_CHECKING:
    from initlab_tui.domain.comparison import Comparison


def has_terminal() -> bool:
    """Return whether stdin, stdout and stderr are all a terminal, which the lab needs."""
    return sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()


def open_lab(store_path: Path, data_dir: Path | None, demo: Comparison | None = None) -> int:
    """Run the lab until it is closed, and return the exit code.

    Raises:
        InvalidInputError: if the store cannot be used.
    """
    gc.disable()  # until the first paint, because imports create no garbage
    from initlab_tui.tui.app import LabApp  # Textual takes a third of a second to import

    interrupts.raise_interrupt()
    with Store.open(store_path) as store:
        app = LabApp(store, data_dir, Path.cwd(), demo)
    try:
        app.run()
    finally:
        app.close()
    return app.return_code or 0
