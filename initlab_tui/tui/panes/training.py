"""The training pane: the queue of runs, and the run under its cursor."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution.patience import DISK_FULL
from initlab_tui.store.runs import Run, UnreadableRun
from initlab_tui.tui.keys import TRAINING, bindings
from initlab_tui.tui.panes import queue_rows
from initlab_tui.tui.panes.run_panel import run_panel
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trends
from initlab_tui.tui.widgets.lines import Lines
from initlab_tui.tui.widgets.table import Table

WIDTH_WITH_LAYERS = 128
KEPT_SECONDS = 1.0  # that a run which has ended stays on display until the next one has a curve


class Training(Vertical):
    """The queue; `trends` has the training curves, from which the app reads the requested ones."""

    DEFAULT_CSS = """
    Training #now { height: 7; padding: 0 1; }
    Training Table { padding: 0 1; }
    Training #by-layer { width: 53; padding: 0 1; display: none; }
    """
    BINDINGS = bindings(TRAINING)

    class Requested(Message):
        """The user requests an action on a run: skip, resume, details or layers."""

        def __init__(self, action: str, run_id: int) -> None:
            super().__init__()
            self.action, self.run_id = action, run_id

    def __init__(self, trends: Trends) -> None:
        super().__init__(id="training")
        self.border_title = "2 Training"
        self._trends = trends
        self._snapshot: StoreSnapshot | None = None
        self._following = True
        self._subtitle = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical():
                yield Lines(id="now")
                yield Table[int](lambda run_id: queue_rows.cells(self._row(run_id)), id="queue", frozen=3)
            yield Lines(id="by-layer")

    def on_mount(self) -> None:
        self._draw()

    @property
    def queue(self) -> Table[int]:
        """The runs by id: running, paused and queued ones, then those that ended."""
        return self.query_one("#queue", Table)

    @property
    def current(self) -> Run | None:
        """The run under the cursor."""
        return self._run(self.queue.current)

    def _run(self, run_id: int | None) -> Run | None:
        return self._snapshot.runs.get(run_id) if self._snapshot and run_id is not None else None

    def _row(self, run_id: int | None) -> Run | UnreadableRun | None:
        """Return the run of a line, or why it cannot be read."""
        unreadable = self._snapshot.unreadable if self._snapshot else ()
        return self._run(run_id) or next((run for run in unreadable if run.id == run_id), None)

    def show(self, snapshot: StoreSnapshot) -> None:
        """Show the current state of the store."""
        self._snapshot = snapshot
        self.queue.show(queue_rows.columns(self.queue.size.width), queue_rows.order(snapshot))
        if self._following:
            self._follow()
        self.refresh_trends()

    def on_resize(self) -> None:
        """Show the layers of the run where there is room for them."""
        self.query_one("#by-layer").display = self.size.width >= WIDTH_WITH_LAYERS

    @on(Table.Resized)
    def _table_resized(self, event: Table.Resized) -> None:
        event.stop()
        if self._snapshot:
            self.show(self._snapshot)

    def refresh_trends(self) -> None:
        """Draw the curves that were read since."""
        self._draw()

    def _draw(self) -> None:
        run = self._displayed()
        trend = self._trends.get(run) if run else None
        now = self.query_one("#now", Lines)
        shown = run or (None if self.queue.current is None else self._row(self.queue.current))
        now.show(run_panel(shown, trend, now.size.width, waits_for=self._waits_for))
        by_layer = self.query_one("#by-layer", Lines)
        if by_layer.display:
            by_layer.show(self._layer_lines(run, by_layer.size.height - 1))
        subtitle = queue_rows.progress(self._snapshot) if self._snapshot else ""
        if subtitle != self._subtitle:
            # Setting it, even to the same text, repaints the whole pane.
            self._subtitle = self.border_subtitle = subtitle

    @property
    def _waits_for(self) -> str:
        """What queued runs wait for."""
        if self._snapshot and not self._snapshot.has_room:
            return DISK_FULL
        active = self._snapshot.active if self._snapshot else ()
        is_training = any(run.status is RunStatus.RUNNING for run in active)
        return "waiting for a free worker" if is_training else "starting TensorFlow (about 10 s)"

    def _displayed(self) -> Run | None:
        """Return the run under the cursor, or the one that has just ended while the followed one has no step yet.

        Runs of a fraction of a second would otherwise be over before their curves are on the screen.
        """
        current = self.current
        if not (self._following and current and current.status is RunStatus.RUNNING and not current.step):
            return current
        runs = self._snapshot.runs.values() if self._snapshot else ()
        after = time.time() - KEPT_SECONDS
        ended = [run for run in runs if run.comparison_id == current.comparison_id and run.step and run.ended]
        newest = max(ended, key=lambda run: run.ended or 0.0, default=None)
        if newest is None or (newest.ended or 0.0) < after:
            return current
        self.set_timer(KEPT_SECONDS, self._draw)
        return newest

    def _layer_lines(self, run: Run | None, most: int) -> Sequence[Text]:
        from initlab_tui.reports.layers import layer_lines  # not needed for the first paint

        trend = self._trends.get(run) if run else None
        measured = trend.measurement if trend else None
        return layer_lines(measured.measurement, measured.diagnosis, most) if measured else ()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Show only keys that have an effect on the run under the cursor."""
        if action == "skip":
            return bool(self.is_mounted and self.current and self.current.status.is_active)
        return True

    @on(Table.Moved)
    def _moved(self, event: Table.Moved) -> None:
        event.stop()
        self._draw()

    @on(Table.MovedByUser)
    def _moved_by_user(self, event: Table.MovedByUser) -> None:
        event.stop()
        self._following = False

    @on(Table.Chosen)
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_details()

    def action_skip(self) -> None:
        self._request("skip")

    def action_resume(self) -> None:
        self._request("resume")

    def action_details(self) -> None:
        self._request("details")

    def action_layers(self) -> None:
        self._request("layers")

    def _request(self, action: str) -> None:
        if self.queue.current is not None:
            self.post_message(self.Requested(action, self.queue.current))

    def action_follow(self) -> None:
        """Keep the cursor on the running run from now on."""
        self._following = True
        self._follow()

    def _follow(self) -> None:
        current = self.current
        is_running = current is not None and current.status is RunStatus.RUNNING
        if not is_running and self.queue.keys and self.queue.cursor != 0:
            self.queue.cursor = 0
