"""Formats text and numbers for a terminal."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from initlab_tui.domain.fields import hidden_text
from initlab_tui.domain.initializer import IMPORT_PREFIX, Initializer
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import Estimate
from initlab_tui.domain.statistics.leaderboard import Row, varying

if TYPE_CHECKING:
    from initlab_tui.store.runs import Run, UnreadableRun

SETTING = {
    "network": "{}",
    "hidden": "{}",
    "activation": "{}",
    "optimizer": "{}",
    "learning_rate": "lr {}",
    "batch_size": "batch {}",
    "epochs": "epochs {}",
}


def initializer_name(initializer: Initializer) -> str:
    """Return the name and parameters as on the command line, with σ for `stddev`: `random_normal σ=0.05`."""
    name, _, parameters = str(initializer).removeprefix(IMPORT_PREFIX).partition(":")
    return f"{name} {parameters.replace('stddev=', 'σ=')}".rstrip()


def short(field: object) -> str:
    """Return a field of a spec in the form of the command line, such as `100x30` for hidden widths."""
    return hidden_text(field) if isinstance(field, list) else str(field)


def differing_fields(specs: Sequence[RunSpec]) -> list[str]:
    """Return the fields in which the specs differ, without initializer, dataset and seed."""
    return [name for name in varying(specs) if name not in ("dataset", "initializer")]


def group_name(spec: RunSpec, differing: Sequence[str]) -> str:
    """Return the name of a group of runs: its initializer and the fields in which the groups differ."""
    dumped = spec.model_dump(mode="json")
    fields = (SETTING.get(name, f"{name} {{}}").format(short(dumped[name])) for name in differing)
    return " ".join([initializer_name(spec.initializer), *fields])


def percent(fraction: float | None) -> str:
    """Return a fraction in percent with one decimal, or a dash if it is unknown."""
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def percent_interval(estimate: Estimate) -> str:
    """Return `95.2 ± 0.3`, in percent; without ± if there is no interval."""
    half = "" if estimate.half_width is None else f" ± {100 * estimate.half_width:.1f}"
    return percent(estimate.mean) + half


def number(value: float | None) -> str:
    """Return four significant digits, or a dash if the value is unknown or not finite."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def figure_text(value: float | None) -> str:
    """Return three significant digits, or a dash if the value is unknown or NaN."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3g}".replace("inf", "∞")


def percent_of(share: float | None) -> str:
    """Return a share in whole percent, or a dash if it is unknown or NaN."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def two_digits(value: float | None) -> str:
    """Return two significant digits in at most seven cells, or a dash if the value is unknown or NaN."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.0f}" if value == 0 or abs(value) >= 9.5 else f"{value:#.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def rate(samples_per_second: float | None) -> str:
    """Return a speed in whole samples per second, or in thousands from 10,000: `131k`."""
    if samples_per_second is None:
        return "–"
    return f"{samples_per_second / 1000:.0f}k" if samples_per_second >= 10_000 else f"{samples_per_second:.0f}"


def seconds(value: float | None) -> str:
    """Return a measured duration, given in seconds."""
    if value is None:
        return "–"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def about(value: float) -> str:
    """Return an estimated duration, given in seconds, rounded so that it does not flicker when it is updated."""
    if value < 10:
        return f"{math.ceil(value)} s"
    if value < 57.5:
        return f"{5 * round(value / 5)} s"
    minutes = round(value / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{value / 3600:.1f} h" if minutes < 600 else f"{value / 3600:.0f} h"


def counted(number: int, noun: str) -> str:
    """Return a number with a noun, such as `1 run` or `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def when(at: float | None) -> str:
    """Return the local date and time, given in seconds since 1970."""
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def setting(row: Row, differing: Sequence[str]) -> str:
    """Return the common settings of the groups of a leaderboard: the dataset and the fields that do not differ."""
    spec = row.spec.model_dump(mode="json")
    implied = "hidden" if not row.spec.network.is_mlp else "network" if spec["network"] == "mlp" else ""
    shared = [
        label.format(short(spec[name]))
        for name, label in SETTING.items()
        if name not in differing and (name != implied or "network" in differing)
    ]
    data = f" [{row.fingerprint[:6]}]" if row.fingerprint and row.spec.dataset != "digits" else ""
    steps = [f"{row.total_steps} steps"] if row.total_steps and not {"epochs", "batch_size"} & set(differing) else []
    return " · ".join([spec["dataset"] + data, *shared, *steps])


def versus(row: Row) -> str:
    """Return the difference to the first group in points, with `?` if its interval contains 0."""
    difference = row.versus_first
    if difference is None or not row.n:
        return ""
    if difference.accuracy.mean is None:
        return "no shared seed"
    return percent_interval(difference.accuracy) + (" ?" if difference.verdict == "undecided" else "")


def statuses(row: Row) -> str:
    """Return the status of a group, or the number of its runs with each status."""
    if len(row.statuses) == 1:
        return row.status
    return ", ".join(f"{count} {status}" for status, count in row.statuses)


def diagnoses(row: Row) -> str:
    """Return the diagnosis of a group's layers at step 0, or the number of runs with each; empty if not measured."""
    if len(row.diagnoses) == 1:
        return row.diagnoses[0][0].replace("_", " ")
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in row.diagnoses)


def conclusion(rows: Sequence[Row]) -> str:
    """Return a sentence on whether the first group of a comparison is better than the second; empty for one group."""
    if len(rows) < 2 or not rows[1].n or rows[1].versus_first is None:
        return ""
    first, second = (group_name(row.spec, differing_fields([row.spec for row in rows])) for row in rows[:2])
    versus = rows[1].versus_first
    if versus.accuracy.mean is None or versus.verdict == "too_few_seeds":
        return f"#1 {first} or #2 {second}: not enough shared seeds yet to decide."
    seeds = f"over {versus.accuracy.n} shared seeds"
    points = percent_interval(versus.accuracy).lstrip("-")
    if versus.verdict == "behind":
        return f"#1 {first} is better than #2 {second} by {points} points {seeds}: the 95 % interval excludes 0."
    if versus.verdict == "ahead":
        return f"#2 {second} is better than #1 {first} by {points} points {seeds}; #1 leads by seeds missing in #2."
    return f"#1 {first} and #2 {second} differ by {points} points {seeds}: undecided, the 95 % interval contains 0."


def unreadable_line(run: UnreadableRun) -> str:
    """Return the line of a run that cannot be read, with the reason."""
    return f"run {'without a valid id' if run.id is None else run.id}: unreadable: {run.problem}"


def unreadable_message(unreadable: Sequence[UnreadableRun]) -> str:
    """Return the notice about runs that are left out because they cannot be read; empty if there are none."""
    if not unreadable:
        return ""
    known = [str(run.id) for run in unreadable if run.id is not None]
    which = f": {' '.join(known[:5])}{' ...' if len(known) > 5 else ''}" if known else ""
    why = f"initlab-tui show {known[0]}" if known else "initlab-tui runs"
    verb = "is" if len(unreadable) == 1 else "are"
    return f"{counted(len(unreadable), 'run')} cannot be read and {verb} left out{which}. Show why with: {why}"


def held_message(run_ids: Sequence[int]) -> str:
    """Return the notice about queued runs that are not trained, because somebody else queued them."""
    first = " ".join(str(run_id) for run_id in run_ids[:5])
    more = " ..." if len(run_ids) > 5 else ""
    verb, negated, them = ("was", "is", "it") if len(run_ids) == 1 else ("were", "are", "them")
    return (
        f"{counted(len(run_ids), 'run')} in this store {verb} not queued by you and {negated} not trained. "
        f"To train {them}: initlab-tui resume {first}{more}"
    )


def without_worker_message(runs: Sequence[Run]) -> str:
    """Return the notice about runs that stay queued because no worker could be started for them."""
    verb = "stays" if len(runs) == 1 else "stay"
    return f"{counted(len(runs), 'run')} {verb} queued: {runs[-1].reason}. To try again: initlab-tui resume --all"


def remark(run: Run) -> str:
    """Return why a run ended or waits, or that its worker is silent; empty if there is nothing to say."""
    if run.status is RunStatus.RUNNING and run.silent_seconds is not None:
        return f"silent for {seconds_whole(run.silent_seconds)}"
    return run.reason


def seconds_whole(value: float) -> str:
    """Return a duration in whole seconds or larger units, such as `40 s`."""
    return f"{value:.0f} s" if value < 59.5 else seconds(value)
