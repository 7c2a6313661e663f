"""Snapshots of the lab with a fixed store, at three sizes and in three kinds of theme.

They are tied to one version of Textual, because others draw borders, footers and colours slightly differently.
After an intended change run `pytest tests/tui/test_snapshots.py --snapshot-update` and check what changed.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator

import pytest
import textual
from textual.pilot import Pilot

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.store import edits, progress
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run
from initlab_tui.tui.app import LabApp
from tests.tui.conftest import NARROW, VERY_WIDE, WIDE, Bench, Lab, Result, comparison

MADE_WITH = "8.2.8"
pytestmark = pytest.mark.skipif(
    textual.__version__ != MADE_WITH,
    reason=f"the snapshots were made with Textual {MADE_WITH}, not {textual.__version__}",
)

THEMES = ("textual-dark", "textual-light", "ansi-dark")
SnapCompare = Callable[..., bool]
ACCURACIES = {"he_normal": 0.958, "glorot_uniform": 0.947, "random_normal": 0.741}


def measured(run: Run) -> Result:
    """Return the initializer's accuracy, slightly higher for each seed; the constant diverges."""
    if run.spec.initializer.name == "constant":
        return Result(0.1, RunStatus.DIVERGED, "the loss was nan at step 4", (2.5, 4.0, 9.0, math.nan))
    return Result(ACCURACIES[run.spec.initializer.name] + 0.004 * run.seed)


@pytest.fixture
def lab_store(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two comparisons with runs in every final state, a paused and a queued one, names, tags and fixed times."""
    monkeypatch.setattr(supervisor, "cores", lambda: 2)
    store = bench.store
    ids = bench.train(
        comparison("he_normal", "glorot_uniform", "random_normal:stddev=1.0", "constant:value=0.5"), measured
    )
    edits.rename(store, ids[::4], "the winner")
    edits.tag(store, ids[1::4], "thesis")
    later = bench.queue(comparison("zeros", "ones", "identity", seeds=1, hidden="100x3", epochs=2))
    failed = bench.begin(0.25)
    progress.release(store, failed, RunStatus.FAILED, "the disk is full")
    progress.release(store, bench.begin(0.6, Result(0.3)), RunStatus.PAUSED)
    for run_id in (*ids, *later):
        bench.set(run_id, busy_seconds=0.5)
    return store


@pytest.fixture
def app(lab_store: Store) -> Iterator[LabApp]:
    app = LabApp(lab_store, None, lab_store.path.parent, warm=False)
    app.animation_level = "none"
    yield app
    app.close()


def settle_after(*keys: str) -> Callable[[Pilot[None]], Awaitable[None]]:
    """Return a function that presses keys and waits until the lab has read everything that it shows."""

    async def settle(pilot: Pilot[None]) -> None:
        assert isinstance(pilot.app, LabApp)
        lab = Lab(pilot.app, pilot)
        await lab.until(lambda: has_read_everything(lab))
        await lab.press(*keys)
        await lab.until(lambda: "reading" not in lab.text)
        if pilot.app.screen.is_modal:
            # Textual sometimes omits the screen below a translucent one.
            pilot.app.screen.styles.background = pilot.app.theme_variables["background"]

    return settle


def has_read_everything(lab: Lab) -> bool:
    """Return whether all runs and their curves have been read."""
    runs = [run for run in lab.app.lab.runs if run.step]
    known = [lab.app._trends.get(run) for run in runs]
    return bool(runs) and all(trend and trend.step == run.step for trend, run in zip(known, runs, strict=True))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [WIDE, VERY_WIDE], ids=["120x36", "200x50"])
def test_the_three_panes(snap_compare: SnapCompare, app: LabApp, size: tuple[int, int], theme: str) -> None:
    app.theme = theme
    assert snap_compare(app, terminal_size=size, run_before=settle_after("3"))


PANES = [("1", "textual-dark"), ("2", "textual-dark"), *(("3", theme) for theme in THEMES)]


@pytest.mark.parametrize(("pane", "theme"), PANES)
def test_one_pane_at_a_time(snap_compare: SnapCompare, app: LabApp, pane: str, theme: str) -> None:
    app.theme = theme
    assert snap_compare(app, terminal_size=NARROW, run_before=settle_after(pane))


OVER: dict[str, Iterable[str]] = {
    "chart": ("3", "space", "space", "c"),
    "help": ("question_mark",),
    "quit": ("q",),
    "sort": ("3", "s"),
}


@pytest.mark.parametrize("screen", OVER)
def test_screens_over_the_lab(snap_compare: SnapCompare, app: LabApp, screen: str) -> None:
    assert snap_compare(app, terminal_size=WIDE, run_before=settle_after(*OVER[screen]))
