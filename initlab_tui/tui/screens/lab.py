"""The screen of the lab: the actions of its keys on its panes."""

from __future__ import annotations

from textual import on

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.tui.actions.edit_results import ResultEditor
from initlab_tui.tui.actions.launch import Launcher
from initlab_tui.tui.actions.pages import Pages
from initlab_tui.tui.actions.recipes import RecipeActions
from initlab_tui.tui.actions.run_control import RunControl
from initlab_tui.tui.keys import LAB, bindings
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.panes.results import Results
from initlab_tui.tui.panes.setup import Settings, Setup
from initlab_tui.tui.panes.training import Training
from initlab_tui.tui.screens.dialogs import Choose
from initlab_tui.tui.screens.lab_panes import LabPanes
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trends


class LabScreen(LabPanes):
    """The lab: its panes, and the actions of its keys."""

    BINDINGS = bindings(LAB)

    def __init__(self, backend: LabBackend, trends: Trends, settings: Settings) -> None:
        super().__init__(backend, trends, settings)
        self._launcher = Launcher(self, backend)
        self._recipes = RecipeActions(self, backend)
        self._control = RunControl(self, backend)
        self._editor = ResultEditor(self, backend)
        self._pages = Pages(self, backend)

    def show(self, snapshot: StoreSnapshot) -> None:
        """Show the current state of the store."""
        before, self.snapshot = self.snapshot, snapshot
        self.training.show(snapshot)
        self.results.show(snapshot)
        self._show_counts(snapshot)
        if before is None or _available(before) != _available(snapshot):
            self.refresh_bindings()
        if before is None or (snapshot.ranked and not snapshot.active):
            self._launcher.summarize()
        if snapshot.ranked:
            self._recipes.evaluate(snapshot)

    def _show_counts(self, snapshot: StoreSnapshot) -> None:
        """Write on the tab of the training pane how many runs are active."""
        statuses = [run.status for run in snapshot.active]
        counts = {
            "running": statuses.count(RunStatus.RUNNING),
            "waiting": statuses.count(RunStatus.QUEUED),
            "paused": statuses.count(RunStatus.PAUSED),
        }
        words = [f"{number} {word}" for word, number in counts.items() if number]
        self.show_tab("training", f"2 Training {', '.join(words)}".rstrip())

    @on(Results.Counted)
    def _counted(self, message: Results.Counted) -> None:
        self.show_tab("results", f"3 Results {message.text}")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Show only the keys that can do something now."""
        if action in ("pause", "stop", "stop_all"):
            return bool(self.active)
        if action == "chart":
            return bool(self.snapshot and self.snapshot.groups)
        return True

    @on(Setup.Edited)
    def _edited(self) -> None:
        self._launcher.summarize()
        self._launcher.prepare()

    def action_run(self) -> None:
        """Queue what the form describes."""
        self._launcher.run()

    def action_recipes(self) -> None:
        """Choose a recipe to fill the form from."""
        self._recipes.choose()

    def action_chart(self) -> None:
        """Draw the marked groups and runs, or all that are shown."""
        self._pages.show_chart()

    def action_claims(self) -> None:
        """Show the recipes' claims next to the results."""
        self._recipes.show_claims()

    def action_pause(self) -> None:
        """Pause or resume the comparison."""
        self._control.pause_or_resume()

    def action_stop(self) -> None:
        """Stop the comparison."""
        self._control.stop()

    def action_stop_all(self) -> None:
        """Stop everything."""
        self._control.stop_all()

    @on(Training.Requested)
    def _training_requested(self, message: Training.Requested) -> None:
        match message.action:
            case "skip":
                self._control.skip(message.run_id)
            case "resume":
                self._control.resume_or_retry([message.run_id])
            case "layers":
                self._pages.show_layers(message.run_id)
            case "details":
                self._pages.show_details(message.run_id)

    @on(Results.Requested)
    def _results_requested(self, message: Results.Requested) -> None:
        ids = message.ids
        match message.action:
            case "layers":
                self._pages.show_layers(ids[0])
            case "details":
                self._pages.show_details(ids[0])
            case "sort":
                self._sort()
            case "resume":
                self._control.resume_or_retry(ids)
            case "delete":
                self._editor.delete(ids)
            case "undo":
                self._editor.undo()
            case "rename":
                self._editor.rename(ids)
            case "tag":
                self._editor.tag(ids)

    def _sort(self) -> None:
        def answered(key: str | None) -> None:
            if key is not None:
                self.results.sort_by(key)

        self.app.push_screen(Choose("Sort by", self.results.sortable, self.results.choice.sort), answered)


def _available(snapshot: StoreSnapshot) -> tuple[bool, bool]:
    """Return what decides which keys work: are there active runs, are there results."""
    return bool(snapshot.active), bool(snapshot.groups)
