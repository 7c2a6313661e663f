"""The panel above the queue: progress, curves, layers and state of one run."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from rich.text import Text

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.reports.diagnosis import measurement_text
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import about, initializer_name, number, percent, rate, remark, seconds
from initlab_tui.store.runs import Run, UnreadableRun
from initlab_tui.tui.status_style import STATUS_STYLES
from initlab_tui.tui.trends import Trend, bars

BAR = 24
LABEL = 11
LAST_VALUE = 9
LEAST_CURVE = 12
UNREADABLE = "The store was damaged, or changed by another program. The run is left out of the results."
WITHOUT_RUN = (
    "Nothing is training yet.\n"
    "Press r to queue the comparison in the setup and train it here.\n"
    "Training continues in the background when you leave the lab."
)


def run_panel(run: Run | UnreadableRun | None, trend: Trend | None, room: int, *, waits_for: str) -> list[Text]:
    """Return the lines of a run, `room` cells wide; `waits_for` says why queued runs do not train yet."""
    if run is None:
        return list(Text(WITHOUT_RUN).split())
    if isinstance(run, UnreadableRun):
        return _unreadable_lines(run, room)
    text = Text(no_wrap=True, overflow="ellipsis")
    spec = run.spec
    text.append(f"run {run.id} {plain(initializer_name(spec.initializer))} · seed {spec.seed}", style="bold")
    text.append(f" · {plain(spec.dataset)} · {plain(spec.network_text)}\n")
    text.append_text(_progress(run, room))
    text.append_text(_curves(run, trend, room))
    if trend and trend.measurement:
        measured = trend.measurement
        text.append(f"{'layers':<{LABEL}}", style="dim")
        text.append_text(measurement_text(measured.step, measured.measurement, measured.diagnosis)).append("\n")
    status = STATUS_STYLES[run.status]
    first, *more = _story_lines(run, room, len(status.label) + 2, waits_for=waits_for)
    text.append(status.label, style=status.colour)
    text.append("\n".join([f"  {first}", *more]))
    return list(text.split(allow_blank=True))


def _unreadable_lines(run: UnreadableRun, room: int) -> list[Text]:
    wrapped = textwrap.wrap(f"{plain(run.problem)}. {UNREADABLE}", max(20, room), max_lines=6, placeholder=" …")
    return [Text(f"run {run.id} cannot be read", style="bold red"), *map(Text, wrapped)]


def _progress(run: Run, room: int) -> Text:
    if not run.total_steps or not run.steps_per_epoch:
        return Text("\n")
    share = run.step / run.total_steps
    epoch = min(run.spec.epochs, run.step // run.steps_per_epoch + 1)
    words = f" {100 * share:3.0f} %  epoch {epoch}/{run.spec.epochs}  step {run.step}/{run.total_steps}"
    if run.status is RunStatus.RUNNING and run.step:
        words += f"  {about(run.train_seconds / run.step * (run.total_steps - run.step))} left"
    words += f"  {rate(run.samples_per_second)} samples/s\n"
    length = max(6, min(BAR, room - len(words)))
    filled = round(length * share)
    return Text.assemble(("█" * filled, "green"), ("░" * (length - filled), "dim"), words)


def _curves(run: Run, trend: Trend | None, room: int) -> Text:
    text = Text()
    width = _curve_width(run, room)
    for label, kind in (("train loss", "loss"), ("train acc", "accuracy")):
        values = (trend.curve.losses if kind == "loss" else trend.curve.accuracies) if trend else ()
        last = ""
        if values:
            last = number(values[-1]) if kind == "loss" else f"{percent(values[-1])} %"
        text.append(f"{label:<{LABEL}}", style="dim")
        text.append(f"{bars([trend], kind, width) if trend else ''} {last}\n")
    return text


def _curve_width(run: Run, room: int) -> int:
    """Return the width of the curve: in proportion to the steps done, but enough to show one."""
    most = max(8, room - LABEL - LAST_VALUE)
    return max(LEAST_CURVE, math.ceil(most * run.step / run.total_steps)) if run.total_steps else most


def _story_lines(run: Run, room: int, indent: int, *, waits_for: str) -> Sequence[str]:
    """Return what is happening to the run in at most two lines, with the end of its log if one line is free."""
    story, log = _story(run, waits_for=waits_for)
    width = max(20, room - indent)
    lines = textwrap.wrap(story, width, max_lines=2, placeholder=" …", break_on_hyphens=False) or [""]
    if log and len(lines) == 1:
        lines.append(f"log: {log}")
    return [lines[0], *(" " * indent + line for line in lines[1:])]


def _story(run: Run, *, waits_for: str) -> tuple[str, str]:
    """Return what is happening to a run, or how it ended, and the last line of a failed worker's log; safe to print."""
    log = ""
    if run.request:
        story = f"asked to {run.request}"
        if run.silent_seconds is not None:
            story += f", but its worker is {remark(run)}; it is killed if it does not react"
    elif run.silent_seconds is not None:
        story = f"{remark(run)}: its worker does not react; press x to stop the run, which ends the worker"
    elif run.is_without_worker:
        story, log = f"{run.reason}; press p to try again", _last_log_line(run)
    elif run.status is RunStatus.QUEUED:
        story = waits_for
    elif run.status is RunStatus.RUNNING and run.total_steps is None:
        story = "building and compiling the network: a few seconds, once for each architecture"
    elif run.status is RunStatus.RUNNING and run.reason:
        story = run.reason
    elif run.status is RunStatus.PAUSED:
        story = "press p to continue from here"
    elif run.status is RunStatus.DONE:
        story = (
            f"test accuracy {percent(run.test_accuracy)} %, test loss {number(run.test_loss)}, {seconds(run.seconds)}"
        )
    elif run.status.is_ended and run.reason:
        resumes = "; R resumes it from its checkpoint" if run.status.is_resumable and run.checkpoint else ""
        story, log = f"{run.reason}{resumes}", _last_log_line(run)
    else:
        story = str(run.record.get("note", ""))
    return plain(story), plain(log)


def _last_log_line(run: Run) -> str:
    if run.status not in (RunStatus.FAILED, RunStatus.CRASHED) and not run.is_without_worker:
        return ""
    lines = run.log_tail.strip().splitlines()[-1:]
    return next((line for line in lines if line not in run.reason), "")
