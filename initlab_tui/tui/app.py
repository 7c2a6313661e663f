"""The application: opens the lab on a store, follows the store, and ends workers that are no longer needed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import termios
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from rich.text import Text
from textual import work
from textual._styles_cache import StylesCache
from textual.app import App, SystemCommand
from textual.await_complete import AwaitComplete
from textual.screen import Screen

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import counted, held_message
from initlab_tui.store import queue
from initlab_tui.store.comparisons import last_comparison
from initlab_tui.store.database import Store, StoreError
from initlab_tui.tui.keys import EVERYWHERE, LAB, RESULTS, SETUP, TRAINING, Key, bindings
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.messages import NOTICE_SECONDS
from initlab_tui.tui.panes.setup import AUTO, Settings
from initlab_tui.tui.screens.dialogs import Choose
from initlab_tui.tui.screens.help import HelpScreen
from initlab_tui.tui.screens.lab import LabScreen
from initlab_tui.tui.store_monitor import EndedComparison, StoreSnapshot
from initlab_tui.tui.trends import Trends

POLL_SECONDS = 0.2
UNUSABLE = 2
STDERR = 2
DISMISS_SECONDS = 3.0
QUIT_ANSWERS = (
    ("keep", "Keep running in the background"),
    ("stop", "Stop runs; recorded results are kept"),
    ("cancel", "Cancel"),
)


class LabApp(App[None]):
    """The lab on `store`; `demo` is queued as soon as the lab is open.

    Modules of an `import:` are found in `folder`. With `warm`, a worker imports TensorFlow ahead of the first run.
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
        # With NO_COLOR nothing is written in colour, not even grey: use the terminal's own theme.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        self._demo, self._warm = demo, warm
        self._had_room = True
        self._backend = LabBackend(store.path, data_dir, folder or Path.cwd())
        self._trends = Trends()
        self.lab = LabScreen(self._backend, self._trends, _settings(store, demo))

    def get_default_screen(self) -> Screen[None]:
        """Put the lab under all other screens."""
        return self.lab

    def pop_screen(self) -> AwaitComplete:
        """Close the screen on top, and release what was painted on it."""
        closed = super().pop_screen()
        # The key of this cache is the object with a widget's painted lines: 1,024 closed widgets would stay in memory.
        StylesCache.get_inner_outer.cache_clear()
        return closed

    def on_mount(self) -> None:
        self._adapt_to_terminal()
        if not self.is_headless:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)
            signal.signal(signal.SIGHUP, self._abandon)

    def on_ready(self) -> None:
        """Follow the store and prepare a worker, now that the first paint is done."""
        gc.enable()
        gc.freeze()
        self._follow()
        self._report_limits()
        comparison = self.lab.setup.comparison
        if self._demo:
            self.lab.action_run()
        elif self._warm and comparison:
            self._prepare(comparison)

    def _abandon(self, number: int, _frame: FrameType | None) -> None:
        """Exit without drawing: the terminal is gone, and writing to it would block forever."""
        dismissing = threading.Thread(target=self._backend.dismiss, daemon=True)
        dismissing.start()
        dismissing.join(DISMISS_SECONDS)
        os._exit(128 + number)

    def _exit_without_terminal(self) -> None:
        """Exit if the terminal was closed, which no signal reports to a program in another session."""
        if self.is_headless:
            return
        try:
            termios.tcgetattr(STDERR)  # on which Textual draws
        except termios.error:
            self._abandon(signal.SIGHUP, None)

    def _adapt_to_terminal(self) -> None:
        if self.is_headless:
            return
        poor = self.no_color or self.console.color_system == "standard"
        if poor and "TEXTUAL_THEME" not in os.environ:
            self.theme = "ansi-dark"  # uses the terminal's own sixteen colours
        if "SSH_CONNECTION" in os.environ and "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"

    @work(group="prepare")
    async def _prepare(self, comparison: Comparison) -> None:
        # An unusable store or folder is reported by the next action that writes to it.
        with contextlib.suppress(InvalidInputError, StoreError):
            await self._backend.start_worker(len(list(comparison.runs())), self.lab.setup.device)
            await self._backend.prepare(comparison)
        # Import NumPy now, so that the first chart opens quickly.
        await asyncio.to_thread(importlib.import_module, "initlab_tui.tui.screens.chart")

    @work(group="limits")
    async def _report_limits(self) -> None:
        """Report that the store can only be read, or has runs that are not trained."""
        with contextlib.suppress(InvalidInputError, StoreError):  # reported where the store is followed
            reason, held = await self._backend.read_only(), await self._backend.held()
            if reason:
                message = f"This store can be read but not changed: {reason}. Name another one with --store to train."
                self.notify(plain(message), severity="warning", timeout=NOTICE_SECONDS, markup=False)
            elif held:
                self.notify(held_message(held), severity="warning", timeout=NOTICE_SECONDS, markup=False)

    @work(group="follow")
    async def _follow(self) -> None:
        try:
            while True:
                self._exit_without_terminal()
                await self._poll()
                await asyncio.sleep(POLL_SECONDS)
        except InvalidInputError as error:
            self.exit(return_code=UNUSABLE, message=Text(plain(str(error))))
        except StoreError as error:
            message = f"the store cannot be used: {error}; training continues (see initlab-tui doctor)"
            self.exit(return_code=UNUSABLE, message=Text(plain(message)))

    async def _poll(self) -> None:
        view = await self._backend.poll()
        if view is not None:
            self._show(view)
        # After the new state is shown: a short run would be over before its curve is read at the next poll.
        wanted = self._trends.take()
        if wanted:
            self._trends.keep(await self._backend.trends(wanted))
            self.lab.refresh_trends({run.id for run in wanted})

    def _show(self, snapshot: StoreSnapshot) -> None:
        self.lab.show(snapshot)
        for screen in self.screen_stack:
            follow = getattr(screen, "follow", None)
            if follow:
                follow(snapshot)
        for ended in snapshot.ended:
            self._announce(ended)
        if self._had_room and not snapshot.has_room:
            message = "The disk of the store is full: runs wait, and continue when there is room."
            self.notify(message, severity="warning", timeout=NOTICE_SECONDS, markup=False)
        self._had_room = snapshot.has_room

    def _announce(self, ended: EndedComparison) -> None:
        self.notify(
            plain(ended.sentence) or "Only one initializer: nothing to rank.",
            title=plain(ended.title),
            severity="information" if ended.is_complete else "warning",
            timeout=NOTICE_SECONDS,
            markup=False,
        )

    def action_help(self) -> None:
        """Show or close the help."""
        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        else:
            self.push_screen(HelpScreen())

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield every action of the lab, then Textual's own, e.g. to choose a theme."""
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
        """Quit; if runs are active, ask whether to stop them."""
        active = sum(run.status is not RunStatus.PAUSED and not run.is_without_worker for run in self.lab.active)
        if not active or (isinstance(self.screen, Choose) and self.screen.answers == QUIT_ANSWERS):
            self.exit()
            return
        verb = "is" if active == 1 else "are"
        self.push_screen(Choose(f"{counted(active, 'run')} {verb} queued or running.", QUIT_ANSWERS), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "stop":
            self._stop_and_exit()
        elif answer == "keep":
            self.exit()

    @work
    async def _stop_and_exit(self) -> None:
        ids = [run.id for run in self.lab.active]
        await self._backend.write(lambda store: queue.stop(store, ids))
        self.exit()

    def close(self) -> None:
        """Release the store and idle workers, after the app has ended."""
        self._backend.close()


def _settings(store: Store, demo: Comparison | None) -> Settings:
    """Return the form's first content: the demo, the store's last comparison, or the default."""
    last = last_comparison(store)
    if demo:
        return Settings(demo)
    if last is None:
        return Settings()
    comparison, device = last
    # Without a GPU nobody chose the device.
    return Settings(comparison, AUTO if device == "cpu" and not supervisor.gpus() else device)
