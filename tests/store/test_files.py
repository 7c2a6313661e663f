"""Tests of the files of a store, also in a folder in which somebody else has planted links."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.worker import reserve
from initlab_tui.store import checkpoints, progress, queue, sql, worker_deaths, workers
from initlab_tui.store.checkpoints import Found
from initlab_tui.store.database import Store
from initlab_tui.store.files import (
    TEMPORARY_SECONDS,
    StoreFiles,
    checkpoint_name,
    log_name,
    reserve_name,
)
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run
from tests.database import execute
from tests.disk import small_disk


@pytest.fixture
def files(store: Store) -> StoreFiles:
    return store.files


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    file = tmp_path / "precious"
    file.write_text("irreplaceable")
    return file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def claimed(store: Store) -> Run:
    queue.enqueue(store, None, [RunSpec.checked()], Requirements("cpu", 1, None, Path("/")))
    run = queue.claim(store, workers.register(store, "cpu", 1))
    assert run is not None
    return run


def test_folder_and_files_are_private_whatever_the_umask(files: StoreFiles) -> None:
    before = os.umask(0)
    try:
        files.create("reserve", b"space")
        os.close(files.append("log"))
        with files.replaced("checkpoint") as file:
            file.write(b"state")
    finally:
        os.umask(before)
    assert mode(files.folder) == 0o700
    assert {path.name: mode(path) for path in files.folder.iterdir()} == dict.fromkeys(
        ("reserve", "log", "checkpoint"), 0o600
    )


def test_an_interrupted_write_keeps_the_file_as_it_was(files: StoreFiles) -> None:
    files.create("checkpoint", b"old")
    with pytest.raises(OSError, match="disk full"), files.replaced("checkpoint") as file:
        file.write(b"half")
        raise OSError("disk full")
    with files.opened("checkpoint") as file:
        assert file.read() == b"old"
    assert [path.name for path in files.folder.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("name", [reserve_name(1), f"{checkpoint_name(1)}.tmp", checkpoint_name(1), log_name(1)])
def test_a_planted_link_is_replaced_and_its_target_is_not_touched(store: Store, precious: Path, name: str) -> None:
    store.files.folder.mkdir(mode=0o700)
    (store.files.folder / name).symlink_to(precious)
    with reserve(store, 1):
        pass
    with store.files.replaced(checkpoint_name(1)) as file:
        file.write(b"state")
    descriptor = store.files.append(log_name(1))
    os.write(descriptor, b"message")
    os.close(descriptor)
    assert precious.read_text() == "irreplaceable"
    assert not any(path.is_symlink() for path in store.files.folder.iterdir())


def test_a_log_that_is_another_name_of_a_file_is_not_appended_to(files: StoreFiles, precious: Path) -> None:
    files.folder.mkdir(mode=0o700)
    (files.folder / "log").hardlink_to(precious)
    descriptor = files.append("log")
    os.write(descriptor, b"message")
    os.close(descriptor)
    assert precious.read_text() == "irreplaceable"


def test_a_log_is_continued(files: StoreFiles) -> None:
    for message in (b"one ", b"two"):
        descriptor = files.append("log")
        os.write(descriptor, message)
        os.close(descriptor)
    assert (files.folder / "log").read_bytes() == b"one two"


def test_links_and_pipes_are_not_read(files: StoreFiles, precious: Path) -> None:
    files.folder.mkdir(mode=0o700)
    (files.folder / "link").symlink_to(precious)
    os.mkfifo(files.folder / "pipe")
    for name in ("link", "pipe", "missing"):
        with pytest.raises(FileNotFoundError, match=name), files.opened(name):
            pass


def test_a_log_named_by_the_store_is_not_read(store: Store) -> None:
    run = claimed(store)
    store.files.create(log_name(run.worker_id or 0), b"the last words")
    assert "log" not in {row[1] for row in execute(store, "PRAGMA table_info(workers)")}
    progress.release(store, run, RunStatus.FAILED, "it broke")
    assert execute(store, "SELECT log_tail FROM runs") == [("the last words",)]


def test_a_checkpoint_named_by_the_store_is_not_read(store: Store, precious: Path) -> None:
    run = claimed(store)
    progress.record_checkpoint(store, run)
    progress.release(store, run, RunStatus.PAUSED)
    sql.connection(store).execute("UPDATE runs SET checkpoint = ?", (str(precious),))
    queue.resume(store, [run.id])
    again = queue.claim(store, workers.register(store, "cpu", 1))
    assert again is not None
    name = checkpoint_name(run.id)
    assert checkpoints.read(store, again) == Found(None, {name: f"{name} is missing"})
    assert precious.read_text() == "irreplaceable"


@pytest.mark.parametrize("others", [0o020, 0o002])
def test_a_folder_that_others_may_write_to_is_refused(files: StoreFiles, others: int) -> None:
    files.folder.mkdir()
    files.folder.chmod(0o700 | others)
    with pytest.raises(InvalidInputError, match=f"can be written by others: chmod 700 {files.folder}"):
        files.check()


def test_a_folder_that_is_a_link_is_refused(files: StoreFiles, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    files.folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidInputError, match="is a link or not a folder"):
        files.create("reserve", b"space")
    assert not any((tmp_path / "elsewhere").iterdir())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_refused(files: StoreFiles) -> None:
    files.folder.mkdir(mode=0o700)
    os.chown(files.folder, 12345, -1)
    with pytest.raises(InvalidInputError, match="belongs to another user"):
        files.check()


def test_a_folder_on_a_read_only_file_system_is_refused_before_anything_is_queued(store: Store) -> None:
    files = store.files
    files.check()
    with small_disk(store.path.with_name("small"), megabytes=1) as disk:
        subprocess.run(["mount", "--bind", str(disk), str(files.folder)], check=True)  # noqa: S607
        subprocess.run(["mount", "-o", "remount,bind,ro", str(files.folder)], check=True)  # noqa: S607
        try:
            refused = pytest.raises(InvalidInputError, match=r"folder of logs and checkpoints .* cannot be written")
            with refused:
                queue.enqueue(store, None, [RunSpec.checked()], Requirements("cpu", 1, None, Path("/")))
            with refused:
                queue.retry(store, [])
            with refused:
                queue.resume(store, [])
        finally:
            subprocess.run(["umount", str(files.folder)], check=True)  # noqa: S607
    assert execute(store, "SELECT count(*) FROM runs") == [(0,)]


def test_old_logs_of_dead_workers_are_removed(files: StoreFiles) -> None:
    for worker_id in (1, 2, 3):
        files.create(log_name(worker_id), b"")
    for worker_id in (1, 2):
        os.utime(files.folder / log_name(worker_id), (0, 0))
    files.remove_left_over(alive_workers={2})
    assert {path.name for path in files.folder.iterdir()} == {log_name(2), log_name(3)}


def test_what_killed_processes_left_is_removed(files: StoreFiles) -> None:
    for name in (reserve_name(1), reserve_name(2), "run-3.npz.tmp", "run-4.npz.tmp", "run-3.npz", log_name(1)):
        files.create(name, b"")
    old = (files.folder / "run-3.npz.tmp").stat().st_mtime - 2 * TEMPORARY_SECONDS
    os.utime(files.folder / "run-3.npz.tmp", (old, old))
    files.remove_left_over(alive_workers={2})
    assert {path.name for path in files.folder.iterdir()} == {
        reserve_name(2),
        "run-4.npz.tmp",
        "run-3.npz",
        log_name(1),
    }


def test_the_reserved_space_of_a_dead_worker_is_freed_at_once(store: Store) -> None:
    run = claimed(store)
    assert run.worker_id is not None
    store.files.create(reserve_name(run.worker_id), b"space")
    store.files.create(checkpoint_name(run.id), b"needed to resume it")
    worker_deaths.mark_dead(store, run.worker_id, "killed")
    assert [path.name for path in store.files.folder.iterdir()] == [checkpoint_name(run.id)]


def test_a_worker_that_dies_after_the_end_of_its_run_leaves_no_checkpoints(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = claimed(store)
    assert run.worker_id is not None
    for name in (checkpoint_name(run.id), f"{checkpoint_name(run.id)}.tmp"):
        store.files.create(name, b"no longer needed")
    with monkeypatch.context() as killed:
        killed.setattr(StoreFiles, "remove_checkpoints", lambda files, run_id: None)
        progress.release(store, run, RunStatus.DONE)
    worker_deaths.mark_dead(store, run.worker_id, "killed")
    assert not any(store.files.folder.iterdir())
