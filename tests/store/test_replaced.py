"""A store that is removed or replaced while it is open: the other file is not written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import queue
from initlab_tui.store.database import ReplacedStoreError, Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))


def replace(path: Path) -> Store:
    """Move a store away with its side files, put another one there, and return that."""
    for file in list(path.parent.glob("lab.db*")):
        if file.is_file():
            file.rename(path.with_name(f"old-{file.name}"))
    return Store.open(path)


def test_changes_are_refused_and_the_other_store_stays_as_it_is(store: Store) -> None:
    queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
    with replace(store.path) as other:
        assert (store.still_exists(), store.is_replaced()) == (False, True)
        with pytest.raises(ReplacedStoreError, match="was replaced by another file while it was open"):
            queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
        assert list_runs(other) == []


def test_a_removed_store_is_not_created_again(store: Store) -> None:
    store.path.unlink()
    assert not store.is_replaced()
    with pytest.raises(ReplacedStoreError, match="was removed while it was open"):
        queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
    assert not store.path.exists()


def test_closing_a_replaced_store_keeps_the_wal_of_the_other(store: Store) -> None:
    queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
    with replace(store.path) as other:
        queue.enqueue(other, None, [RunSpec(seed=5)], REQUIREMENTS)
        wal = store.path.with_name("lab.db-wal")
        before = wal.stat()
        store.close()
        assert wal.stat().st_ino == before.st_ino
        assert wal.stat().st_size == before.st_size > 0
        with Store.open(store.path) as again:
            assert [run.seed for run in list_runs(again)] == [5]
