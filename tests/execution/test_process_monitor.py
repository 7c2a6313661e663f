"""The process monitor with misbehaving workers, which are small scripts."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import liveness, memory, process_monitor, stop_escalation
from initlab_tui.services import control_runs
from initlab_tui.store import failed_starts, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.files import LOG_BYTES
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.store.worker_log import LOG_TAIL_LINES
from tests.database import execute

CLAIM = """
import os, signal, sys, time
from pathlib import Path
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.files import LOG_BYTES
from initlab_tui.store.progress import release
store = Store.open(Path(sys.argv[1]))
run = queue.claim(store, int(sys.argv[2]))
"""


def run_monitored(
    store: Store, script: str, monkeypatch: pytest.MonkeyPatch, runs: int = 1, device: str = "cpu", visible: str = "-1"
) -> list[Run]:
    file = store.path.with_name("fake_worker.py")
    file.write_text(script)
    monkeypatch.setattr(process_monitor, "WORKER", (sys.executable, str(file)))
    ids = queue.enqueue(
        store, None, [RunSpec(seed=seed) for seed in range(runs)], Requirements(device, 1, None, Path("/"))
    )
    worker_id = workers.register(store, device, 1, visible_devices=visible)
    process_monitor.main([str(store.path), str(worker_id)])
    assert workers.count_alive(store) == 0
    return list_runs(store, ids)


def test_a_segfault_crashes_the_run_with_the_signal_as_reason(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = run_monitored(store, CLAIM + "os.kill(os.getpid(), signal.SIGSEGV)", monkeypatch)
    assert run.status == "crashed"
    assert "SIGSEGV (signal 11)" in run.reason


def test_the_exit_code_and_the_end_of_the_log_are_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CLAIM + 'print("first line"); print("\\x1b[31mlast line", file=sys.stderr); os._exit(7)'
    (run,) = run_monitored(store, script, monkeypatch)
    assert (run.status, "exit code 7" in run.reason) == ("crashed", True)
    assert "last line" in run.log_tail


def test_endless_output_on_both_streams_neither_blocks_nor_fills_the_log_tail(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = """
for _ in range(20000):
    os.write(1, b"noise on stdout " * 8 + b"\\n")
    os.write(2, bytes(range(256)))
os._exit(1)
"""
    (run,) = run_monitored(store, CLAIM + noise, monkeypatch)
    assert run.status == "crashed"
    assert len(run.log_tail.splitlines()) <= LOG_TAIL_LINES * 12  # some of the random bytes are line breaks
    assert len(run.log_tail) <= 10_000


def test_the_log_of_a_living_worker_keeps_its_size(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_monitor, "LOOK_SECONDS", 0.05)
    noise = """
for number in range(60):
    os.write(1, (f"line {number} " * 8 + "\\n").encode() * 1000)
    time.sleep(0.02)
time.sleep(0.5)
os.write(2, b"the last line\\n")
os._exit(1)
"""
    (run,) = run_monitored(store, CLAIM + noise, monkeypatch)
    (log,) = store.files.folder.glob("*.log")
    assert log.stat().st_size < LOG_BYTES
    assert "the last line" in run.log_tail
    assert log.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_to_a_store_that_replaced_the_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        CLAIM
        + """
for file in Path(sys.argv[1]).parent.glob("lab.db*"):
    if file.is_file():
        file.rename(file.with_name("old-" + file.name))
other = Store.open(Path(sys.argv[1]))
other.close()
Path(sys.argv[1]).with_name("copy").write_bytes(Path(sys.argv[1]).read_bytes())
os._exit(3)
"""
    )
    file = store.path.with_name("fake_worker.py")
    file.write_text(script)
    monkeypatch.setattr(process_monitor, "WORKER", (sys.executable, str(file)))
    queue.enqueue(store, None, [RunSpec()], Requirements("cpu", 1, None, Path("/")))
    process_monitor.main([str(store.path), str(workers.register(store, "cpu", 1))])
    assert store.path.read_bytes() == store.path.with_name("copy").read_bytes()
    assert not store.path.with_name("lab.db-wal").exists()


def test_each_crash_fails_only_one_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CLAIM + "if run and run.spec.seed % 2: os._exit(5)\nrelease(store, run, RunStatus.DONE) if run else None\n"
    script += "os._exit(6 if run else 0)"
    runs = run_monitored(store, script, monkeypatch, runs=4)
    assert [run.status for run in runs] == ["done", "crashed", "done", "crashed"]


def test_if_no_worker_can_start_runs_stay_queued_with_its_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = run_monitored(store, "raise SystemExit('libtensorflow is broken')", monkeypatch, runs=3)
    assert {run.status for run in runs} == {"queued"}
    assert failed_starts.last(store, "cpu", 1) is None  # the next attempt counts from zero
    assert queue.waiting_without_worker(store) == []  # nobody tries again unasked
    assert runs[0].reason == "no worker could be started: exit code 1: libtensorflow is broken"
    assert "libtensorflow is broken" in runs[0].log_tail


def test_a_worker_killed_once_before_its_first_run_is_replaced(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    once = store.path.with_name("killed_once")
    script = f"import os, pathlib\nif not pathlib.Path({str(once)!r}).exists():\n"
    script += f"    pathlib.Path({str(once)!r}).touch(); os.kill(os.getpid(), 9)\n"
    script += (
        CLAIM + "while run:\n    release(store, run, RunStatus.DONE); run = queue.claim(store, int(sys.argv[2]))\n"
    )
    runs = run_monitored(store, script, monkeypatch, runs=3)
    assert once.exists()
    assert {run.status for run in runs} == {"done"}


def test_after_three_deaths_before_the_first_run_the_queue_waits_with_the_reason(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = run_monitored(store, "import os; os.kill(os.getpid(), 9)", monkeypatch)
    assert run.status == "queued"
    assert "no worker could be started: killed by SIGKILL" in run.reason
    assert len(execute(store, "SELECT id FROM workers")) == 3


def test_resumed_runs_are_trained_once_a_worker_can_start(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (held,) = run_monitored(store, "raise SystemExit('no libtensorflow')", monkeypatch)
    assert queue.resume(store, [held.id]) == [held.id]
    assert [waiting.runs for waiting in queue.waiting_without_worker(store)] == [1]
    script = "while run:\n    release(store, run, RunStatus.DONE); run = queue.claim(store, int(sys.argv[2]))\n"
    (other,) = run_monitored(store, CLAIM + script, monkeypatch)
    assert [(run.status, run.reason) for run in list_runs(store, [held.id, other.id])] == [("done", "")] * 2


def test_a_hung_worker_is_killed_after_a_stop_and_the_queue_continues(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_monitor, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(liveness, "LIVENESS_SECONDS", 0.0)
    monkeypatch.setattr(liveness, "SHOWN_SILENCE_SECONDS", 0.5)
    for name, seconds in (("SHOWN_SILENCE_SECONDS", 0.5), ("TERMINATE_SECONDS", 0.6), ("KILL_SECONDS", 1.2)):
        monkeypatch.setattr(stop_escalation, name, seconds)
    script = """
if run.spec.seed == 0:
    queue.stop(store, [run.id])
    os.kill(os.getpid(), signal.SIGSTOP)
release(store, run, RunStatus.DONE)
"""
    first, second = run_monitored(store, CLAIM + script, monkeypatch, runs=2)
    assert (first.status, second.status) == ("stopped", "done")
    assert "on request; worker 1 died: killed by SIGKILL" in first.reason
    assert "did not react to the request to stop" in first.reason
    assert first.deaths == 0


def test_a_worker_that_lacked_memory_says_so_and_what_helps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CLAIM + "print('terminate called after throwing std::bad_alloc', file=sys.stderr, flush=True); os.abort()"
    (run,) = run_monitored(store, script, monkeypatch)
    assert "SIGABRT (signal 6): probably out of memory" in run.reason
    assert "--workers 1" in run.reason


def test_a_kill_while_the_kernel_killed_for_memory_is_blamed_on_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([4, *[5] * 9])  # before the worker started, and after it died
    monkeypatch.setattr(memory, "oom_kills", lambda: next(counts))
    (run,) = run_monitored(store, CLAIM + "os.kill(os.getpid(), 9)", monkeypatch)
    assert "SIGKILL (signal 9): out of memory" in run.reason
    assert run.deaths == 1


def test_a_kill_from_outside_is_not_blamed_on_the_run_or_on_memory(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "oom_kills", lambda: 4)
    (run,) = run_monitored(store, CLAIM + "os.kill(os.getpid(), 9)", monkeypatch)
    assert run.reason.endswith("killed by SIGKILL (signal 9)")
    assert run.deaths == 0


def test_a_run_that_has_killed_two_workers_is_not_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CLAIM + "os.kill(os.getpid(), signal.SIGSEGV)"
    (first,) = run_monitored(store, script, monkeypatch)
    assert (first.deaths, first.can_be_retried) == (1, True)
    (again,) = queue.retry(store, [first.id])
    process_monitor.main([str(store.path), str(workers.register(store, "cpu", 1))])
    (second,) = list_runs(store, [again])
    assert second.status == "crashed"
    assert second.reason.endswith("SIGSEGV (signal 11); the run has killed 2 workers and is not tried again")
    assert queue.retry(store, [again]) == []
    with pytest.raises(InvalidInputError, match="has killed 2 workers and is not tried again"):
        control_runs.retry(store, [again])
    with pytest.raises(InvalidInputError, match=r"not tried again|cannot be resumed"):
        control_runs.resume(store, [again])


def test_only_the_user_can_read_the_log(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run_monitored(store, CLAIM + "print('secret'); os._exit(2)", monkeypatch)
    (log,) = (store.path.parent / "lab.db-files").glob("*.log")
    assert log.stat().st_mode & 0o077 == 0


def test_the_replacement_of_a_crashed_worker_has_the_same_gpu(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    script = CLAIM + "print('sees', os.environ['CUDA_VISIBLE_DEVICES'], os.environ['OMP_NUM_THREADS'])\n"
    script += "os._exit(6 if run else 0)"
    runs = run_monitored(store, script, monkeypatch, runs=2, device="gpu", visible="5")
    assert [run.log_tail for run in runs] == ["sees 5 1"] * 2
