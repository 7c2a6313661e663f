"""Text and numbers on their way to a terminal."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from rich.text import Text

from initlab_tui.experiments.fields import hidden_text
from initlab_tui.experiments.leaderboard import Estimate, varying
from initlab_tui.experiments.spec import IMPORT_PREFIX, Initializer, RunSpec


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
    return " ".join([initializer_name(spec.initializer), *(short(dumped[name]) for name in differing)])


def percent(fraction: float | None) -> str:
    return "–" if fraction is None else f"{100 * fraction:.1f}"


def percent_interval(estimate: Estimate) -> str:
    """`95.2 ± 0.3`, in percent; without the ± where there is no interval."""
    half = "" if estimate.half_width is None else f" ± {100 * estimate.half_width:.1f}"
    return percent(estimate.mean) + half


def number(value: float | None) -> str:
    """Four significant digits, as a loss is read; a dash where it was not finite or is not known."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.4g}"


def rate(samples_per_second: float | None) -> str:
    if samples_per_second is None:
        return "–"
    return f"{samples_per_second / 1000:.0f}k" if samples_per_second >= 10_000 else f"{samples_per_second:.0f}"


def seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f} s" if value < 60 else f"{value // 60:.0f} min {value % 60:.0f} s"
