"""The appearance of a run's status: a sign, its name, and a colour that repeats them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from initlab_tui.domain.run_status import RunStatus


@dataclass(frozen=True)
class StatusStyle:
    """The sign, the name and the colour of a status."""

    sign: str
    status: RunStatus
    colour: str

    @property
    def label(self) -> str:
        """`✓ done`."""
        return f"{self.sign} {self.status}"


STATUS_STYLES: Mapping[RunStatus, StatusStyle] = MappingProxyType(
    {
        style.status: style
        for style in (
            StatusStyle("·", RunStatus.QUEUED, "dim"),
            StatusStyle("»", RunStatus.RUNNING, "bold cyan"),
            StatusStyle("=", RunStatus.PAUSED, "yellow"),
            StatusStyle("✓", RunStatus.DONE, "green"),
            StatusStyle("~", RunStatus.DIVERGED, "bold magenta"),
            StatusStyle("✗", RunStatus.FAILED, "bold red"),
            StatusStyle("✗", RunStatus.CRASHED, "bold red"),
            StatusStyle("■", RunStatus.STOPPED, "yellow"),
        )
    }
)
