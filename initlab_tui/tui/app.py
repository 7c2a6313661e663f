"""The lab as a program: it follows a store, and shows the lab, the chart, the details and the help over it."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from rich.text import Text
from textual import on, work
from textual.app import App, SystemCommand
from textual.screen import Screen

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import Comparison
from initlab_tui.execution import supervisor
from initlab_tui.reports.format import plain
from initlab_tui.store import queue
from initlab_tui.store.comparisons import last_comparison
from initlab_tui.store.database import Store, StoreError
from initlab_tui.tui.keys import EVERYWHERE, LAB, RESULTS, SETUP, TRAINING, Key, bindings
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.messages import StoreChanged
from initlab_tui.tui.panes.setup import AUTO, Settings
from initlab_tui.tui.screens.dialogs import Choose
from initlab_tui.tui.screens.help import HelpScreen
from initlab_tui.tui.screens.lab import NOTICE_SECONDS, LabScreen
from initlab_tui.tui.store_monitor import EndedComparison
from initlab_tui.tui.trends import Trends

LOOK_SECONDS = 0.2
UNUSABLE = 2
LETTING_GO_SECONDS = 3.0
LEAVING = (
    ("keep", "Leave and keep them going; the next start shows them"),
    ("stop", "Leave and stop them; what they recorded is kept"),
    ("stay", "Stay"),
)


class LabApp(App[None]):
    """The lab over `store`; `demo` is trained as soon as it is open.

    A person's own `import:` is found from `folder`. `warm` has a worker import TensorFlow while the person reads.
    """

    CSS_PATH = "app.tcss"
    TITLE = "initlab-tui"
    BINDINGS = bindings(EVERYWHERE)

    def __init__(
        self,
        store: Store,
        data_dir: Path | None = None,
        folder: Path | None = None,
        demo: Comparison | None = None,
        *,
        warm: bool = True,
    ) -> None:
        # Without colours none is written, not even greys: that is for a theme of the terminal's own.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self._demo, self._warm = demo, warm
        self._desk = LabBackend(store.path, data_dir, folder or Path.cwd())
        self._trends = Trends()
        self.lab = LabScreen(self._desk, self._trends, _settings(store, demo))

    def get_default_screen(self) -> Screen[None]:
        """The lab lies under all other screens."""
        return self.lab

    def on_mount(self) -> None:
        self._suit_the_terminal()
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
            signal.signal(signal.SIGHUP, self._abandon)

    def on_ready(self) -> None:
        """The first paint is done: follow the store, and have a worker ready."""
        gc.enable()
        gc.freeze()
        self._follow()
        comparison = self.lab.setup.comparison
        if self._demo:
            self.lab.action_run()
        elif self._warm and comparison:
            self._prepare(comparison)

    def _abandon(self, number: int, _frame: FrameType | None) -> None:
        """The terminal is gone: what is written to it blocks for ever, so nothing is drawn or put back."""
        letting_go = threading.Thread(target=self._desk.dismiss, daemon=True)
        letting_go.start()
        letting_go.join(LETTING_GO_SECONDS)
        os._exit(128 + number)

    def _suit_the_terminal(self) -> None:
        if self.is_headless:
            return
        poor = self.no_color or self.console.color_system == "standard"
        if poor and "TEXTUAL_THEME" not in os.environ:
            self.theme = "ansi-dark"  # sixteen colours are the terminal's own
        if "SSH_CONNECTION" in os.environ and "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"

    @work(group="prepare")
    async def _prepare(self, comparison: Comparison) -> None:
        await self._desk.warm(len(list(comparison.runs())), self.lab.setup.device)
        # The first chart need not wait for NumPy either.
        await asyncio.to_thread(importlib.import_module, "initlab_tui.tui.screens.chart")

    @work(group="follow")
    async def _follow(self) -> None:
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_SECONDS)
        except InvalidInputError as error:
            told = str(error)
            if not told.startswith("store "):
                told = f"the store has a record that cannot be read: {told} (see initlab-tui doctor)"
            self.exit(return_code=UNUSABLE, message=Text(plain(told)))
        except StoreError as error:
            told = f"the store cannot be used: {error}; what trains goes on (see initlab-tui doctor)"
            self.exit(return_code=UNUSABLE, message=Text(plain(told)))

    async def _look(self) -> None:
        view = await self._desk.look()
        if view is not None:
            self.post_message(StoreChanged(view))
        wanted = self._trends.take()
        if wanted:
            self._trends.keep(await self._desk.trends(wanted))
            self.lab.refresh_trends({run.id for run in wanted})

    @on(StoreChanged)
    def _store_changed(self, message: StoreChanged) -> None:
        self.lab.show(message.snapshot)
        for screen in self.screen_stack:
            follow = getattr(screen, "follow", None)
            if follow:
                follow(message.snapshot)
        for ended in message.snapshot.ended:
            self._tell_end(ended)

    def _tell_end(self, ended: EndedComparison) -> None:
        self.notify(
            plain(ended.sentence) or "One start alone: nothing to rank.",
            title=plain(ended.title),
            severity="information" if ended.is_complete else "warning",
            timeout=NOTICE_SECONDS,
            markup=False,
        )

    def action_help(self) -> None:
        """Show all keys; again: close them."""
        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        else:
            self.push_screen(HelpScreen())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of the lab, and Textual's own, the themes among them."""
        for pane, keys in (("", LAB), ("setup", SETUP), ("training", TRAINING), ("results", RESULTS)):
            for key in keys:
                title = f"{pane.capitalize()}: {key.label}" if pane else key.label
                yield SystemCommand(title, f"{key.help} ({key.shown})", self._command(pane, key))
        yield SystemCommand("Help", EVERYWHERE[0].help, self.action_help)
        yield from super().get_system_commands(screen)

    def _command(self, pane: str, key: Key) -> Callable[[], None]:
        async def perform() -> None:
            if pane:
                self.lab.action_pane(pane)
            places = {"setup": self.lab.home("setup"), "training": self.lab.training, "results": self.lab.results}
            await self.run_action(key.action, places.get(pane, self.lab))

        def later() -> None:
            self.call_later(perform)

        return later

    async def action_quit(self) -> None:
        """Leave; what trains is kept going unless it is to be stopped."""
        going_on = sum(run.status != "paused" for run in self.lab.active)
        if not going_on or (isinstance(self.screen, Choose) and self.screen.answers == LEAVING):
            self.exit()
            return
        runs = "1 run trains or waits" if going_on == 1 else f"{going_on} runs train or wait"
        self.push_screen(Choose(f"{runs}.", LEAVING), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "stop":
            self._stop_and_exit()
        elif answer == "keep":
            self.exit()

    @work
    async def _stop_and_exit(self) -> None:
        ids = [run.id for run in self.lab.active]
        await self._desk.write(lambda store: queue.stop(store, ids))
        self.exit()

    def close(self) -> None:
        """Let go of the store and of idle workers, after the screen is left."""
        self._desk.close()


def _settings(store: Store, demo: Comparison | None) -> Settings:
    """The demo, or the last comparison of the store, or what a first start begins with."""
    last = last_comparison(store)
    if demo:
        return Settings(demo)
    if last is None:
        return Settings()
    comparison, device = last
    # Where there is no choice, the CPU was nobody's.
    return Settings(comparison, AUTO if device == "cpu" and not supervisor.gpus() else device)
