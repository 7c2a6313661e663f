"""Runs that somebody else put into a store are not trained until this user wants them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.services import control_runs
from initlab_tui.store import origin, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from tests.database import execute

EVIL = "import:mine.draw"


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the key, in an empty home."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "initlab-tui" / "queue.key"


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_runs, "_start_missing_workers", lambda *_: False)


def enqueue(store: Store, initializer: str = "zeros") -> int:
    requirements = Requirements("cpu", 1, None, Path("/theirs"))
    return queue.enqueue(store, None, [RunSpec.checked(initializer=initializer)], requirements)[0]


def put_by_hand(store: Store, initializer: str = "zeros") -> int:
    """Queue a run as a crafted store has it."""
    run_id = enqueue(store, initializer)
    execute(store, "UPDATE runs SET origin = NULL")
    return run_id


def claimed(store: Store) -> int | None:
    run = queue.claim(store, workers.register(store, "cpu", 1))
    return run.id if run else None


def test_only_runs_that_the_user_queued_are_claimed(store: Store) -> None:
    held = put_by_hand(store)
    own = enqueue(store)
    assert queue.list_held(store) == [held]
    assert claimed(store) == own
    assert claimed(store) is None
    assert queue.waiting_without_worker(store) == []


@pytest.mark.parametrize(
    "change",
    [
        "spec = replace(spec, 'zeros', 'import:mine.draw')",
        "import_folder = '/elsewhere'",
        "data_file = '/dev/zero'",
        "origin = 'a guess'",
        "origin = 'é\u202e'",
        "origin = CAST(x'ff00fe' AS TEXT)",
        "spec = CAST(x'ff00fe' AS TEXT)",
    ],
)
def test_a_run_that_was_changed_after_it_was_queued_is_held(store: Store, change: str) -> None:
    run_id = enqueue(store)
    execute(store, f"UPDATE runs SET {change}")  # noqa: S608 - one of the texts above
    assert queue.list_held(store) == [run_id]
    assert claimed(store) is None


def test_a_worker_ends_although_a_held_run_is_queued(store: Store) -> None:
    put_by_hand(store)
    assert workers.retire_if_idle(store, workers.register(store, "cpu", 1))


def test_resuming_a_held_run_makes_it_the_users_own(store: Store) -> None:
    run_id = put_by_hand(store)
    assert queue.resume(store, [run_id]) == [run_id]
    assert claimed(store) == run_id


@pytest.mark.usefixtures("no_workers")
def test_a_held_run_with_custom_code_is_resumed_or_retried_only_with_consent(store: Store) -> None:
    run_id = put_by_hand(store, EVIL)
    refusal = f"run {run_id} was not queued by you and runs code .*{EVIL}, from /theirs: .* --allow-import"
    with pytest.raises(InvalidInputError, match=refusal):
        control_runs.resume(store, [run_id])
    execute(store, "UPDATE runs SET status = 'failed'")
    with pytest.raises(InvalidInputError, match=refusal):
        control_runs.retry(store, [run_id])
    assert claimed(store) is None
    assert control_runs.retry(store, [run_id], allow_import=True) == [run_id + 1]
    assert claimed(store) == run_id + 1


@pytest.mark.usefixtures("no_workers")
def test_runs_with_custom_code_that_the_user_queued_need_no_consent(store: Store) -> None:
    run_id = enqueue(store, EVIL)
    execute(store, "UPDATE runs SET status = 'failed'")
    assert control_runs.retry(store, [run_id]) == [run_id + 1]


def test_the_key_is_private_and_stays_the_same(key: Path) -> None:
    signature = origin.sign("spec")
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in key.parent.iterdir()] == ["queue.key"]
    origin._key.cache_clear()
    assert origin.sign("spec") == signature
    assert origin.is_own(signature.encode(), b"spec") and not origin.is_own(signature.encode(), b"other")


@pytest.mark.parametrize("spoil", [lambda key: key.chmod(0o644), lambda key: key.write_bytes(b"")])
def test_a_key_that_others_may_read_or_that_is_damaged_is_replaced(key: Path, spoil: Callable[[Path], object]) -> None:
    signature = origin.sign("spec")
    spoil(key)
    origin._key.cache_clear()
    assert not origin.is_own(signature.encode(), b"spec")
    assert key.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_at_once_share_one_key(key: Path) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(origin._key.__wrapped__(key))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_looking_at_a_store_needs_no_key_and_creates_none(store: Store, key: Path) -> None:
    run_id = enqueue(store)
    key.unlink()
    origin._key.cache_clear()
    key.parent.rmdir()
    assert queue.list_held(store) == [run_id]
    assert claimed(store) is None
    assert not key.parent.exists()


def test_without_a_place_for_the_key_nothing_is_queued(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(InvalidInputError, match="set XDG_STATE_HOME"):
        enqueue(store)
    assert execute(store, "SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.parametrize("program", ["TRIGGER t AFTER INSERT ON runs BEGIN SELECT 1; END", "VIEW v AS SELECT 1"])
def test_a_store_with_programs_in_it_is_refused(tmp_path: Path, program: str) -> None:
    path = tmp_path / "theirs.db"
    Store.open(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE {program}")
    connection.close()
    with pytest.raises(InvalidInputError, match="has triggers or views"):
        Store.open(path)
