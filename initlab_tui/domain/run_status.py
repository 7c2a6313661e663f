"""The status of a run."""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    """The status of a run; the store and JSON documents contain its value."""

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
        """Whether the run has ended, with or without a result."""
        return not self.is_active

    @property
    def is_broken(self) -> bool:
        """Whether the run ended before its last step, and not by request."""
        return self in (RunStatus.DIVERGED, RunStatus.FAILED, RunStatus.CRASHED)

    @property
    def has_result(self) -> bool:
        """Whether the run ended with a result, which may be that it diverged."""
        return self in (RunStatus.DONE, RunStatus.DIVERGED)

    @property
    def is_resumable(self) -> bool:
        """Whether the run can continue, from its checkpoint or without one from step 0."""
        return self in (RunStatus.PAUSED, RunStatus.STOPPED, RunStatus.CRASHED, RunStatus.FAILED)

    @property
    def can_be_retried(self) -> bool:
        """Whether the spec of the run may be queued again."""
        return self in (RunStatus.FAILED, RunStatus.CRASHED, RunStatus.STOPPED)
