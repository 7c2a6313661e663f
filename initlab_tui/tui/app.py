"""The lab: three panes over one store, which they follow and write requests into."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import RenderableType
from textual import on, work
from textual.app import App, ComposeResult, SystemCommand
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import Screen
from textual.widgets import Footer, Static

from initlab_tui.experiments.datasets import DATASETS
from initlab_tui.experiments.problems import InvalidInputError, Problem
from initlab_tui.experiments.spec import Comparison
from initlab_tui.reports.text import plain, seconds
from initlab_tui.runs import curate, launch, queue, supervisor
from initlab_tui.runs.duration import expected_seconds
from initlab_tui.runs.preflight import Facts
from initlab_tui.runs.store import Run, Store
from initlab_tui.tui import trends as curves
from initlab_tui.tui.keys import EVERYWHERE, RESULTS, SETUP, TRAINING, Key, bindings
from initlab_tui.tui.messages import Looked
from initlab_tui.tui.panes.results import Results
from initlab_tui.tui.panes.setup import AUTO, Settings, Setup
from initlab_tui.tui.panes.training import Training
from initlab_tui.tui.screens.dialogs import Ask, Choose
from initlab_tui.tui.screens.help import HELP_KEYS, HelpScreen
from initlab_tui.tui.store_thread import StoreThread
from initlab_tui.tui.trends import Trends
from initlab_tui.tui.watcher import Ended, View, Watcher

LOOK_SECONDS = 0.2
IDLE_SECONDS = 600.0  # that a worker waits for the next comparison before it frees its memory
KEPT_DELETED_SECONDS = 7 * 24 * 3600.0
NOTICE_SECONDS = 15.0
CHART_POINTS = 400
PANES = ("setup", "training", "results")


class LabApp(App[None]):
    """The lab over `store`; `demo` is trained as soon as it is open."""

    CSS_PATH = "app.tcss"
    TITLE = "initlab-tui"
    BINDINGS = bindings(EVERYWHERE)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide"), (160, "-very-wide")]
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self, store: Store, data_dir: Path | None = None, folder: Path | None = None, demo: Comparison | None = None
    ) -> None:
        super().__init__()
        self._path, self._data_dir, self._folder = store.path, data_dir, folder or Path.cwd()
        self._settings = _last_settings(store, demo)
        self._demo = demo
        # Reading must not wait for a writer that waits for the lock.
        self._reading = StoreThread(store.path, "reading")
        self._writing = StoreThread(store.path, "writing")
        self._watcher = Watcher()
        self._trends = Trends()
        self._view: View | None = None
        self._own_workers: list[int] = []
        self._deleted: list[list[int]] = []
        self._facts: dict[str, Facts] = {}

    def compose(self) -> ComposeResult:
        with Horizontal(id="tabs"):
            for number, name in enumerate(PANES, 1):
                yield Static(f"{number} {name.capitalize()}", id=f"tab-{name}", classes="tab")
        with Horizontal(id="lab"):
            yield Setup(self._settings, _devices())
            with Vertical(id="right"):
                yield Training(self._trends)
                yield Results(self._trends)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._suit_the_terminal()
        self.action_pane("setup")
        self._leave_on_signals()
        self._follow()
        self._prepare_a_worker()
        if self._demo:
            self.action_run()

    def _suit_the_terminal(self) -> None:
        if self.console.color_system == "standard" and "TEXTUAL_THEME" not in os.environ:
            self.theme = "ansi-dark"  # sixteen colours are the terminal's own
        if "SSH_CONNECTION" in os.environ and "TEXTUAL_ANIMATIONS" not in os.environ:
            self.animation_level = "none"

    def _leave_on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit)

    @property
    def setup(self) -> Setup:
        return self._lab.query_one(Setup)

    @property
    def training(self) -> Training:
        return self._lab.query_one(Training)

    @property
    def results(self) -> Results:
        return self._lab.query_one(Results)

    @property
    def _lab(self) -> Screen[object]:
        return self.screen_stack[0]

    @work(group="follow", exit_on_error=True)
    async def _follow(self) -> None:
        while True:
            view = await self._reading.do(self._watcher.look)
            if view is not None:
                self.post_message(Looked(view))
            await self._read_trends()
            await asyncio.sleep(LOOK_SECONDS)

    async def _read_trends(self) -> None:
        runs = self._trends.take()
        if runs:
            self._trends.keep(await self._reading.do(lambda store: curves.read(store, runs)))
            self.training.refresh_trends()
            self.results.refresh_trends()

    @on(Looked)
    def _looked(self, message: Looked) -> None:
        before, self._view = self._view, message.view
        view = message.view
        self.training.show(view)
        self.results.show(view)
        self._show_tabs(view)
        for screen in self.screen_stack[1:]:
            refresh = getattr(screen, "refresh_runs", None)
            if refresh:
                refresh(view.changed)
        for ended in view.ended:
            self._tell_end(ended)
        if before is None or bool(before.active) != bool(view.active) or bool(before.groups) != bool(view.groups):
            self.refresh_bindings()
        if before is None or (view.ranked and not view.active):
            self._sum_up()

    def _tell_end(self, ended: Ended) -> None:
        self.notify(
            plain(ended.sentence) or "Nothing of it can be ranked.",
            title=plain(ended.title),
            severity="information" if ended.well else "warning",
            timeout=NOTICE_SECONDS,
            markup=False,
        )

    def _show_tabs(self, view: View) -> None:
        busy = sum(run.status == "running" for run in view.active)
        waiting = len(view.active) - busy
        told = {
            "setup": "1 Setup",
            "training": "2 Training" + (f" {busy} running" if busy else "") + (f", {waiting} wait" if waiting else ""),
            "results": f"3 Results {len(view.groups)}",
        }
        for name, text in told.items():
            tab = self._lab.query_one(f"#tab-{name}", Static)
            if str(tab.content) != text:
                tab.update(Content(text))

    @on(Click, ".tab")
    def _tab_clicked(self, event: Click) -> None:
        if event.widget and event.widget.id:
            self.action_pane(event.widget.id.removeprefix("tab-"))

    def action_pane(self, name: str) -> None:
        """Go to a pane; where there is room for one only, show it."""
        for pane in PANES:
            self._lab.set_class(pane == name, f"show-{pane}")
            self._lab.query_one(f"#tab-{pane}").set_class(pane == name, "-current")
        home = {"setup": "#starts", "training": "#queue", "results": "#board"}[name]
        self._lab.query_one(home).focus()

    # The setup: what would be run, and running it.

    @on(Setup.Edited)
    def _edited(self) -> None:
        self._sum_up()

    def _sum_up(self) -> None:
        comparison = self.setup.comparison
        if comparison is None:
            return
        specs = list(comparison.runs())
        amount = f"{len(specs)} runs: {len(specs) // len(comparison.seeds)} starts × {len(comparison.seeds)} seeds"
        data = self._data_of(comparison.base.dataset)
        if data is None:
            self.setup.tell(f"{amount}; how long is known once the file was read")
            return
        self.setup.show_preview(comparison, data.shape, data.classes)
        workers = min(supervisor.cores(), len(specs))
        done = (run for run in reversed(self._view.runs.values()) if self._view) if self._view else ()
        expected = expected_seconds(specs, data.shape, data.classes, data.train, workers, done)
        self.setup.tell(f"{amount}, about {seconds(expected.seconds)} ({expected.basis})")

    def _data_of(self, dataset: str) -> Facts | None:
        """What is known of a dataset without reading it, or from when it was checked last."""
        entry = DATASETS.get(dataset)
        known = Facts(None, entry.shape, entry.classes, entry.train, entry.test) if entry else None
        return self._facts.get(dataset, known)

    def action_run(self) -> None:
        """Queue what the form describes."""
        comparison = self.setup.comparison
        if comparison is None:
            self.action_pane("setup")
            self.setup.focus_first_wrong()
            self.notify("The setup has something wrong: see the marked field.", severity="error", markup=False)
        elif self._is_under_way(comparison):
            answers = [("no", "Leave it"), ("yes", "Queue it once more")]

            def answered(answer: str | None) -> None:
                if answer == "yes":
                    self._launch(comparison)

            self.push_screen(Choose("The same comparison is queued already.", answers), answered)
        else:
            self._launch(comparison)

    def _is_under_way(self, comparison: Comparison) -> bool:
        specs = {(spec.identity, spec.seed) for spec in comparison.runs()}
        active = {(run.identity, run.spec.seed) for run in self._view.active} if self._view else set()
        return specs <= active

    @work(group="launch")
    async def _launch(self, comparison: Comparison) -> None:
        self.setup.tell("checking the data …")
        place = launch.Place(device=self.setup.device)
        try:
            prepared = await asyncio.to_thread(
                launch.prepare, comparison, self._data_dir, self._folder, place, quiet=True
            )
        except InvalidInputError as error:
            self._refuse(error.problems)
            return
        self._facts[comparison.base.dataset] = prepared.facts
        await self._writing.do(lambda store: launch.enqueue(store, prepared))
        self._sum_up()
        self.action_pane("training")
        self._own_workers += await self._writing.do(
            lambda store: supervisor.start_workers(store, prepared.plan, idle=IDLE_SECONDS)
        )

    def _refuse(self, problems: Sequence[Problem]) -> None:
        self.action_pane("setup")
        self.setup.refuse(problems)
        self.setup.focus_first_wrong()
        self.notify(
            plain(problems[0].message), title="Not queued", severity="error", timeout=NOTICE_SECONDS, markup=False
        )

    @work(group="launch")
    async def _prepare_a_worker(self) -> None:
        """Have TensorFlow imported while the person is still reading."""
        comparison = self.setup.comparison
        if comparison is None or self._demo:
            return
        runs = len(list(comparison.runs()))
        plan = await asyncio.to_thread(supervisor.plan, runs, self.setup.device, None, None, 0)
        one = supervisor.Plan(1, plan.threads, plan.device)
        self._own_workers += await self._writing.do(
            lambda store: supervisor.start_workers(store, one, idle=IDLE_SECONDS)
        )

    # Steering what trains.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Show only keys that can do something now."""
        view = self._view
        if self.screen is not self._lab and action in ("run", "pause", "stop", "stop_all", "chart", "pane"):
            return False
        if action in ("pause", "stop", "stop_all"):
            return bool(view and view.active)
        if action == "chart":
            return bool(view and view.groups)
        return True

    def _under_way(self) -> list[Run]:
        """The active runs of the comparison under the training pane's cursor, else of the one that trains."""
        active = list(self._view.active) if self._view else []
        current = self.training.current
        chosen = current if current and not current.is_over else next(iter(active), None)
        if chosen is None or chosen.comparison_id is None:
            return [chosen] if chosen else []
        return [run for run in active if run.comparison_id == chosen.comparison_id]

    def action_pause(self) -> None:
        """Pause the comparison, or let it go on."""
        runs = self._under_way()
        if any(run.status in ("running", "queued") for run in runs):
            ids = [run.id for run in runs if run.status in ("running", "queued")]
            self._write(lambda store: queue.pause(store, ids), "Pausing {} runs; p lets them go on.")
        elif runs:
            self._write(lambda store: self._resume(store, [run.id for run in runs]), "{} runs go on.")

    def _resume(self, store: Store, ids: list[int]) -> list[int]:
        resumed = queue.resume(store, ids)
        for plan in supervisor.needed_again(store, ids):
            self._own_workers += supervisor.start_workers(store, plan, idle=IDLE_SECONDS)
        return resumed

    def action_stop(self) -> None:
        """Stop the comparison."""
        ids = [run.id for run in self._under_way()]
        self._write(lambda store: queue.stop(store, ids), "Stopping {} runs; what they recorded is kept.")

    def action_stop_all(self) -> None:
        """Stop everything."""
        ids = [run.id for run in self._view.active] if self._view else []
        self._write(lambda store: queue.stop(store, ids), "Stopping {} runs; what they recorded is kept.")

    @work(group="write")
    async def _write(self, change: Callable[[Store], list[int]], told: str) -> None:
        try:
            ids = await self._writing.do(change)
        except InvalidInputError as error:
            self.notify(plain(str(error)), severity="error", markup=False)
        else:
            self.notify(told.format(len(ids)), markup=False)

    @on(Training.Asked)
    def _training_asked(self, message: Training.Asked) -> None:
        if message.action == "skip":
            self._write(lambda store: queue.stop(store, [message.run_id]), "Skipping {} run.")
        else:
            self._details(message.run_id)

    # Looking at results.

    @on(Results.Asked)
    def _results_asked(self, message: Results.Asked) -> None:
        match message.action:
            case "details":
                self._details(message.ids[0])
            case "sort":
                self._sort()
            case "delete":
                self._delete(message.ids)
            case "undo":
                self._undo()
            case "rename":
                self._rename(message.ids)
            case "tag":
                self._tag(message.ids)

    def _sort(self) -> None:
        columns = self.results.sortable
        current = self.results.choice.sort
        self.push_screen(
            Choose("Sort by", columns, current), lambda key: self.results.sort_by(key) if key is not None else None
        )

    @work(group="write")
    async def _delete(self, ids: list[int]) -> None:
        try:
            deleted = await self._writing.do(lambda store: curate.delete(store, ids))
        except InvalidInputError as error:
            self.notify(plain(str(error)), severity="error", markup=False)
            return
        self._deleted.append(deleted)
        self.results.unmark()
        self.notify(f"Deleted {len(deleted)} runs; u brings them back.", markup=False)

    def _undo(self) -> None:
        if self._deleted:
            ids = self._deleted.pop()
            self._write(lambda store: curate.restore(store, ids), "Brought back {} runs.")
        else:
            self.notify("Nothing was deleted since the lab was opened.", markup=False)

    def _rename(self, ids: list[int]) -> None:
        names = {run.name for run in self._runs(ids)}
        question = f"Name of {len(ids)} runs (empty: none)"
        self._ask(question, names.pop() if len(names) == 1 else "", lambda store, text: curate.rename(store, ids, text))

    def _tag(self, ids: list[int]) -> None:
        tags = dict.fromkeys(tag for run in self._runs(ids) for tag in run.tags.split())
        self._ask(f"Tags of {len(ids)} runs", " ".join(tags), lambda store, text: curate.tag(store, ids, text))

    def _ask(self, question: str, value: str, change: Callable[[Store, str], None]) -> None:
        def answered(text: str | None) -> None:
            if text is not None:
                self._write(lambda store: _without_ids(change, store, text), "Noted.")

        self.push_screen(Ask(question, value, lambda text: curate.fitting("it", text)), answered)

    def _runs(self, ids: Iterable[int]) -> list[Run]:
        return [self._view.runs[run_id] for run_id in ids if run_id in self._view.runs] if self._view else []

    def _details(self, run_id: int) -> None:
        from initlab_tui.reports.run_page import run_page  # the first paint does without
        from initlab_tui.tui.screens.details import DetailsScreen

        async def read(run_id: int) -> RenderableType | None:
            def page(store: Store) -> RenderableType | None:
                run = store.run(run_id)
                return run_page(store, run) if run else None

            return await self._reading.do(page)

        self.push_screen(DetailsScreen(run_id, lambda: list(self._view.runs) if self._view else [], read))

    def action_chart(self) -> None:
        """Draw the marked groups and runs, or all on show."""
        from initlab_tui.tui.screens.chart import ChartScreen  # with NumPy and the plot widget

        series = self.results.series
        if series:
            self.push_screen(
                ChartScreen(
                    series,
                    lambda run_id, split: self._reading.do(lambda store: store.trend(run_id, split, CHART_POINTS)),
                )
            )

    # Help, palette, leaving.

    @property
    def key_sections(self) -> list[tuple[str, Sequence[Key]]]:
        """All keys by place."""
        from initlab_tui.tui.screens.chart import CHART_KEYS
        from initlab_tui.tui.screens.details import DETAILS_KEYS

        return [
            ("Everywhere", EVERYWHERE),
            ("1 Setup, on the list of initializers", SETUP),
            ("2 Training", TRAINING),
            ("3 Results", RESULTS),
            ("Chart", CHART_KEYS),
            ("Details", DETAILS_KEYS),
            ("Help", HELP_KEYS),
        ]

    def action_help(self) -> None:
        """Show all keys."""
        self.push_screen(HelpScreen(self.key_sections))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of the lab, and Textual's own, the themes among them."""
        for place, keys in (("", EVERYWHERE), ("setup", SETUP), ("training", TRAINING), ("results", RESULTS)):
            for key in keys:
                where = f"{place.capitalize()}: " if place else ""
                yield SystemCommand(f"{where}{key.label}", f"{key.help} ({key.shown})", self._command(place, key))
        yield from super().get_system_commands(screen)

    def _command(self, place: str, key: Key) -> Callable[[], None]:
        async def perform() -> None:
            if place:
                self.action_pane(place)
            homes = {
                "": self,
                "setup": self.setup.query_one("#starts"),
                "training": self.training,
                "results": self.results,
            }
            await self.run_action(key.action, homes[place])

        def later() -> None:
            self.call_later(perform)

        return later

    async def action_quit(self) -> None:
        """Leave; what trains is kept going unless it is to be stopped."""
        going_on = [run for run in self._view.active if run.status != "paused"] if self._view else []
        if isinstance(self.screen, Choose) or not going_on:
            self.exit()
            return
        answers = [
            ("keep", "Leave, and keep them going: the next start of the lab shows them"),
            ("stop", "Leave, and stop them; what they recorded is kept"),
            ("stay", "Stay"),
        ]
        runs = "1 run trains or waits" if len(going_on) == 1 else f"{len(going_on)} runs train or wait"
        self.push_screen(Choose(f"{runs}.", answers), self._leave)

    def _leave(self, answer: str | None) -> None:
        if answer == "stop":
            self._stop_and_exit([run.id for run in self._view.active] if self._view else [])
        elif answer == "keep":
            self.exit()

    @work
    async def _stop_and_exit(self, ids: list[int]) -> None:
        await self._writing.do(lambda store: queue.stop(store, ids))
        self.exit()

    def close(self) -> None:
        """Let go of the store, and of the workers that only wait; those that train end when nothing is left."""
        self._reading.close()
        self._writing.close()
        with Store.open(self._path) as store:
            supervisor.dismiss(store, self._own_workers)


def _without_ids(change: Callable[[Store, str], None], store: Store, text: str) -> list[int]:
    change(store, text)
    return []


def _devices() -> list[str]:
    found = supervisor.gpus()
    return ["cpu", *(["gpu"] if found else []), *(f"gpu:{number}" for number in range(len(found)))]


def _last_settings(store: Store, demo: Comparison | None) -> Settings:
    """The demo, or the last comparison of the store, or what a first start begins with."""
    if demo:
        return Settings(demo)
    last = store.last_comparison()
    if last is None:
        return Settings()
    comparison, device = last
    # Where there is no choice, the CPU was nobody's.
    return Settings(comparison, AUTO if device == "cpu" and not supervisor.gpus() else device)
