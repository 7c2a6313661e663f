"""The path of the default store, and folders that only the user may read."""

from __future__ import annotations

from pathlib import Path

import platformdirs

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def default_store() -> Path:
    """Return the path of the default store."""
    return platformdirs.user_data_path("initlab-tui") / "lab.db"


def private_folder(folder: Path) -> Path:
    """Create `folder` and its missing parents, readable only by the user; existing folders are not changed."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    return folder
