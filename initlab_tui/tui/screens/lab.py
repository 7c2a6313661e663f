"""The lab itself: the three panes together, or one at a time, and what their keys do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Static

from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.spec import Comparison
from initlab_tui.execution import supervisor
from initlab_tui.reports.format import about, initializer_name, plain
from initlab_tui.services.dataset_facts import DatasetFacts, facts_of
from initlab_tui.services.estimate import expected_seconds
from initlab_tui.store import edits, queue
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.runs import Run
from initlab_tui.tui.keys import LAB, bindings
from initlab_tui.tui.lab_backend import LabBackend, devices
from initlab_tui.tui.panes.results import Results
from initlab_tui.tui.panes.setup import AUTO, Settings, Setup
from initlab_tui.tui.panes.training import Training
from initlab_tui.tui.screens.dialogs import Ask, Choose
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trends

if TYPE_CHECKING:
    from initlab_tui.domain.claims.recipe import Experiment, Recipe

NOTICE_SECONDS = 15.0
HOMES = {"setup": "#starts", "training": "#queue", "results": "#leaderboard"}
ASKED_FROM_SECONDS = 30.0
KEPT = "Stopping {} runs; what they recorded is kept."


class LabScreen(Screen[None]):
    """The panes over what `desk` reads; begins with `settings` in the form."""

    BINDINGS = bindings(LAB)
    AUTO_FOCUS = HOMES["setup"]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide"), (160, "-very-wide")]

    def __init__(self, desk: LabBackend, trends: Trends, settings: Settings) -> None:
        super().__init__(classes="show-setup")
        self._desk, self._trends, self._settings = desk, trends, settings
        self._view: StoreSnapshot | None = None
        self._facts: dict[str, DatasetFacts] = {}

    def compose(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for number, name in enumerate(HOMES, 1):
                yield Static(f"{number} {name.capitalize()}", id=f"tab-{name}", classes="tab")
        with Horizontal(id="lab"):
            yield Setup(self._settings, devices())
            with Vertical(id="right"):
                yield Training(self._trends)
                yield Results(self._trends)
        yield Footer(compact=True, show_command_palette=False)

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
        """Where the cursor goes in a pane."""
        return self.query_one(HOMES[pane])

    @property
    def active(self) -> list[Run]:
        """The runs that wait, train or are paused."""
        return list(self._view.active) if self._view else []

    @property
    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        return list(self._view.runs.values()) if self._view else []

    def show(self, view: StoreSnapshot) -> None:
        """Show the store as it is now."""
        before, self._view = self._view, view
        self.training.show(view)
        self.results.show(view)
        self._show_tabs(view)
        if before is None or bool(before.active) != bool(view.active) or bool(before.groups) != bool(view.groups):
            self.refresh_bindings()
        if before is None or (view.ranked and not view.active):
            self._sum_up()
        if view.ranked:
            self._judge(view)

    def refresh_trends(self, ids: Collection[int]) -> None:
        """Draw the curves of these runs, which were read since."""
        self.training.refresh_trends()
        self.results.refresh_runs(ids)

    def _show_tabs(self, view: StoreSnapshot) -> None:
        busy = sum(run.status == "running" for run in view.active)
        paused = sum(run.status == "paused" for run in view.active)
        counts = {"running": busy, "waiting": len(view.active) - busy - paused, "paused": paused}
        going_on = [f"{count} {word}" for word, count in counts.items() if count]
        self._show_tab("training", f"2 Training {', '.join(going_on)}".rstrip())

    def _show_tab(self, name: str, text: str) -> None:
        tab = self.query_one(f"#tab-{name}", Static)
        if str(tab.content) != text:
            tab.update(Content(text))

    @on(Results.Counted)
    def _counted(self, message: Results.Counted) -> None:
        self._show_tab("results", f"3 Results {message.text}")

    @on(Click, ".tab")
    def _tab_clicked(self, event: Click) -> None:
        if event.widget and event.widget.id:
            self.action_pane(event.widget.id.removeprefix("tab-"))

    def action_pane(self, name: str) -> None:
        """Go to a pane; where there is room for one only, show it."""
        for pane in HOMES:
            self.set_class(pane == name, f"show-{pane}")
            self.query_one(f"#tab-{pane}").set_class(pane == name, "-current")
        self.home(name).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Show only keys that can do something now."""
        if action in ("pause", "stop", "stop_all"):
            return bool(self.active)
        if action == "chart":
            return bool(self._view and self._view.groups)
        return True

    # What would be run, and running it.

    @on(Setup.Edited)
    def _sum_up(self) -> None:
        comparison = self.setup.comparison
        if comparison is None:
            return
        specs = list(comparison.runs())
        seeds = len(comparison.seeds)
        starts, others = len(comparison.initializers), len(specs) // seeds // len(comparison.initializers)
        between = f" × {_many(others, 'setting')}" if others > 1 else ""
        amount = f"{_many(len(specs), 'run')}: {_many(starts, 'start')}{between} × {_many(seeds, 'seed')}"
        data = self._data_of(comparison.base.dataset)
        if data is None:
            self.setup.tell(f"{amount}; how long is known once the file was read")
            return
        self.setup.show_preview(comparison, data.shape, data.classes, data.mean_square)
        workers = min(supervisor.cores(), len(specs))
        done = reversed(self._view.runs.values()) if self._view else ()
        expected = expected_seconds(specs, data.shape, data.classes, data.train, workers, done)
        self.setup.tell(f"{amount}, about {about(expected.seconds)} ({expected.basis})")

    def _data_of(self, dataset: str) -> DatasetFacts | None:
        """What is known of a dataset without reading it, or from when it was read last."""
        entry = DATASETS.get(dataset)
        known = facts_of(entry) if entry else None
        return self._facts.get(dataset, known)

    def action_run(self) -> None:
        """Queue what the form describes."""
        comparison = self.setup.comparison
        if comparison is None:
            self.action_pane("setup")
            self.setup.focus_first_wrong()
            self.notify("Not queued: see what is marked in the setup.", severity="error", markup=False)
        elif self._is_under_way(comparison):
            self._ask_whether_again(comparison)
        else:
            self._launch(comparison)

    def _is_under_way(self, comparison: Comparison) -> bool:
        active = {(run.spec_hash, run.spec.seed) for run in self.active}
        return all((spec.spec_hash, spec.seed) in active for spec in comparison.runs())

    def _ask_whether_again(self, comparison: Comparison) -> None:
        def answered(answer: str | None) -> None:
            if answer == "yes":
                self._launch(comparison)

        answers = [("no", "Leave it at that"), ("yes", "Queue it once more")]
        self.app.push_screen(Choose("The same comparison is queued or trains already.", answers), answered)

    @work(group="launch")
    async def _launch(self, comparison: Comparison) -> None:
        self.setup.tell("checking the data …")
        try:
            facts = await self._desk.launch(comparison, self.setup.device)
        except InvalidInputError as error:
            self._refuse(error.problems)
            return
        except StoreError as error:
            self._refuse([Problem("store", f"the store cannot be written: {error}")])
            return
        self._facts[comparison.base.dataset] = facts
        self._sum_up()
        self.training.action_follow()
        self.action_pane("training")

    def _refuse(self, problems: Sequence[Problem]) -> None:
        self.action_pane("setup")
        self.setup.refuse(problems)
        self.setup.focus_first_wrong()
        told = plain(problems[0].message)
        self.notify(told, title="Not queued", severity="error", timeout=NOTICE_SECONDS, markup=False)

    # Recipes: what to run again, and what comes of their claims.

    @work(group="recipes")
    async def action_recipes(self) -> None:
        """Choose a published experiment, which fills the form."""
        from initlab_tui.tui.recipe_list import answers, experiment_of  # the first paint does without

        found = await self._desk.recipes()

        def answered(key: str | None) -> None:
            if key is not None:
                self._fill(*experiment_of(found, key))

        if self.app.screen is self:
            self.app.push_screen(Choose("Fill the setup with", answers(found)).add_class("-roomy"), answered)

    def _fill(self, recipe: Recipe, part: Experiment) -> None:
        self.setup.put(Settings(part.comparison, self.setup.device or AUTO))
        self.action_pane("setup")
        own = [each.statement for each in recipe.claims if part.name in {group.experiment for group in each.groups}]
        claim = f"{'; '.join(own)}." if len(recipe.experiments) > 1 and own else recipe.claim
        told = f"{claim} r trains the {_many(len(list(part.runs())), 'run')}."
        if recipe.substitute_dataset:
            dataset, other = part.base.dataset, recipe.substitute_dataset
            told += f" Where {dataset} cannot be had, choose {other}: what is claimed of any dataset is judged on it."
        title = f"{recipe.name} {part.name}".rstrip()
        self.notify(plain(told), title=plain(title), timeout=NOTICE_SECONDS, markup=False)

    @work(exclusive=True, group="claims")
    async def _judge(self, view: StoreSnapshot) -> None:
        """Hold what the newest comparison came to, once it has ended, against what a recipe claims of it."""
        newest = [run for run in view.runs.values() if run.comparison_id == view.newest_id]
        if view.newest_id is None or not all(run.status.is_ended for run in newest):
            self.results.show_claims(())
            return
        claimed = await self._desk.claims(self.runs, view.newest_id)
        if claimed:
            from initlab_tui.reports.claims import tally

            self.results.show_claims([tally(each).append("; v shows them") for each in claimed])
        else:
            self.results.show_claims(())

    def action_claims(self) -> None:
        """Show the recipes' claims beside what their runs came to."""
        from initlab_tui.tui.screens.claims import ClaimsScreen  # the first paint does without

        self.app.push_screen(ClaimsScreen(lambda: self._desk.claims(self.runs)))

    # Steering what trains.

    def _under_way(self) -> list[Run]:
        """The active runs of the comparison under the training pane's cursor, else of the one that trains."""
        active, current = self.active, self.training.current
        chosen = current if current and not current.status.is_ended else next(iter(active), None)
        if chosen is None or chosen.comparison_id is None:
            return [chosen] if chosen else []
        return [run for run in active if run.comparison_id == chosen.comparison_id]

    def action_pause(self) -> None:
        """Pause the comparison, or let it go on."""
        runs = self._under_way()
        going_on = [run.id for run in runs if run.status != "paused"]
        if going_on:
            self._write(lambda store: queue.pause(store, going_on), "Pausing {} runs; p lets them go on.")
        elif runs:
            self._resume([run.id for run in runs])

    @work(group="write")
    async def _resume(self, ids: list[int]) -> None:
        self.notify(f"{len(await self._desk.resume(ids))} runs go on.", markup=False)

    def action_stop(self) -> None:
        """Stop the comparison."""
        self._stop(self._under_way())

    def action_stop_all(self) -> None:
        """Stop everything."""
        self._stop(self.active)

    def _stop(self, runs: Sequence[Run]) -> None:
        """Stop runs; where that gives up a while of training, ask first, since there is no way back."""
        ids, trained = [run.id for run in runs], sum(run.seconds for run in runs)

        def answered(answer: str | None) -> None:
            if answer == "stop":
                self._write(lambda store: queue.stop(store, ids), KEPT)

        if trained < ASKED_FROM_SECONDS:
            answered("stop")
            return
        question = f"{_many(len(ids), 'run')} would end here, after {about(trained)} of training."
        answers = [("stop", "Stop; what they recorded is kept"), ("no", "Let them be")]
        self.app.push_screen(Choose(question, answers), answered)

    @work(group="write")
    async def _write(self, change: Callable[[Store], Sequence[int] | None], told: str) -> None:
        try:
            ids = await self._desk.write(change)
        except (InvalidInputError, StoreError) as error:
            self.notify(plain(str(error)), severity="error", timeout=NOTICE_SECONDS, markup=False)
        else:
            self.notify(told.format(len(ids or ())), markup=False)

    @on(Training.Requested)
    def _training_requested(self, message: Training.Requested) -> None:
        if message.action == "skip":
            self._write(lambda store: queue.stop(store, [message.run_id]), "Skipping {} run.")
        else:
            self._open(message.action, message.run_id)

    # Looking at results, and keeping them in order.

    @on(Results.Requested)
    def _results_requested(self, message: Results.Requested) -> None:
        ids = message.ids
        match message.action:
            case "details" | "layers":
                self._open(message.action, ids[0])
            case "sort":
                self._sort()
            case "delete":
                self._write(lambda store: edits.delete(store, ids), "Deleted {} runs; u brings them back.")
                self.results.unmark()
            case "undo":
                self._undo()
            case "rename":
                self._rename(ids)
            case "tag":
                self._tag(ids)

    @work(group="write")
    async def _undo(self) -> None:
        ids = await self._desk.write(edits.restore_newest)
        told = f"Brought back {_many(len(ids), 'run')}." if ids else "Nothing is deleted that could be brought back."
        self.notify(told, markup=False)

    def _sort(self) -> None:
        def answered(key: str | None) -> None:
            if key is not None:
                self.results.sort_by(key)

        self.app.push_screen(Choose("Sort by", self.results.sortable, self.results.choice.sort), answered)

    def _rename(self, ids: list[int]) -> None:
        names = {run.name for run in self._runs(ids)}
        name = names.pop() if len(names) == 1 else ""
        question = f"Name of {_many(len(ids), 'run')}; empty for none"
        self._ask("name", question, name, lambda store, text: edits.rename(store, ids, text))

    def _tag(self, ids: list[int]) -> None:
        tags = dict.fromkeys(tag for run in self._runs(ids) for tag in run.tags.split())
        question = f"Tags of {_many(len(ids), 'run')}: words to filter by"
        self._ask("tags", question, " ".join(tags), lambda store, text: edits.tag(store, ids, text))

    def _ask(self, field: str, question: str, value: str, change: Callable[[Store, str], None]) -> None:
        def answered(text: str | None) -> None:
            if text is not None:
                self._write(lambda store: change(store, text), "Noted.")

        self.app.push_screen(Ask(question, value, lambda text: edits.fitting(field, text.strip())), answered)

    def _runs(self, ids: Iterable[int]) -> list[Run]:
        return [self._view.runs[run_id] for run_id in ids if run_id in self._view.runs] if self._view else []

    def _open(self, what: str, run_id: int) -> None:
        if what == "layers":
            self._layers(run_id)
            return
        from initlab_tui.tui.screens.details import DetailsScreen  # the first paint does without

        ids = lambda: [run.id for run in self.runs]  # noqa: E731
        self.app.push_screen(DetailsScreen(run_id, ids, self._desk.page, self._layers))

    def _layers(self, run_id: int) -> None:
        from initlab_tui.tui.screens.layers import LayersScreen

        run = self._view.runs.get(run_id) if self._view else None
        spec = f" {initializer_name(run.spec.initializer)} · seed {run.spec.seed}" if run else ""
        self.app.push_screen(LayersScreen(run_id, plain(f"run {run_id}{spec}: the layers"), self._desk.checkups))

    def action_chart(self) -> None:
        """Draw the marked groups and runs, or all on show."""
        from initlab_tui.tui.screens.chart import ChartScreen  # with NumPy and the plot widget

        self.app.push_screen(ChartScreen(self.results.series, self._desk.curve))


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
