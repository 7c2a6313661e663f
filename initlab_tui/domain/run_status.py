"""The status of a run, and what follows from it."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """Where a run is between being queued and its end; the store and JSON hold the value."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    DIVERGED = "diverged"
    FAILED = "failed"
    CRASHED = "crashed"
    STOPPED = "stopped"

    @property
    def is_active(self) -> bool:
        """Whether the run is queued, running or paused."""
        return self in (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.PAUSED)

    @property
    def is_ended(self) -> bool:
        """Whether the run is over, with a result or without one."""
        return not self.is_active

    @property
    def is_broken(self) -> bool:
        """Whether the run ended without being trained to its last step, other than by request."""
        return self in (RunStatus.DIVERGED, RunStatus.FAILED, RunStatus.CRASHED)

    @property
    def has_result(self) -> bool:
        """Whether the run ended with a result: diverging is one."""
        return self in (RunStatus.DONE, RunStatus.DIVERGED)

    @property
    def is_resumable(self) -> bool:
        """Whether the run can continue from its checkpoint."""
        return self is RunStatus.PAUSED

    @property
    def can_be_retried(self) -> bool:
        """Whether the same spec may be queued again in its place."""
        return self in (RunStatus.FAILED, RunStatus.CRASHED, RunStatus.STOPPED)
