"""The training pane with simulated runs: what it shows, and what its keys request."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution.patience import DISK_FULL
from initlab_tui.store import progress, workers
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs
from initlab_tui.tui.panes import training
from initlab_tui.tui.screens.details import DetailsScreen
from initlab_tui.tui.screens.dialogs import Choose
from tests.database import execute
from tests.disk import fill, small_disk
from tests.tui.conftest import (
    ESCAPED,
    HOSTILE,
    VERY_WIDE,
    WIDE,
    Bench,
    Lab,
    Result,
    by_initializer,
    comparison,
    open_lab,
)

pytestmark = pytest.mark.asyncio

LONG_REASON = "the loss was nan at step 3, in a training whose reason is longer than a line, down to its very last word"


def requests(bench: Bench) -> list[str | None]:
    return [run.request for run in list_runs(bench.store)]


def queue_lines(lab: Lab) -> list[str]:
    """Return the rows of the queue, with single spaces."""
    return [" ".join(line.split()) for line in lab.text_of("#queue").splitlines()[1:] if line.strip()]


async def test_the_progress_of_a_run_is_shown_until_it_ends(bench: Bench) -> None:
    bench.queue(comparison("he_normal", "zeros", seeds=1, epochs=2))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until(lambda: "0/2 runs done" in lab.training)
        assert queue_lines(lab)[0].startswith("· queued 1 he_normal 0")
        run = bench.begin(0.25)
        await lab.until(lambda: "step 5/20" in lab.training)
        assert "run 1 he_normal · seed 0 · digits · 256,256 relu" in lab.training
        assert "25 % epoch 1/2" in lab.training
        assert "» running" in lab.training
        await lab.until(lambda: "22.5 %" in lab.training)
        await lab.press("2", "enter")
        assert isinstance(lab.app.screen, DetailsScreen)
        await lab.until("5 of 20")
        bench.end(run, Result(0.9))
        await lab.until("20 of 20")
        assert "run 1: done" in lab.text
        await lab.press("escape")
        await lab.until(lambda: "1/2 runs done" in lab.training)
        assert any(line.startswith("✓ done 1 he_normal 0 100 %") for line in queue_lines(lab))
        await lab.until(lambda: "90.0" in lab.results)
        bench.end(bench.begin(), Result(0.1))
        await lab.until(lambda: "Comparison 1: 2 of 2 runs done" in lab.notifications)


async def test_runs_that_wait_for_room_on_the_disk_say_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=8) as disk, Store.open(disk / "lab.db") as store:
        Bench(store).queue(comparison("he_normal"))
        async with open_lab(store, WIDE) as lab:
            await lab.until(lambda: "starting TensorFlow" in lab.training)
            filler = fill(disk, leaving=0)
            await lab.until(lambda: "The disk of the store is full" in lab.notifications)
            await lab.until(lambda: DISK_FULL in lab.training)
            filler.unlink()
            await lab.until(lambda: "starting TensorFlow" in lab.training)


async def test_the_cursor_follows_the_running_run_until_it_is_moved(bench: Bench) -> None:
    bench.queue(comparison("he_normal", "zeros", "ones", seeds=1))
    async with open_lab(bench.store) as lab:
        queued = lab.app.lab.training.queue
        first = bench.begin()
        await lab.until(lambda: "run 1 he_normal" in lab.training)
        bench.end(first, Result())
        second = bench.begin()
        await lab.until(lambda: "run 2 zeros" in lab.training)
        await lab.press("2", "down")
        assert queued.current == 3
        bench.end(second, Result())
        third = bench.begin()
        await lab.until(lambda: queue_lines(lab)[0].startswith("» running 3"))
        await lab.press("down")
        assert queued.current != 3
        bench.end(third, Result())
        await lab.until(lambda: "Comparison 1" in lab.notifications)
        assert queued.current != 3
        bench.queue(comparison("lecun_normal", seeds=1))
        bench.begin()
        await lab.until(lambda: any("running 4" in line for line in queue_lines(lab)))
        assert "run 4 " not in lab.training
        await lab.press("f")
        await lab.until(lambda: "run 4 lecun_normal" in lab.training)


async def test_a_silent_worker_is_reported_until_it_sends_a_heartbeat(bench: Bench) -> None:
    bench.queue(comparison("he_normal", seeds=1))
    run = bench.begin(0.25)
    assert run.worker_id is not None
    async with open_lab(bench.store) as lab:
        await lab.until(lambda: "step 5/20" in lab.training)
        assert "silent" not in lab.training
        workers.record_silence(bench.store, run.worker_id, 40.0)
        await lab.until(lambda: "silent for 40 s" in lab.training)
        await lab.press("2", "x")
        await lab.until(lambda: "asked to stop, but its worker is silent for 40 s" in " ".join(lab.training.split()))
        workers.heartbeat(bench.store, run.worker_id)
        await lab.until(lambda: "silent" not in lab.training)


async def test_runs_whose_worker_could_not_start_say_why_and_p_tries_again(bench: Bench) -> None:
    bench.queue(comparison("he_normal", "zeros", seeds=1))
    execute(bench.store, "UPDATE runs SET reason = 'no worker could be started: exit code 1'")
    async with open_lab(bench.store) as lab:
        await lab.until(lambda: "no worker could be started: exit code 1; press p" in " ".join(lab.training.split()))
        await lab.press("2", "p")
        await lab.until(lambda: "Resumed 2 runs" in lab.notifications)
        assert [run.reason for run in list_runs(bench.store)] == ["", ""]
        assert bench.statuses() == ["queued", "queued"]


async def test_a_run_that_has_killed_two_workers_is_not_retried(bench: Bench) -> None:
    bench.queue(comparison("he_normal", seeds=1))
    bench.end(bench.begin(), Result(status=RunStatus.CRASHED))
    execute(bench.store, "UPDATE runs SET deaths = 2")
    async with open_lab(bench.store) as lab:
        await lab.press("2", "R")
        await lab.until(lambda: "has killed 2 workers and is not tried again" in lab.notifications)
        assert bench.statuses() == ["crashed"]


async def test_skip_pause_resume_and_stop_act_on_the_right_runs(bench: Bench) -> None:
    bench.queue(comparison("zeros", "ones", seeds=1))
    bench.queue(comparison("he_normal", "glorot_uniform", seeds=1))
    run = bench.begin(0.5)
    async with open_lab(bench.store) as lab:
        await lab.press("2", "p")
        await lab.until(lambda: "Pausing 2 runs" in lab.notifications)
        await lab.until(lambda: "asked to pause" in lab.training)
        assert bench.statuses() == ["running", "paused", "queued", "queued"]
        assert requests(bench)[0] == "pause"
        progress.release(bench.store, run, RunStatus.PAUSED)
        await lab.until(lambda: "press p to continue from here" in lab.training)
        await lab.press("p")
        await lab.until(lambda: bench.statuses() == ["queued"] * 4)
        bench.begin(0.5)
        await lab.until(lambda: "» running" in lab.training)
        await lab.press("k")
        await lab.until(lambda: requests(bench) == ["stop", None, None, None])
        assert bench.statuses() == ["running", "queued", "queued", "queued"]
        await lab.until(lambda: "asked to stop" in lab.training)
        await lab.press("x")
        await lab.until(lambda: bench.statuses() == ["running", "stopped", "queued", "queued"])
        await lab.press("end", "up", "x")
        await lab.until(lambda: bench.statuses() == ["running", "stopped", "stopped", "stopped"])
        await lab.until(lambda: "Comparison 2: 0 of 2 runs done" in lab.notifications)
        assert "stopped: 2" in lab.notifications


async def test_retry_queues_a_failed_run_again_and_says_so_or_why_not(bench: Bench) -> None:
    bench.queue(comparison("he_normal", "zeros", seeds=1))
    progress.release(bench.store, bench.begin(0.5), RunStatus.CRASHED, "the worker died")
    bench.end(bench.begin(), Result())
    async with open_lab(bench.store) as lab:
        await lab.press("2", "end", "R")
        await lab.until(lambda: "Queued 1 run again." in lab.notifications)
        await lab.until(lambda: bench.statuses() == ["crashed", "done", "queued"])
        crashed, _, again = list_runs(bench.store)
        assert (again.spec, again.comparison_id) == (crashed.spec, crashed.comparison_id)
        await lab.press("R")
        await lab.until(lambda: "1 run left out: already queued again, or running." in lab.notifications)
        await lab.press("up", "R")
        await lab.until(lambda: "Run 2 is done: only failed, crashed and stopped" in lab.notifications)
        assert bench.statuses() == ["crashed", "done", "queued"]


async def test_a_crashed_run_with_a_checkpoint_is_resumed_instead_of_queued_again(bench: Bench) -> None:
    bench.queue(comparison("he_normal", seeds=1))
    run = bench.begin(0.5)
    progress.record_checkpoint(bench.store, run)
    progress.release(bench.store, run, RunStatus.CRASHED, "the worker died")
    async with open_lab(bench.store) as lab:
        await lab.press("2", "end")
        await lab.until(lambda: "the worker died; R resumes it" in lab.training)
        await lab.press("R")
        await lab.until(lambda: "Resumed 1 run." in lab.notifications)
        assert bench.statuses() == ["queued"]


async def test_stopping_runs_after_minutes_of_training_needs_a_confirmation(bench: Bench) -> None:
    bench.queue(comparison("zeros", "ones", seeds=1))
    bench.end(bench.begin(), Result())
    run = bench.begin(0.5)
    bench.set(run.id, busy_seconds=300.0)
    async with open_lab(bench.store) as lab:
        await lab.press("2", "x")
        assert isinstance(lab.app.screen, Choose)
        assert "Stop 1 run after 5 min" in lab.text
        await lab.press("escape")
        assert requests(bench)[-1] is None
        await lab.press("X", "enter")
        await lab.until(lambda: requests(bench)[-1] == "stop")


async def test_columns_and_curves_fit_a_resized_terminal(bench: Bench) -> None:
    bench.train(comparison("he_normal", seeds=1), by_initializer)
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.pilot.resize_terminal(*WIDE)
        await lab.until(lambda: lab.app.lab.training.region.right == WIDE[0])
        assert "acc % time" in lab.training
        assert "0.0 s" in queue_lines(lab)[0]


async def test_a_run_that_failed_or_diverged_shows_the_reason(bench: Bench) -> None:
    bench.write_log("Traceback\nMemoryError: no memory\n")
    bench.queue(comparison("ones", "zeros", seeds=1))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        bench.end(bench.begin(), Result(0.1, RunStatus.DIVERGED, LONG_REASON, (2.5, 9.0, math.nan)))
        await lab.until(lambda: any(line.startswith("~ diverged 1 ones") for line in queue_lines(lab)))
        run = bench.begin()
        progress.release(bench.store, run, RunStatus.FAILED, "it broke")
        await lab.until(lambda: "it broke log: MemoryError: no memory" in lab.training)
        await lab.until(lambda: "(diverged: 1, failed: 1)" in lab.notifications)
        await lab.press("2", "down")
        assert LONG_REASON in lab.training
        await lab.until(lambda: "█ –" in lab.training)


async def test_the_final_notification_says_which_initializer_is_better_and_whether_that_is_decided(
    bench: Bench,
) -> None:
    async with open_lab(bench.store, WIDE) as lab:
        ids = bench.queue(comparison("he_normal", "glorot_uniform", "zeros"))
        await lab.until(lambda: "he_normal" in lab.results)
        for _ in ids:
            run = bench.begin()
            bench.end(run, by_initializer(run))
        sentence = "#1 he_normal is better than #2 glorot_uniform by 5.0 ± 0.0 points over 3 shared seeds"
        await lab.until(lambda: f"{sentence}: the 95 % interval excludes 0." in lab.notifications)
        await lab.clear()
        ids = bench.queue(comparison("lecun_normal", "lecun_uniform", seeds=2, epochs=2))
        await lab.until(lambda: "lecun_normal" in lab.training)
        for accuracy in (0.9, 0.91, 0.95, 0.8):
            bench.end(bench.begin(), Result(accuracy))
        await lab.until(lambda: "Comparison 2: 4 of 4 runs done" in lab.notifications)
        assert "over 2 shared seeds: undecided," in lab.notifications


async def test_hostile_reasons_and_logs_are_shown_as_plain_text(bench: Bench) -> None:
    bench.write_log(f"log {HOSTILE}\n")
    bench.queue(comparison(f"import:a.B:note={HOSTILE}", "zeros", seeds=1, dataset=f"npz:/{HOSTILE}.npz"))
    progress.release(bench.store, bench.begin(), RunStatus.FAILED, f"reason {HOSTILE}")
    bench.end(bench.begin(), Result(0.5))
    bench.set(1, name=HOSTILE, tags=HOSTILE)
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.press("2", "end")
        await lab.until(lambda: f"reason {ESCAPED} log: log {ESCAPED}" in lab.training)
        assert f"B note={ESCAPED} · seed 0 · npz:/{ESCAPED}.npz" in lab.training
        await lab.press("enter")
        await lab.until(f"log {ESCAPED}")
        assert lab.text.count(ESCAPED) >= 5
        assert lab.control_characters == set()


async def test_a_queued_run_shows_whether_tensorflow_is_starting_or_no_worker_is_free(bench: Bench) -> None:
    bench.queue(comparison("he_normal", "zeros", seeds=1))
    async with open_lab(bench.store) as lab:
        await lab.until(lambda: "starting TensorFlow (about 10 s)" in lab.training)
        bench.begin(0.5)
        await lab.until(lambda: "» running" in lab.training)
        await lab.press("2", "down")
        await lab.until(lambda: "waiting for a free worker" in lab.training)


async def test_long_durations_fit_their_column(bench: Bench) -> None:
    bench.train(comparison("he_normal", seeds=2), by_initializer)
    bench.set(1, busy_seconds=3661.0)
    bench.set(2, busy_seconds=779.0)
    async with open_lab(bench.store) as lab:
        assert [line.split()[-1] for line in queue_lines(lab)] == ["12:59", "1:01:01"]


async def test_a_run_that_has_just_ended_stays_on_display_until_the_next_one_has_a_curve(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "KEPT_SECONDS", 60.0)
    bench.queue(comparison("he_normal", "zeros", seeds=1))
    async with open_lab(bench.store, WIDE) as lab:
        bench.end(bench.begin(), Result(0.9))
        second = bench.begin()
        await lab.until(lambda: "run 1 he_normal" in lab.training and "█" in lab.training)
        bench.advance(second, 0.5)
        await lab.until(lambda: "run 2 zeros" in lab.training)
