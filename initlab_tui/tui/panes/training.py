"""The training pane: the queue, and the run under its cursor as it trains."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message

from initlab_tui.reports.diagnosis import checkup_text
from initlab_tui.reports.format import about, initializer_name, number, percent, plain, rate, seconds, short
from initlab_tui.store.database import Run
from initlab_tui.tui.keys import TRAINING, bindings
from initlab_tui.tui.status_style import STATES
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trends, bars
from initlab_tui.tui.widgets.lines import Lines
from initlab_tui.tui.widgets.table import Column, Table

RECENT = 200  # runs that are over and still in the list
ORDER = ("running", "paused", "queued")
BAR = 24
LABEL = 9
LEAST_CURVE = 12
WITH_LAYERS = 128  # cells of the pane
COLUMNS = (
    Column("state", "state", 10),
    Column("run", "run", 4, right=True),
    Column("initializer", "initializer", 19),
    Column("seed", "seed", 4, right=True),
    Column("done", "done", 5, right=True),
    Column("loss", "loss", 9, right=True),
    Column("acc", "acc %", 5, right=True),
    Column("time", "time", 7, right=True),
)


class Training(Vertical):
    """What trains. `trends` has the curves; one that is asked for there is read by the app."""

    DEFAULT_CSS = """
    Training #now { height: 7; padding: 0 1; }
    Training Table { padding: 0 1; }
    Training #by-layer { width: 53; padding: 0 1; display: none; }
    """
    BINDINGS = bindings(TRAINING)

    class Requested(Message):
        """Something is wanted of a run: skip, details or layers."""

        def __init__(self, action: str, run_id: int) -> None:
            super().__init__()
            self.action, self.run_id = action, run_id

    def __init__(self, trends: Trends) -> None:
        super().__init__(id="training")
        self.border_title = "2 Training"
        self._trends = trends
        self._view: StoreSnapshot | None = None
        self._following = True
        self._told = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical():
                yield Lines(id="now")
                yield Table[int](self._cells, id="queue")
            yield Lines(id="by-layer")

    def on_mount(self) -> None:
        self._draw()

    @property
    def queue(self) -> Table[int]:
        """The runs by number: those that train, those that wait, then those that ended, the newest first."""
        return self.query_one("#queue", Table)

    @property
    def current(self) -> Run | None:
        """The run under the cursor."""
        key = self.queue.current
        return self._view.runs.get(key) if self._view and key is not None else None

    def show(self, view: StoreSnapshot) -> None:
        """Show the store as it is now."""
        self._view = view
        self.queue.show(self._columns(), _order(view))
        if self._following:
            self._follow()
        self.refresh_trends()

    def on_resize(self) -> None:
        """Columns and curves take what room there is, and so do the layers one by one."""
        self.query_one("#by-layer").display = self.size.width >= WITH_LAYERS
        if self._view:
            self.show(self._view)

    def refresh_trends(self) -> None:
        """Draw what was read since."""
        self._draw()

    def _columns(self) -> list[Column]:
        """The columns, the initializer's as wide as there is room for."""
        spare = self.queue.size.width - sum(column.width + 1 for column in COLUMNS)
        return [
            replace(column, width=min(40, column.width + max(0, spare))) if column.key == "initializer" else column
            for column in COLUMNS
        ]

    def _follow(self) -> None:
        keys = self.queue.keys
        current = self.current
        if (current is None or current.status != "running") and keys and self.queue.cursor != 0:
            self.queue.cursor = 0

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

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """What is over cannot be skipped."""
        return action != "skip" or bool(self.is_mounted and self.current and not self.current.status.is_ended)

    def action_skip(self) -> None:
        self._ask("skip")

    def action_details(self) -> None:
        self._ask("details")

    def action_layers(self) -> None:
        self._ask("layers")

    def _ask(self, action: str) -> None:
        if self.queue.current is not None:
            self.post_message(self.Requested(action, self.queue.current))

    def action_follow(self) -> None:
        """Keep the cursor on what trains from now on."""
        self._following = True
        self._follow()

    def _cells(self, run_id: int) -> Sequence[Text]:
        run = self._view.runs.get(run_id) if self._view else None
        if run is None:
            return [Text("")] * len(COLUMNS)
        state = STATES[run.status]
        done = f"{100 * run.step // run.total_steps} %" if run.total_steps else ""
        return (
            Text(state.label, style=state.style),
            Text(str(run.id)),
            Text(plain(initializer_name(run.spec.initializer))),
            Text(str(run.spec.seed)),
            Text(done),
            Text(number(run.test_loss) if run.test_accuracy is not None else ""),
            Text(percent(run.test_accuracy) if run.test_accuracy is not None else ""),
            Text(seconds(run.seconds) if run.started else ""),
        )

    def _draw(self) -> None:
        run = self.current
        text = self._waiting() if run is None else self._run(run)
        self.query_one("#now", Lines).show(list(text.split(allow_blank=True)))
        by_layer = self.query_one("#by-layer", Lines)
        if by_layer.display:
            by_layer.show(self._by_layer(run, by_layer.size.height - 1))
        subtitle = self._subtitle()
        if subtitle != self._told:
            # Setting it, even to the same, has the whole pane painted.
            self._told = self.border_subtitle = subtitle

    def _by_layer(self, run: Run | None, most: int) -> Sequence[Text]:
        from initlab_tui.reports.layers import layer_lines  # the first paint does without

        trend = self._trends.get(run) if run else None
        return layer_lines(trend.checkup.health, trend.checkup.verdict, most) if trend and trend.checkup else ()

    def _waiting(self) -> Text:
        return Text(
            "Nothing trains yet.\n"
            "Press r: what the setup describes is queued, and trains here live.\n"
            "It goes on when you leave, and is here when you come back."
        )

    def _run(self, run: Run) -> Text:
        state = STATES[run.status]
        spec = run.spec
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"run {run.id} ", style="bold")
        text.append(f"{plain(initializer_name(spec.initializer))} · seed {spec.seed}", style="bold")
        text.append(f" · {plain(spec.dataset)} · {short(list(spec.hidden))} {spec.activation}\n")
        text.append_text(self._progress(run))
        trend = self._trends.get(run)
        width = self._curve_width(run)
        for label, kind, shown in (("tr loss", "loss", number), ("tr acc", "accuracy", percent)):
            values = (trend.curve.losses if kind == "loss" else trend.curve.accuracies) if trend else ()
            last = f"{shown(values[-1])}{' %' if kind == 'accuracy' else ''}" if values else ""
            text.append(f"{label:<{LABEL}}", style="dim")
            text.append(f"{bars([trend], kind, width) if trend else ''} {last}\n")
        if trend and trend.checkup:
            checkup = trend.checkup
            text.append(f"{'layers':<{LABEL}}", style="dim")
            text.append_text(checkup_text(checkup.step, checkup.health, checkup.verdict)).append("\n")
        first, *more = self._told_in_words(run, len(state.label) + 2)
        text.append(f"{state.label}", style=state.style)
        text.append("\n".join([f"  {first}", *more]))
        return text

    def _told_in_words(self, run: Run, indent: int) -> list[str]:
        """A run's story in two lines: a long one is broken between words, and then its log has to be asked for."""
        story, log = _story(run, self._view.workers if self._view else 0)
        room = max(20, self._room - indent)
        lines = textwrap.wrap(story, room, max_lines=2, placeholder=" …", break_on_hyphens=False) or [""]
        if log and len(lines) == 1:
            lines.append(f"log: {log}")
        return [lines[0], *(" " * indent + line for line in lines[1:])]

    @property
    def _room(self) -> int:
        return self.query_one("#now", Lines).size.width

    def _curve_width(self, run: Run) -> int:
        """As much of the room as of the run is done, but no less than shows a curve."""
        room = max(8, self._room - LABEL - 12)
        return max(LEAST_CURVE, math.ceil(room * run.step / run.total_steps)) if run.total_steps else room

    def _progress(self, run: Run) -> Text:
        if not run.total_steps or not run.steps_per_epoch:
            return Text("\n")
        share = run.step / run.total_steps
        epoch = min(run.spec.epochs, run.step // run.steps_per_epoch + 1)
        told = f" {100 * share:3.0f} %  epoch {epoch}/{run.spec.epochs}  step {run.step}/{run.total_steps}"
        if run.status == "running" and run.step:
            told += f"  {about(run.train_seconds / run.step * (run.total_steps - run.step))} left"
        told += f"  {rate(run.samples_per_second)}/s\n"
        # The numbers go before the bar, which takes what room they leave.
        length = max(6, min(BAR, self._room - len(told)))
        filled = round(length * share)
        return Text.assemble(("█" * filled, "green"), ("░" * (length - filled), "dim"), told)

    def _subtitle(self) -> str:
        if not self._view:
            return ""
        active = self._view.active
        if not active:
            return "idle" if self._view.workers else ""
        number_of = active[0].comparison_id
        together = [run for run in self._view.runs.values() if run.comparison_id == number_of]
        over = sum(run.status.is_ended for run in together)
        waiting = "paused · " if all(run.status == "paused" for run in active) else ""
        return f"{waiting}{over}/{len(together)} runs done · {_time_left(together)}"


def _order(view: StoreSnapshot) -> list[int]:
    active = sorted(view.active, key=lambda run: (ORDER.index(run.status), run.id))
    over: list[int] = []
    for run in reversed(view.runs.values()):
        if len(over) == RECENT:
            break
        if run.status.is_ended:
            over.append(run.id)
    return [run.id for run in active] + over


def _story(run: Run, workers: int) -> tuple[str, str]:
    """What goes on with a run, or went on, in words, and the last line of a failed worker's log."""
    log = ""
    if run.request:
        story = f"asked to {run.request}"
    elif run.status == "queued":
        story = "waits for a worker" if workers else "a worker is being started"
    elif run.status == "running" and run.total_steps is None:
        story = "TensorFlow builds and compiles the network: a few seconds, once for each architecture"
    elif run.status in ("failed", "crashed", "diverged", "stopped") and run.reason:
        last = run.log_tail.strip().splitlines()[-1:] if run.status in ("failed", "crashed") else []
        story, log = run.reason, next((line for line in last if line not in run.reason), "")
    elif run.status == "paused":
        story = "p lets it go on from where it was"
    elif run.status == "done":
        story = (
            f"test accuracy {percent(run.test_accuracy)} %, test loss {number(run.test_loss)}, {seconds(run.seconds)}"
        )
    else:
        story = str(run.record.get("note", ""))
    return plain(story), plain(log)


def _time_left(runs: Sequence[Run]) -> str:
    """What is left of a comparison, by the pace of its own runs."""
    steps = sum(run.step for run in runs if run.total_steps)
    busy = sum(run.seconds for run in runs if run.total_steps)
    known = max((run.total_steps or 0 for run in runs), default=0)
    left = sum((run.total_steps or known) - run.step for run in runs if not run.status.is_ended)
    workers = max(1, sum(run.status == "running" for run in runs))
    return f"{about(busy / steps * left / workers)} left" if steps and busy else "starting"
