"""The copy of a store that is made before it is migrated."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import migrations, sql
from initlab_tui.store.backup import back_up, list_backups
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs
from tests.disk import fill, small_disk

OLD = gzip.decompress(Path(__file__).with_name("schema-3-store.gz").read_bytes())


def test_an_old_store_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(OLD)
    with Store.open(path) as store:
        migrated = list_runs(store)
    (copy,) = list_backups(path)
    assert copy.name == "lab.db-backup-schema-3"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"lab.db", copy.name}
    shutil.copy(copy, tmp_path / "again.db")
    with Store.open(tmp_path / "again.db") as again:
        assert list_runs(again) == migrated


def test_the_copy_can_be_opened_by_the_earlier_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(OLD)
    Store.open(path).close()
    (copy,) = list_backups(path)
    monkeypatch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:3])
    with pytest.raises(InvalidInputError, match="newer version of initlab-tui"):
        Store.open(path)
    with Store.open(copy) as earlier:
        assert migrations.version(sql.connection(earlier)) == 3


def test_the_newest_two_copies_are_kept(store: Store) -> None:
    for schema, day in ((1, 1), (2, 2), (3, 3)):
        os.utime(back_up(store.path, schema), (day, day))
    assert [copy.name[-1] for copy in list_backups(store.path)] == ["3", "2"]


def test_a_new_store_and_one_of_this_version_are_not_copied(store: Store) -> None:
    Store.open(store.path).close()
    assert list_backups(store.path) == []


def test_without_room_for_the_copy_the_store_is_left_as_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=1) as folder:
        path = folder / "lab.db"
        path.write_bytes(OLD)
        filler = fill(folder, leaving=80_000)
        with pytest.raises(InvalidInputError, match=r"the backup that is made before it is migrated failed: .*MB next"):
            Store.open(path)
        assert list_backups(path) == []
        filler.unlink()
        with Store.open(path) as store:
            assert list_runs(store)


def test_a_migrated_store_shrinks_after_a_purge(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(OLD)
    with Store.open(path) as store:
        assert sql.connection(store).execute("PRAGMA auto_vacuum").fetchone() == (2,)
