"""Shared by the screen's tests: stores with simulated runs, and the lab in a pilot with text, keys and mouse."""

from __future__ import annotations

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets._toast import Toast

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.events import Evaluated, Started, Stepped
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import liveness, processes
from initlab_tui.store import progress, queue, workers
from initlab_tui.store.database import Store
from initlab_tui.store.files import log_name
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_runs
from initlab_tui.tui.app import LabApp
from initlab_tui.tui.widgets.field import LABEL_WIDTH, FormField
from initlab_tui.tui.widgets.initializer_list import InitializerList
from tests.database import execute

TIMEOUT_SECONDS = 60.0
POLL_SECONDS = 0.05
NARROW, WIDE, VERY_WIDE = (80, 24), (120, 36), (200, 50)
STEPS = 20
GUESSING = math.log(10)
# Unless escaped, this clears a terminal, is read as markup by Textual, and reverses the text direction.
HOSTILE = "[red]x[/red]\x1b[2J\u202e"
FRAMES = str.maketrans(dict.fromkeys("│╭╮╰╯─▌", " "))
ESCAPED = "[red]x[/red]\\x1b[2J\\u202e"


@pytest.fixture(autouse=True)
def standard_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the same colours, devices and keys on every machine."""
    for name in ("NO_COLOR", "SSH_CONNECTION", "TEXTUAL_THEME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    # Simulated workers send no heartbeats.
    monkeypatch.setattr(liveness, "SHOWN_SILENCE_SECONDS", math.inf)


@dataclass(frozen=True)
class Result:
    """The outcome of a simulated run: its final test accuracy and its training losses."""

    accuracy: float = 0.9
    status: RunStatus = RunStatus.DONE
    reason: str = ""
    losses: tuple[float, ...] = ()

    @property
    def curve(self) -> tuple[float, ...]:
        """The losses; by default a straight line down from the loss of guessing."""
        end = GUESSING * (1 - self.accuracy)
        return self.losses or tuple(GUESSING + (end - GUESSING) * step / STEPS for step in range(1, STEPS + 1))


def comparison(*initializers: str, seeds: int = 3, **base: object) -> Comparison:
    """Return a comparison of these initializers over `seeds` seeds, with these fields of the base spec."""
    return Comparison(
        base=RunSpec.checked(**base),
        initializers=tuple(map(Initializer.parse, initializers)),
        seeds=tuple(range(seeds)),
    )


class Bench:
    """A store with simulated runs: its worker is registered as alive, and each test writes the progress itself."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._worker = workers.register(store, "cpu", 1, idle_seconds=600.0)
        workers.set_monitor(store, self._worker, os.getpid(), processes.born(os.getpid()))

    def queue(self, comparison: Comparison, data_file: Path | None = None) -> list[int]:
        """Queue a comparison's runs."""
        return queue.enqueue(
            self.store, comparison, list(comparison.runs()), Requirements("cpu", 1, data_file, Path("/"))
        )

    def begin(self, share: float = 0.0, result: Result | None = None, fingerprint: str = "f" * 16) -> Run:
        """Claim the next queued run and record `share` of its steps on the way to `result`."""
        run = queue.claim(self.store, self._worker)
        assert run is not None, "no run is queued"
        versions = {"tensorflow": "2.20"}
        started = Started(0, STEPS, STEPS // run.spec.epochs, 100, "CPU", "xla", "", 0.0, fingerprint, versions)
        progress.record_started(self.store, run, started, {"execution": "xla", "weights": 100})
        progress.record(self.store, run, [Evaluated(0, GUESSING, 0.1)])
        self._train(run, result or Result(), 0, round(share * STEPS))
        return run

    def advance(self, run: Run, share: float) -> None:
        """Record the steps of a run that has none, up to `share` of all."""
        self._train(run, Result(), 0, round(share * STEPS))

    def end(self, run: Run, result: Result, log: str = "") -> None:
        """Record the rest of a run and its end."""
        now = find_run(self.store, run.id)
        assert now is not None
        self._train(run, result, now.step, len(result.curve))
        if result.status == "done":
            progress.record(self.store, run, [Evaluated(STEPS, GUESSING * (1 - result.accuracy), result.accuracy)])
        if log:
            self.write_log(log)
        progress.release(self.store, run, result.status, result.reason)

    def write_log(self, text: str) -> None:
        """Write the log of the worker."""
        self.store.files.create(log_name(self._worker), text.encode())

    def _train(self, run: Run, result: Result, first: int, last: int) -> None:
        losses = result.curve[first:last]
        if losses:
            accuracies = tuple(result.accuracy * (first + step) / STEPS for step in range(1, len(losses) + 1))
            progress.record(self.store, run, [Stepped(first + 1, losses, accuracies, 0.01, 128 * len(losses))])

    def train(self, comparison: Comparison, result: Callable[[Run], Result], fingerprint: str = "f" * 16) -> list[int]:
        """Queue a comparison and finish all its runs, each with its `result`."""
        ids = self.queue(comparison)
        for _ in ids:
            run = self.begin(fingerprint=fingerprint)
            self.end(run, result(run))
        return ids

    def set(self, run_id: int, **values: object) -> None:
        """Set columns of a run directly: fixed times, or text that another program wrote."""
        settings = ", ".join(f"{name} = ?" for name in values)
        execute(
            self.store,
            f"UPDATE runs SET {settings} WHERE id = ?",  # noqa: S608 - column names come from the tests
            (*values.values(), run_id),
        )

    def statuses(self) -> list[str]:
        """The runs' statuses, oldest first."""
        return [run.status for run in list_runs(self.store)]


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


ACCURACIES = {"he_normal": 0.95, "glorot_uniform": 0.90, "random_normal:stddev=1.0": 0.70, "zeros": 0.10}


def by_initializer(run: Run) -> Result:
    """Return a result with the initializer's accuracy, one point higher for each seed; `ones` diverges."""
    initializer = str(run.spec.initializer)
    if initializer == "ones":
        return Result(0.1, RunStatus.DIVERGED, "the loss was nan at step 3", (2.5, 9.0, math.nan))
    return Result(ACCURACIES[initializer] + 0.01 * run.spec.seed)


def flat(text: str) -> str:
    """Return a text without frames and line breaks, so sentences can be found in it."""
    return " ".join(text.translate(FRAMES).split())


class Lab:
    """The lab in a pilot: what it shows, and typing and clicking as a person does."""

    def __init__(self, app: LabApp, pilot: Pilot[None]) -> None:
        self.app, self.pilot = app, pilot

    @property
    def text(self) -> str:
        """The text on the screen."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    def text_of(self, part: str | Widget) -> str:
        """Return the text on the screen within a widget's region."""
        widget = self.app.screen.query_one(part) if isinstance(part, str) else part
        left, top, width, height = widget.region
        strips = self.app.screen._compositor.render_strips()[top : top + height]
        return "\n".join(strip.crop(left, left + width).text.rstrip() for strip in strips)

    @property
    def setup(self) -> str:
        return flat(self.text_of("#setup"))

    @property
    def training(self) -> str:
        return flat(self.text_of("#training"))

    @property
    def results(self) -> str:
        return flat(self.text_of("#results"))

    @property
    def is_at_home(self) -> bool:
        """Whether no other screen covers the lab."""
        return self.app.screen is self.app.lab

    @property
    def footer(self) -> str:
        return self.text.splitlines()[-1]

    @property
    def notifications(self) -> str:
        """The notifications on the screen, one per line."""
        toasts = self.app.screen.query(Toast)
        return "\n".join(" ".join(str(toast.render()).split()) for toast in toasts)

    async def clear(self) -> None:
        """Remove the notifications, which cover part of the screen."""
        self.app.clear_notifications()
        await self.pilot.pause()

    @property
    def control_characters(self) -> set[str]:
        """The control characters on the screen, which a terminal would interpret."""
        return {character for character in self.text if not character.isprintable() and character != "\n"}

    async def until(self, wanted: str | Callable[[], object]) -> None:
        """Wait until the screen contains a text or a condition holds."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (wanted in self.text if isinstance(wanted, str) else wanted()):
            assert not self.app.return_code, f"the lab exited with {self.app.return_code}"
            if time.monotonic() > deadline:
                raise AssertionError(f"timed out waiting for {wanted!r}; on the screen:\n{self.text}")
            await self.pilot.pause(POLL_SECONDS)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.press(*text)

    async def click(self, widget: Widget, at: tuple[int, int] = (0, 0)) -> None:
        await self.pilot.click(widget, offset=at)

    async def wait_until_exited(self) -> None:
        """Wait until the lab has exited."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.app.is_running:
            if time.monotonic() > deadline:
                raise AssertionError(f"the lab did not exit; on the screen:\n{self.text}")
            await asyncio.sleep(0.01)

    def field(self, name: str) -> FormField:
        """Return a field of the form."""
        return next(field for field in self.app.lab.setup.fields if field.name == name)

    async def type_into(self, name: str, text: str) -> None:
        """Replace the value of a form's field by typing."""
        await self.click(self.field(name), (LABEL_WIDTH, 0))
        await self.retype(text)

    async def set_field(self, name: str, text: str) -> None:
        """Replace the value of a form's field at once."""
        self.field(name).put(text)
        await self.pilot.pause()

    async def retype(self, text: str) -> None:
        """Replace the value of the focused input by typing."""
        await self.press("end", "ctrl+u", *text)

    async def choose(self, name: str, value: str) -> None:
        """Choose one of a field's values by typing its first letters."""
        field = self.field(name)
        field.focus()
        await self.press("enter", *value[:3], "enter")
        assert field.value == value

    @property
    def initializers(self) -> InitializerList:
        return self.app.lab.setup.query_one(InitializerList)

    async def point_to(self, text: str) -> None:
        """Move the cursor of the list to the first initializer whose text starts with `text`."""
        self.initializers.focus()
        self.initializers.index = next(
            n for n, item in enumerate(self.initializers.items) if item.line.words.startswith(text)
        )
        await self.pilot.pause()


@asynccontextmanager
async def open_lab(
    store: Store, size: tuple[int, int] = WIDE, *, warm: bool = False, data_dir: Path | None = None
) -> AsyncIterator[Lab]:
    """Open the lab on a store and wait for its first snapshot; on leaving, end everything that it started."""
    app = LabApp(store, data_dir, store.path.parent, warm=warm)
    app.animation_level = "none"
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            lab = Lab(app, pilot)
            try:
                await lab.until(lambda: app.lab.snapshot is not None)
                await pilot.pause()
                yield lab
            finally:
                # Exit from within: an app torn down from outside may still receive updates of the store.
                app.exit()
                await lab.wait_until_exited()
    finally:
        app.close()


@pytest.fixture
def real_store(store: Store) -> Iterator[Store]:
    """A store with real workers, which are killed after the test."""
    yield store
    alive = workers.list_alive(store)
    for pid in (pid for worker in alive for pid in (worker.monitor_pid, worker.pid) if pid and pid != os.getpid()):
        with suppress(psutil.NoSuchProcess):
            psutil.Process(pid).kill()
