"""Network file systems: how they are recognised, and how a store is opened there."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import file_system, queue, sql, workers
from initlab_tui.store.database import Store
from initlab_tui.store.file_system import FileSystem, find_file_system
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import list_runs
from tests.database import execute

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))
# As on a cluster: a local disk, NFS homes with a space in the name of one, a Lustre file system, and a local disk on
# which an sshfs was mounted later.
MOUNTS = r"""
/dev/sda1 / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
server:/my\040data /home/my\040data nfs rw 0 0
/dev/sdb1 /home/local xfs rw 0 0
10.0.0.1@tcp:/scratch /scratch lustre rw 0 0
/dev/sdc1 /mnt ext4 rw 0 0
user@host:/ /mnt fuse.sshfs rw 0 0
/dev/sdd1 /media/usb fuseblk rw 0 0
"""


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the mounts of a machine, in the place of this machine's."""
    file = tmp_path / "mounts"
    file.write_text(MOUNTS)
    monkeypatch.setattr(file_system, "MOUNTS", file)
    return file


@pytest.mark.usefixtures("mounts")
@pytest.mark.parametrize(
    ("path", "kind", "is_network"),
    [
        ("/srv/lab.db", "ext4", False),
        ("/home/ada/.local/share/lab.db", "nfs4", True),
        ("/home/my data/lab.db", "nfs", True),
        ("/home/local/lab.db", "xfs", False),
        ("/homework/lab.db", "ext4", False),
        ("/scratch/ada/lab.db", "lustre", True),
        ("/mnt/lab.db", "fuse.sshfs", True),
        ("/media/usb/lab.db", "fuseblk", False),
    ],
)
def test_a_file_is_on_the_innermost_and_latest_mount(path: str, kind: str, is_network: bool) -> None:
    found = find_file_system(Path(path))
    assert (found.kind, found.is_network) == (kind, is_network)


@pytest.mark.parametrize("kind", ["wekafs", "cifs", "smb3", "beegfs", "ceph", "gpfs", "9p", "virtiofs", "fuse.gcsfuse"])
def test_shared_file_systems_are_network_file_systems(kind: str) -> None:
    assert FileSystem(kind, Path("/")).is_network


@pytest.mark.parametrize("kind", ["", "ext4", "btrfs", "zfs", "tmpfs", "overlay", "apfs", "hfs", "ntfs"])
def test_local_and_unknown_file_systems_are_not(kind: str) -> None:
    assert not FileSystem(kind, Path("/")).is_network


def test_this_machines_file_system_is_found(tmp_path: Path) -> None:
    assert find_file_system(tmp_path).kind


def nfs(_: Path) -> FileSystem:
    return FileSystem("nfs4", Path("/home"))


def journal(store: Store) -> str:
    return str(sql.connection(store).execute("PRAGMA journal_mode").fetchone()[0])


def test_on_a_network_file_system_the_journal_is_delete(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Store.open(path) as local:
        queue.enqueue(local, None, [RunSpec()], REQUIREMENTS)
        assert journal(local) == "wal"
    with Store.open(path, find_file_system=nfs) as store, Store.open(path, find_file_system=nfs) as other:
        assert journal(store) == journal(other) == "delete"
        assert not list(tmp_path.glob("lab.db-[ws]*"))  # no WAL, and no file to be mapped into memory
        queue.enqueue(store, None, [RunSpec(seed=1)], REQUIREMENTS)
        assert [run.seed for run in list_runs(other)] == [0, 1]
    with Store.open(path) as local:
        assert journal(local) == "wal"


def test_a_store_that_is_open_elsewhere_with_a_wal_is_refused_on_a_network_file_system(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Store.open(path) as local:
        queue.enqueue(local, None, [RunSpec()], REQUIREMENTS)
        with pytest.raises(InvalidInputError, match="database is locked"):
            Store.open(path, find_file_system=nfs, busy_seconds=0.1)


def other_hosts_worker(path: Path, heartbeat: float) -> None:
    with Store.open(path, find_file_system=nfs) as store:
        worker = workers.register(store, "cpu", 1)
        queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
        execute(store, "UPDATE workers SET host = 'node7', heartbeat = ? WHERE id = ?", (heartbeat, worker))


def test_a_second_host_may_only_look(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    other_hosts_worker(path, time.time())
    with Store.open(path, find_file_system=nfs) as store:
        assert [run.status for run in list_runs(store)] == ["queued"]
        with pytest.raises(InvalidInputError, match="host node7 trains with it, and on nfs4 only one host may write"):
            queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
    with Store.open(path) as store:  # on a local disk, such as a container's, there is no such limit
        assert not store.read_only


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_host_that_ended_without_a_word_does_not_count_whatever_its_clock(tmp_path: Path, hours: int) -> None:
    path = tmp_path / "lab.db"
    other_hosts_worker(path, time.time() + 3600 * hours)
    with Store.open(path, find_file_system=nfs) as store:
        assert not store.read_only
        queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_host_with_another_clock_is_noticed_at_its_next_heartbeat(tmp_path: Path, hours: int) -> None:
    path, heartbeat = tmp_path / "lab.db", time.time() + 3600 * hours
    other_hosts_worker(path, heartbeat)
    with Store.open(path, find_file_system=nfs) as store:
        execute(store, "UPDATE workers SET heartbeat = ?", (heartbeat + 2,))
        with pytest.raises(InvalidInputError, match="host node7 trains with it, and on nfs4 only one host may write"):
            queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
        assert len(list_runs(store)) == 1


def test_a_host_is_not_locked_out_by_one_that_comes_later(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Store.open(path, find_file_system=nfs) as store:
        other_hosts_worker(path, time.time())
        queue.enqueue(store, None, [RunSpec()], REQUIREMENTS)
        assert not store.read_only
