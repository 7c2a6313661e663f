"""The three panes of the lab, side by side or one at a time, and what the actions on them share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click, DescendantFocus, Resize
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import counted
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.runs import Run
from initlab_tui.tui.lab_backend import LabBackend, devices
from initlab_tui.tui.messages import NOTICE_SECONDS
from initlab_tui.tui.panes.results import Results
from initlab_tui.tui.panes.setup import Settings, Setup
from initlab_tui.tui.panes.training import Training
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trends
from initlab_tui.tui.widgets.footer import KeyFooter

if TYPE_CHECKING:
    from initlab_tui.domain.claims.recipe import Recipe

HOMES = {"setup": "#initializers", "training": "#queue", "results": "#leaderboard"}
WIDE = 120  # columns from which all panes are shown


class LabPanes(Screen[None]):
    """The panes over the store that `backend` reads; the form begins with `settings`.

    `recipe` is the recipe that the form was last filled from.
    """

    AUTO_FOCUS = HOMES["setup"]
    # Textual repaints the whole screen when another widget gets the focus.
    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide"), (160, "-very-wide")]

    def __init__(self, backend: LabBackend, trends: Trends, settings: Settings) -> None:
        super().__init__()
        self._backend, self._trends, self._settings = backend, trends, settings
        self.snapshot: StoreSnapshot | None = None
        self.recipe: Recipe | None = None
        self._shown_pane = "setup"

    def compose(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for number, name in enumerate(HOMES, 1):
                yield Static(f"{number} {name.capitalize()}", id=f"tab-{name}", classes="tab")
        with Horizontal(id="lab"):
            yield Setup(self._settings, devices())
            with Vertical(id="right"):
                yield Training(self._trends)
                yield Results(self._trends)
        yield KeyFooter()

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        """Mark the pane with the focus."""
        focused = {node.id for node in event.widget.ancestors}
        for pane in self._panes:
            if pane.has_class("-focused") != (pane.id in focused):
                # Restyle only the pane: :focus-within or an ordinary change of class would restyle everything in it.
                pane.set_class(pane.id in focused, "-focused", update=False)
                self.app.stylesheet.apply(pane)
                pane.refresh()

    @property
    def _panes(self) -> Sequence[Widget]:
        return self.setup, self.training, self.results

    def on_resize(self, event: Resize) -> None:
        """Show all panes, or on a narrow terminal one at a time."""
        self._arrange(is_narrow=event.size.width < WIDE)

    def _arrange(self, *, is_narrow: bool) -> None:
        for pane in self._panes:
            pane.display = not is_narrow or pane.id == self._shown_pane
        self.query_one("#right").display = not is_narrow or self._shown_pane != "setup"

    @property
    def setup(self) -> Setup:
        return self.query_one(Setup)

    @property
    def training(self) -> Training:
        return self.query_one(Training)

    @property
    def results(self) -> Results:
        return self.query_one(Results)

    def home(self, pane: str) -> Widget:
        """Return the widget that gets the focus when a pane is shown."""
        return self.query_one(HOMES[pane])

    @property
    def active(self) -> list[Run]:
        """The runs that are queued, running or paused."""
        return list(self.snapshot.active) if self.snapshot else []

    @property
    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return list(self.snapshot.runs.values()) if self.snapshot else []

    def refresh_trends(self, ids: Collection[int]) -> None:
        """Draw the curves of these runs, which have been read."""
        self.training.refresh_trends()
        self.results.refresh_runs(ids)

    def show_tab(self, name: str, text: str) -> None:
        tab = self.query_one(f"#tab-{name}", Static)
        if str(tab.content) != text:
            tab.update(Content(text))

    @on(Click, ".tab")
    def _tab_clicked(self, event: Click) -> None:
        if event.widget and event.widget.id:
            self.action_pane(event.widget.id.removeprefix("tab-"))

    def action_pane(self, name: str) -> None:
        """Go to a pane; on a small terminal, show it alone."""
        self._shown_pane = name
        self._arrange(is_narrow=self.size.width < WIDE)
        for pane in HOMES:
            self.query_one(f"#tab-{pane}").set_class(pane == name, "-current")
        self.home(name).focus()

    def write(self, change: Callable[[Store], Sequence[int] | None], message: str) -> None:
        """Change the store in the background, then show `message` with the number of changed runs for its `{}`."""
        self.run_worker(self._write(change, message), group="write")

    async def _write(self, change: Callable[[Store], Sequence[int] | None], message: str) -> None:
        try:
            ids = await self._backend.write(change)
        except (InvalidInputError, StoreError) as error:
            self.show_error(error)
        else:
            self.notify(message.format(counted(len(ids or ()), "run")), markup=False)

    def show_error(self, error: InvalidInputError | StoreError) -> None:
        """Show why the store was not changed."""
        self.notify(plain(str(error)), severity="error", timeout=NOTICE_SECONDS, markup=False)
