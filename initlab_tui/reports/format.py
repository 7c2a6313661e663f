"""Text and numbers on their way to a terminal."""

from __future__ import annotations

import math
import time
import unicodedata
from collections.abc import Sequence

from rich.text import Text

from initlab_tui.domain.fields import hidden_text
from initlab_tui.domain.spec import IMPORT_PREFIX, Initializer, RunSpec
from initlab_tui.domain.statistics.intervals import Estimate
from initlab_tui.domain.statistics.leaderboard import Row, varying

SETTING = {
    "hidden": "{}",
    "activation": "{}",
    "optimizer": "{}",
    "learning_rate": "lr {}",
    "batch_size": "batch {}",
    "epochs": "epochs {}",
}


def plain(text: str) -> str:
    """`text` with every control and formatting character written out, so that none acts on the terminal.

    Line feeds stay; names, reasons and logs come from people, files and native code.
    """
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else f"\\x{ord(character):02x}"
        if ord(character) < 256
        else f"\\u{ord(character):04x}"
        for character in text
    )


def cell(text: object, style: str = "") -> Text:
    """Text for a rich table: never markup, never an escape sequence."""
    return Text(plain(str(text)), style=style)


def initializer_name(initializer: Initializer) -> str:
    """`random_normal σ=0.05`: as on the command line, with the letter that people write."""
    name, _, parameters = str(initializer).removeprefix(IMPORT_PREFIX).partition(":")
    return f"{name} {parameters.replace('stddev=', 'σ=')}".rstrip()


def short(field: object) -> str:
    """A spec's field as on the command line: hidden widths as `100x30`."""
    return hidden_text(field) if isinstance(field, list) else str(field)


def differing_fields(specs: Sequence[RunSpec]) -> list[str]:
    """The fields that tell the specs apart, besides initializer, dataset and seed."""
    return [name for name in varying(specs) if name not in ("dataset", "initializer")]


def group_name(spec: RunSpec, differing: Sequence[str]) -> str:
    """What tells a group of runs from the others: its initializer and the fields that differ."""
    dumped = spec.model_dump(mode="json")
    fields = (SETTING.get(name, f"{name} {{}}").format(short(dumped[name])) for name in differing)
    return " ".join([initializer_name(spec.initializer), *fields])


def percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def percent_interval(estimate: Estimate) -> str:
    """`95.2 ± 0.3`, in percent; without the ± where there is no interval."""
    half = "" if estimate.half_width is None else f" ± {100 * estimate.half_width:.1f}"
    return percent(estimate.mean) + half


def number(value: float | None) -> str:
    """Four significant digits, as a loss is read; a dash where it was not finite or is not known."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def figure_text(value: float | None) -> str:
    """Three significant digits; a dash where there is no such figure or it is no number."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.3g}".replace("inf", "∞")


def percent_of(share: float | None) -> str:
    """A share in whole percent; a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.0f} %"


def two_digits(value: float | None) -> str:
    """Two significant digits in at most seven cells; a dash where there is no such figure or it is no number."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.0f}" if value == 0 or abs(value) >= 9.5 else f"{value:#.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def rate(samples_per_second: float | None) -> str:
    if samples_per_second is None:
        return "–"
    return f"{samples_per_second / 1000:.0f}k" if samples_per_second >= 10_000 else f"{samples_per_second:.0f}"


def seconds(value: float | None) -> str:
    """A measured time, in seconds."""
    if value is None:
        return "–"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def about(value: float) -> str:
    """An estimated time, in seconds: no finer than an estimate is, so it does not flicker as it is renewed."""
    if value < 10:
        return f"{math.ceil(value)} s"
    if value < 57.5:
        return f"{5 * round(value / 5)} s"
    minutes = round(value / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{value / 3600:.1f} h" if minutes < 600 else f"{value / 3600:.0f} h"


def counted(number: int, noun: str) -> str:
    """Return e.g. `1 run` or `3 runs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def when(at: float | None) -> str:
    """A time, in seconds since 1970, by the clock on the wall here."""
    return "–" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def setting(row: Row, differing: Sequence[str]) -> str:
    """What a board's groups have in common: its data and the fields that do not differ."""
    spec = row.spec.model_dump(mode="json")
    shared = [label.format(short(spec[name])) for name, label in SETTING.items() if name not in differing]
    data = f" [{row.fingerprint[:6]}]" if row.fingerprint and row.spec.dataset != "digits" else ""
    steps = [f"{row.total_steps} steps"] if row.total_steps and not {"epochs", "batch_size"} & set(differing) else []
    return " · ".join([spec["dataset"] + data, *shared, *steps])


def versus(row: Row) -> str:
    """The difference to the first group in points; `?` where it is not distinguishable."""
    difference = row.versus_first
    if difference is None or not row.n:
        return ""
    if difference.accuracy.mean is None:
        return "no shared seed"
    return percent_interval(difference.accuracy) + (" ?" if difference.verdict == "undecided" else "")


def statuses(row: Row) -> str:
    """A group's status, or how many of its runs have which."""
    if len(row.statuses) == 1:
        return row.status
    return ", ".join(f"{count} {status}" for status, count in row.statuses)


def diagnoses(row: Row) -> str:
    """What a group's layers were judged to be at step 0, or how many of its runs which; empty where not measured."""
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
        return f"#2 {second} is better than #1 {first} by {points} points {seeds}; #1 leads by seeds that #2 lacks."
    return f"#1 {first} and #2 {second} differ by {points} points {seeds}: not decided, the 95 % interval contains 0."
