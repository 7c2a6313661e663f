"""The lab as a whole: a session with real workers, quitting and reopening, and small terminals."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import pytest
from textual._styles_cache import StylesCache
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import OptionList

from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import workers
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.tui.screens.chart import ChartScreen
from initlab_tui.tui.screens.dialogs import Choose
from tests.database import execute
from tests.tui.conftest import NARROW, WIDE, Bench, Lab, Result, by_initializer, comparison, open_lab

pytestmark = pytest.mark.asyncio

MANY_EPOCHS = "1000000"


def latest_runs(store: Store) -> list[Run]:
    """Return the runs of the newest comparison."""
    runs = list_runs(store)
    return [run for run in runs if run.comparison_id == runs[-1].comparison_id]


def statuses(store: Store) -> list[str]:
    return [run.status for run in latest_runs(store)]


def training_runs(store: Store) -> list[Run]:
    return [run for run in latest_runs(store) if run.status == "running" and run.step]


async def test_a_session_with_real_workers(real_store: Store) -> None:
    async with open_lab(real_store, WIDE, warm=True) as lab:
        await edit_the_network(lab, real_store)
        await run_the_default_comparison(lab, real_store)
        await fill_in_a_long_comparison(lab)
        assert len(list_runs(real_store)) == 9
        await lab.press("ctrl+r")
        await watch_the_training(lab, real_store)
        await refuse_to_queue_twice(lab, real_store)
        await pause_and_resume(lab, real_store)
        await skip_a_run(lab, real_store)
        await open_the_chart(lab)
        await quit_lab(lab, "keep")
    still_training = training_runs(real_store)
    assert len(still_training) == 2
    async with open_lab(real_store, WIDE) as lab:
        await check_the_reopened_lab(lab, still_training)
        await quit_lab(lab, "stop")
    assert "queued" not in statuses(real_store)
    await wait_until_stopped(real_store)


async def edit_the_network(lab: Lab, store: Store) -> None:
    deep = (64,) * 10

    def prepared() -> list[tuple[int, ...]]:
        requests = [worker.preparation for worker in workers.list_alive(store)]
        return [RunSpec.from_json(request.spec).hidden for request in requests if request]

    await lab.until(lambda: prepared() == [deep])
    await lab.type_into("hidden", "24")
    await lab.until(lambda: prepared() == [(24,)])
    await lab.type_into("hidden", "64x10")
    await lab.press("escape")
    await lab.until(lambda: prepared() == [deep])


async def run_the_default_comparison(lab: Lab, store: Store) -> None:
    await lab.press("r")
    await lab.until(lambda: lab.app.lab.training.queue.has_focus)
    await lab.until(lambda: "Comparison 1: 9 of 9 runs done" in lab.notifications)
    assert "he_normal is better than #2 glorot_uniform" in lab.notifications
    assert "the 95 % interval excludes 0" in lab.notifications
    await lab.clear()
    best_first = ("he_normal", "glorot_uniform", "random_normal")
    assert tuple(word for word in lab.text_of("#leaderboard").split() if word in best_first) == best_first
    await lab.until(lambda: "█" in lab.text_of("#leaderboard"))
    assert statuses(store) == ["done"] * 9


async def fill_in_a_long_comparison(lab: Lab) -> None:
    """Fill in a small network, two seeds, random_normal twice and he_normal, with invalid epochs at first."""
    await lab.type_into("hidden", "16")
    await lab.type_into("seeds", "2")
    await lab.type_into("epochs", "0")
    await lab.press("ctrl+r")
    assert lab.app.focused is lab.field("epochs")
    assert "Not queued" in lab.notifications
    await lab.retype(MANY_EPOCHS)
    await lab.point_to("glorot_uniform")
    await lab.press("space")
    await lab.point_to("random_normal")
    await lab.press("enter")
    await lab.retype("1")
    await lab.press("enter", "enter", "plus")
    await lab.retype("0.5")


async def watch_the_training(lab: Lab, store: Store) -> None:
    await lab.until(lambda: len(training_runs(store)) == 2)
    runs = latest_runs(store)
    assert [str(run.spec.initializer) for run in runs[:3]] == [
        "random_normal:stddev=1.0",
        "random_normal:stddev=0.5",
        "he_normal",
    ]
    assert {(run.spec.hidden, run.spec.epochs) for run in runs} == {((16,), int(MANY_EPOCHS))}
    assert [run.seed for run in runs] == [0, 0, 0, 1, 1, 1]
    await lab.until(lambda: "» running" in lab.training and "epoch" in lab.training)
    first = lab.training
    await lab.until(lambda: lab.training != first and "0/6 runs done" in lab.training)


async def refuse_to_queue_twice(lab: Lab, store: Store) -> None:
    await lab.press("r")
    assert isinstance(lab.app.screen, Choose)
    assert "The same comparison is already queued or running." in lab.text
    await lab.press("enter")
    assert lab.is_at_home
    assert len(list_runs(store)) == 9 + 6


async def pause_and_resume(lab: Lab, store: Store) -> None:
    await lab.press("p")
    await lab.until(lambda: set(statuses(store)) == {"paused"})
    before = latest_runs(store)[0].step
    assert before
    await lab.until(lambda: "press p to continue from here" in lab.training)
    await lab.press("p")
    await lab.until(lambda: len(training_runs(store)) == 2)
    await lab.until(lambda: latest_runs(store)[0].step > before)


async def skip_a_run(lab: Lab, store: Store) -> None:
    await lab.press("home", "k")
    await lab.until(lambda: statuses(store)[0] == "stopped")
    await lab.until(lambda: len(training_runs(store)) == 2)
    assert statuses(store).count("stopped") == 1


async def open_the_chart(lab: Lab) -> None:
    await lab.press("3", "o", "c")
    assert isinstance(lab.app.screen, ChartScreen)
    assert len(lab.app.screen.series) == 3
    await lab.press("t", "l")
    await lab.until("train loss")
    first = lab.text
    await lab.until(lambda: lab.text != first)
    await lab.press("escape")


async def quit_lab(lab: Lab, answer: str) -> None:
    await lab.press("q")
    assert isinstance(lab.app.screen, Choose)
    options = lab.app.screen.query_one(OptionList)
    assert options.get_option_at_index(options.highlighted or 0).id == "keep"
    await lab.press(*["down"] * ("keep", "stop").index(answer))
    await lab.pilot._app._press_keys(["enter"])
    await lab.wait_until_exited()


async def check_the_reopened_lab(lab: Lab, still_training: list[Run]) -> None:
    assert lab.field("hidden").value == "16"
    assert lab.field("epochs").value == MANY_EPOCHS
    assert lab.field("seeds").value == "2"
    ticked = [line.words for line in lab.initializers.ticked]
    assert ticked[0].startswith("random_normal:stddev=1.0")
    assert ticked[1].startswith("random_normal:stddev=0.5")
    assert ticked[2] == "he_normal"
    await lab.until(lambda: f"» running {still_training[0].id}" in " ".join(lab.text_of("#queue").split()))
    await lab.until(lambda: (lab.app.lab.runs[still_training[0].id - 1].step) > still_training[0].step)


async def wait_until_stopped(store: Store) -> None:
    """Wait until the workers have stopped the runs that were training."""
    async with open_lab(store, WIDE) as lab:
        await lab.until(lambda: set(statuses(store)) == {"stopped"})


async def test_q_exits_at_once_if_no_run_is_queued_or_running(bench: Bench) -> None:
    ids = bench.queue(comparison("zeros", seeds=1))
    execute(bench.store, "UPDATE runs SET status = 'paused'")
    async with open_lab(bench.store) as lab:
        await lab.pilot._app._press_keys(["q"])
        await lab.wait_until_exited()
    assert list_runs(bench.store, ids)[0].status == "paused"


async def test_quitting_can_be_cancelled_and_ctrl_c_twice_exits(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=2))
    async with open_lab(bench.store) as lab:
        await lab.press("q")
        assert "2 runs are queued or running." in lab.text
        await lab.press("down", "down", "enter")
        assert lab.is_at_home
        await lab.press("q", "escape")
        assert lab.is_at_home
        await lab.press("ctrl+c")
        await lab.pilot._app._press_keys(["ctrl+c"])
        await lab.wait_until_exited()
    assert bench.statuses() == ["queued", "queued"]


async def test_closed_screens_are_released_from_memory(bench: Bench) -> None:
    bench.queue(comparison("he_normal", seeds=1))
    bench.end(bench.begin(), Result())
    async with open_lab(bench.store, WIDE) as lab:
        await lab.pilot.press("2")
        for key in ("c", "i", "l", "question_mark"):
            await lab.pilot.press(key)
            await lab.until(lambda: len(lab.app.screen_stack) == 2)
            await lab.pilot.pause()
            kept = [weakref.ref(each) for each in (lab.app.screen, *painted_lines(lab.app.screen))]
            await lab.pilot.press("escape")
            await lab.until(lambda: len(lab.app.screen_stack) == 1)
            await lab.until(partial(are_released, kept))


def are_released(objects: list[weakref.ref[object]]) -> bool:
    gc.collect()
    return not any(each() for each in objects)


def painted_lines(screen: Screen[object]) -> list[StylesCache]:
    """Return the objects in which Textual keeps the painted lines of a screen's widgets."""
    return [widget._styles_cache for widget in screen.walk_children(Widget)]


async def test_a_small_terminal_shows_one_pane_at_a_time(bench: Bench) -> None:
    bench.train(comparison("he_normal", "zeros"), by_initializer)
    bench.queue(comparison("ones"))
    bench.begin(0.5)
    async with open_lab(bench.store, NARROW) as lab:
        await lab.until("2 Training 1 running, 2 waiting")
        assert "3 Results 3" in lab.text
        assert "Learning rate" in lab.text
        assert "☒ ones" in lab.text
        await lab.press("2")
        assert "step 10/20" in lab.text
        assert "Learning rate" not in lab.text
        await lab.press("3")
        assert "he_normal" in lab.text
        assert "step 10/20" not in lab.text
        await lab.click(lab.app.lab.query_one("#tab-setup"), (3, 0))
        assert "Learning rate" in lab.text
        assert lab.initializers.has_focus
        await lab.pilot.resize_terminal(*WIDE)
        await lab.until(lambda: "step 10/20" in lab.training and "he_normal" in lab.results)
        assert "Learning rate" in lab.setup
