"""Where things live, and who may read them: the person alone."""

from __future__ import annotations

from pathlib import Path

import platformdirs

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


def default_store() -> Path:
    """The store that is used where none is named."""
    return platformdirs.user_data_path("initlab-tui") / "lab.db"


def files_beside(store: Path) -> Path:
    """The folder of a store's logs and checkpoints: it moves with the store."""
    return store.with_name(f"{store.name}-files")


def private_folder(folder: Path) -> Path:
    """Make `folder`, and its parents, readable by the person alone; those that exist stay as they are."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    return folder
