"""A store of version 0.1.0 (schema 3) with runs that did not finish, and the checkpoint of one of them.

That version wrote both on the digits. In a comparison of he_normal over three seeds, run 1 was paused at step 660 of
1,760, run 2 was stopped, and the worker of run 3 was killed; run 4 failed because its batch is larger than the dataset.
Names of the host and of folders were replaced, the log was left out, and most training metrics were removed.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from initlab_tui.store.database import Store
from initlab_tui.store.files import checkpoint_name

FOLDER = Path(__file__).with_name("store")


def open_unfinished(folder: Path) -> Store:
    """Open a copy of the store in `folder`, with its checkpoint."""
    path = folder / "lab.db"
    path.write_bytes(gzip.decompress((FOLDER / "schema-3-unfinished.gz").read_bytes()))
    store = Store.open(path)
    store.files.create(checkpoint_name(1), (FOLDER / "schema-3-checkpoint.npz").read_bytes())
    return store
