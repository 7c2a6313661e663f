"""The lab as a whole: a first start, a day's work with real workers, leaving and coming back, small terminals."""

from __future__ import annotations

import pytest
from textual.widgets import OptionList

from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import workers
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, list_runs
from initlab_tui.tui.screens.chart import ChartScreen
from initlab_tui.tui.screens.dialogs import Choose
from tests.database import execute
from tests.tui.conftest import NARROW, WIDE, Bench, Lab, by_initializer, comparison, open_lab

pytestmark = pytest.mark.asyncio

FOR_EVER = "1000000"


def latest(store: Store) -> list[Run]:
    """The runs of the newest comparison."""
    runs = list_runs(store)
    return [run for run in runs if run.comparison_id == runs[-1].comparison_id]


def statuses(store: Store) -> list[str]:
    return [run.status for run in latest(store)]


def training(store: Store) -> list[Run]:
    return [run for run in latest(store) if run.status == "running" and run.step]


async def test_a_day_in_the_lab(real_store: Store) -> None:
    async with open_lab(real_store, WIDE, warm=True) as lab:
        await the_network_is_prepared(lab, real_store)
        await r_alone_leads_to_a_leaderboard(lab, real_store)
        await fill_in_what_trains_for_ever(lab)
        assert len(list_runs(real_store)) == 9
        await lab.press("ctrl+r")
        await see_it_train(lab, real_store)
        await asked_before_it_is_queued_twice(lab, real_store)
        await pause_and_go_on(lab, real_store)
        await skip_one(lab, real_store)
        await look_at_the_chart(lab)
        await leave(lab, "keep")
    going_on = training(real_store)
    assert len(going_on) == 2
    async with open_lab(real_store, WIDE) as lab:
        await come_back(lab, going_on)
        await leave(lab, "stop")
    assert "queued" not in statuses(real_store)
    await stopped(real_store)


async def the_network_is_prepared(lab: Lab, store: Store) -> None:
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


async def r_alone_leads_to_a_leaderboard(lab: Lab, store: Store) -> None:
    await lab.press("r")
    await lab.until(lambda: lab.app.lab.training.queue.has_focus)
    await lab.until(lambda: "Comparison 1: 9 of 9 runs done" in lab.notifications)
    assert "he_normal is better than #2 glorot_uniform" in lab.notifications
    assert "the 95 % interval excludes 0" in lab.notifications
    await lab.clear()
    starts = ("he_normal", "glorot_uniform", "random_normal")
    assert tuple(word for word in lab.text_of("#leaderboard").split() if word in starts) == starts
    await lab.until(lambda: "█" in lab.text_of("#leaderboard"))
    assert statuses(store) == ["done"] * 9


async def fill_in_what_trains_for_ever(lab: Lab) -> None:
    """A small network, two seeds, random_normal twice and he_normal; the epochs wrong at first."""
    await lab.type_into("hidden", "16")
    await lab.type_into("seeds", "2")
    await lab.type_into("epochs", "0")
    await lab.press("ctrl+r")
    assert lab.app.focused is lab.field("epochs")
    assert "Not queued" in lab.notifications
    await lab.retype(FOR_EVER)
    await lab.point_to("glorot_uniform")
    await lab.press("space")
    await lab.point_to("random_normal")
    await lab.press("enter")
    await lab.retype("1")
    await lab.press("enter", "enter", "plus")
    await lab.retype("0.5")


async def see_it_train(lab: Lab, store: Store) -> None:
    await lab.until(lambda: len(training(store)) == 2)
    runs = latest(store)
    assert [str(run.spec.initializer) for run in runs[:3]] == [
        "random_normal:stddev=1.0",
        "random_normal:stddev=0.5",
        "he_normal",
    ]
    assert {(run.spec.hidden, run.spec.epochs) for run in runs} == {((16,), int(FOR_EVER))}
    assert [run.seed for run in runs] == [0, 0, 0, 1, 1, 1]
    await lab.until(lambda: "» running" in lab.training and "epoch" in lab.training)
    first = lab.training
    await lab.until(lambda: lab.training != first and "0/6 runs done" in lab.training)


async def asked_before_it_is_queued_twice(lab: Lab, store: Store) -> None:
    await lab.press("r")
    assert isinstance(lab.app.screen, Choose)
    assert "The same comparison is already queued or running." in lab.text
    await lab.press("enter")
    assert lab.is_at_home
    assert len(list_runs(store)) == 9 + 6


async def pause_and_go_on(lab: Lab, store: Store) -> None:
    await lab.press("p")
    await lab.until(lambda: set(statuses(store)) == {"paused"})
    before = latest(store)[0].step
    assert before
    await lab.until(lambda: "press p to continue from here" in lab.training)
    await lab.press("p")
    await lab.until(lambda: len(training(store)) == 2)
    await lab.until(lambda: latest(store)[0].step > before)


async def skip_one(lab: Lab, store: Store) -> None:
    await lab.press("home", "k")
    await lab.until(lambda: statuses(store)[0] == "stopped")
    await lab.until(lambda: len(training(store)) == 2)
    assert statuses(store).count("stopped") == 1


async def look_at_the_chart(lab: Lab) -> None:
    await lab.press("3", "o", "c")
    assert isinstance(lab.app.screen, ChartScreen)
    assert len(lab.app.screen.series) == 3
    await lab.press("t", "l")
    await lab.until("train loss")
    first = lab.text
    await lab.until(lambda: lab.text != first)
    await lab.press("escape")


async def leave(lab: Lab, answer: str) -> None:
    await lab.press("q")
    assert isinstance(lab.app.screen, Choose)
    options = lab.app.screen.query_one(OptionList)
    assert options.get_option_at_index(options.highlighted or 0).id == "keep"
    await lab.press(*["down"] * ("keep", "stop").index(answer))
    await lab.pilot._app._press_keys(["enter"])
    await lab.wait_until_exited()


async def come_back(lab: Lab, going_on: list[Run]) -> None:
    assert lab.field("hidden").value == "16"
    assert lab.field("epochs").value == FOR_EVER
    assert lab.field("seeds").value == "2"
    ticked = [line.words for line in lab.initializers.ticked]
    assert ticked[0].startswith("random_normal:stddev=1.0")
    assert ticked[1].startswith("random_normal:stddev=0.5")
    assert ticked[2] == "he_normal"
    await lab.until(lambda: f"» running {going_on[0].id}" in " ".join(lab.text_of("#queue").split()))
    await lab.until(lambda: (lab.app.lab.runs[going_on[0].id - 1].step) > going_on[0].step)


async def stopped(store: Store) -> None:
    """What trained when it was asked to stop is given up by its worker."""
    async with open_lab(store, WIDE) as lab:
        await lab.until(lambda: set(statuses(store)) == {"stopped"})


async def test_with_nothing_to_lose_q_leaves_at_once(bench: Bench) -> None:
    ids = bench.queue(comparison("zeros", seeds=1))
    execute(bench.store, "UPDATE runs SET status = 'paused'")
    async with open_lab(bench.store) as lab:
        await lab.pilot._app._press_keys(["q"])
        await lab.wait_until_exited()
    assert list_runs(bench.store, ids)[0].status == "paused"


async def test_leaving_can_be_thought_over_and_ctrl_c_twice_leaves(bench: Bench) -> None:
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


async def test_a_small_terminal_shows_a_pane_at_a_time(bench: Bench) -> None:
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
