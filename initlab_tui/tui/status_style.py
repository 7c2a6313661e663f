"""What is shown of a run's status: a sign, the word, and a colour that only repeats them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class State:
    """A status as it is shown."""

    sign: str
    word: str
    style: str

    @property
    def label(self) -> str:
        return f"{self.sign} {self.word}"


STATES: Mapping[str, State] = MappingProxyType(
    {
        "queued": State("·", "queued", "dim"),
        "running": State("»", "running", "bold cyan"),
        "paused": State("=", "paused", "yellow"),
        "done": State("✓", "done", "green"),
        "diverged": State("~", "diverged", "bold magenta"),
        "failed": State("✗", "failed", "bold red"),
        "crashed": State("✗", "crashed", "bold red"),
        "stopped": State("■", "stopped", "yellow"),
    }
)
