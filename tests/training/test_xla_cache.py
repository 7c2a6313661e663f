from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from initlab_tui.training import xla_cache
from initlab_tui.training.xla_cache import UNSEALED_SECONDS, XlaCache, default_folder

# Prints a digest of the final weights and of the evaluations.
TRAIN = """
import hashlib, sys
from pathlib import Path
from initlab_tui.training.xla_cache import XlaCache

cache = XlaCache(Path(sys.argv[1])) if len(sys.argv) > 1 else None
assert cache is None or cache.enable()
from initlab_tui.data.arrays import load
from initlab_tui.domain.spec import RunSpec
from initlab_tui.training import device
from initlab_tui.training.compiled_trainer import CompiledTrainerCache
from initlab_tui.training.device_dataset import DeviceDataset
from initlab_tui.training.loop import train

device.configure(1)
data, programs = DeviceDataset(load("digits", None)), CompiledTrainerCache(cache)
spec = RunSpec(hidden=(16, 16), batch_size=32, epochs=2, initializer="he_normal")
events = list(train(spec, data, programs))
weights = b"".join(array.tobytes() for array in programs.get(spec, data).program.state().values())
print(hashlib.sha256(weights + repr([event for event in events if hasattr(event, "accuracy")]).encode()).hexdigest())
"""


def trained(*arguments: str) -> str:
    """Train in a new process; return the digest of the weights and evaluations."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments], check=True, capture_output=True, text=True, env=environment
    )
    return ended.stdout.splitlines()[-1]


def files(folder: Path) -> dict[str, tuple[str, int]]:
    """Return the digest and modification time of each program's file."""
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in folder.glob("*.pb")
    }


def test_results_are_the_same_without_a_cache_and_with_an_empty_full_or_damaged_one(tmp_path: Path) -> None:
    folder = tmp_path / "xla" / "here"
    without, empty = trained(), trained(str(folder))
    written = files(folder)
    assert len(written) == 2  # the training steps and the evaluation
    assert trained(str(folder)) == empty == without
    assert files(folder) == written  # loaded, not compiled again

    for file in folder.glob("*.pb"):
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 1000] = bytes(1000)  # a part that TensorFlow does not check
        file.write_bytes(content)
    damaged = files(folder)
    assert trained(str(folder)) == without
    assert all(files(folder)[name] != old for name, old in damaged.items())


def program(folder: Path, name: str, size: int = 10, age: float = 0.0) -> Path:
    file = folder / f"{name}.pb"
    file.write_bytes(bytes(size))
    os.utime(file, (time.time() - age,) * 2)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "xla" / "here"
    folder.mkdir(parents=True, mode=0o700)
    return folder


def test_a_program_that_changed_after_it_was_written_is_removed_before_compiling(folder: Path) -> None:
    cache = XlaCache(folder)
    with cache.compiling("one"):
        good, damaged = program(folder, "good"), program(folder, "damaged")
    damaged.write_bytes(b"something else")
    with cache.compiling("two"):
        assert good.exists()
        assert not damaged.exists()


def test_a_program_without_a_checksum_is_kept_only_while_another_worker_may_be_about_to_write_it(folder: Path) -> None:
    recent, old = program(folder, "recent"), program(folder, "old", age=2 * UNSEALED_SECONDS)
    with XlaCache(folder).compiling("one"):
        assert recent.exists()
        assert not old.exists()


def test_the_oldest_programs_of_any_version_are_removed_when_the_cache_is_full(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xla_cache, "MAX_BYTES", 25)
    other = folder.with_name("another-version")
    other.mkdir()
    oldest, newer = program(other, "oldest", age=100), program(folder, "newer", age=50)
    with XlaCache(folder).compiling("one"):
        newest = program(folder, "newest")
    assert not oldest.exists()
    assert newer.exists()
    assert newest.exists()


def test_a_second_worker_waits_for_the_program_that_the_first_one_compiles(folder: Path) -> None:
    log: list[str] = []
    is_waiting = threading.Event()

    def wait() -> None:
        with XlaCache(folder).compiling("one", meanwhile=is_waiting.set):
            log.append("second")

    with XlaCache(folder).compiling("one"):
        second = threading.Thread(target=wait)
        second.start()
        assert is_waiting.wait(30)
        log.append("first")
    second.join(30)
    assert log == ["first", "second"]


def test_an_error_while_compiling_frees_the_lock(folder: Path) -> None:
    with pytest.raises(ValueError, match="does not compile"), XlaCache(folder).compiling("one"):
        raise ValueError("does not compile")
    waited: list[bool] = []
    with XlaCache(folder).compiling("one", meanwhile=lambda: waited.append(True)):
        pass
    assert not waited


def test_a_folder_that_others_may_write_to_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    folder.chmod(0o770)
    assert not XlaCache(folder).enable()
    assert os.environ["TF_XLA_FLAGS"] == ""
    assert f"others may write to {folder}" in capsys.readouterr().err


def test_the_cache_is_private_and_keeps_flags_that_were_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_XLA_FLAGS", "--tf_xla_clustering_debug=false")
    folder = tmp_path / "new" / "xla"
    assert XlaCache(folder).enable()
    assert folder.stat().st_mode & 0o777 == 0o700
    flags = os.environ["TF_XLA_FLAGS"].split()
    assert flags == ["--tf_xla_clustering_debug=false", f"--tf_xla_persistent_cache_directory={folder}"]


def test_a_folder_that_cannot_be_made_is_reported_and_training_continues(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    cache = XlaCache(tmp_path / "file" / "xla")
    assert not cache.enable()
    compiled = False
    with cache.compiling("one"):
        compiled = True
    assert compiled
    assert "compiled programs are not kept" in capsys.readouterr().err


def test_programs_for_other_thread_counts_and_xla_flags_are_kept_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = default_folder(1), default_folder(2)
    assert one != two
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert default_folder(1) != one
