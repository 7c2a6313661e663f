"""Pause, stop and resume runs, and queue those without a checkpoint again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.reports.format import about, counted
from initlab_tui.store import queue
from initlab_tui.store.database import StoreError
from initlab_tui.store.runs import Run
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.screens.dialogs import Choose

if TYPE_CHECKING:
    from initlab_tui.tui.screens.lab_panes import LabPanes

CONFIRM_FROM_SECONDS = 30.0
RETRIABLE = "only failed, crashed and stopped runs can be resumed or retried"


class RunControl:
    """Controls the runs that are queued, running or paused."""

    def __init__(self, screen: LabPanes, backend: LabBackend) -> None:
        self._screen, self._backend = screen, backend

    def _current_comparison(self) -> list[Run]:
        """Return the active runs of the comparison under the training pane's cursor, by default of the first one."""
        active, current = self._screen.active, self._screen.training.current
        chosen = current if current and current.status.is_active else next(iter(active), None)
        if chosen is None or chosen.comparison_id is None:
            return [chosen] if chosen else []
        return [run for run in active if run.comparison_id == chosen.comparison_id]

    def pause_or_resume(self) -> None:
        """Pause the comparison, or resume it if all of its runs are paused or wait for a worker that did not start."""
        runs = self._current_comparison()
        unpaused = [run.id for run in runs if run.status is not RunStatus.PAUSED and not run.is_without_worker]
        if unpaused:
            self._screen.write(lambda store: queue.pause(store, unpaused), "Pausing {}. Press p to resume.")
        elif runs:
            self._screen.run_worker(self._resume([run.id for run in runs]), group="write")

    async def _resume(self, ids: list[int]) -> None:
        try:
            resumed = await self._backend.resume(ids)
        except (InvalidInputError, StoreError) as error:
            self._screen.show_error(error)
            return
        self._screen.notify(f"Resumed {counted(len(resumed), 'run')}.", markup=False)

    def skip(self, run_id: int) -> None:
        """Stop one run."""
        self._screen.write(lambda store: queue.stop(store, [run_id]), "Skipping {}.")

    def resume_or_retry(self, ids: Sequence[int]) -> None:
        """Resume those of these runs that have a checkpoint, and queue the other unfinished ones again as new runs."""
        runs = [run for run in self._screen.runs if run.id in ids]
        if not runs:
            self._screen.notify("A run that cannot be read cannot be resumed.", markup=False)
        elif any(run.status.is_resumable and not run.is_deadly for run in runs):
            self._screen.run_worker(self._resume_or_retry(runs), group="write")
        elif len(runs) == 1:
            reason = (
                f"it has killed {runs[0].deaths} workers and is not tried again" if runs[0].is_deadly else RETRIABLE
            )
            self._screen.notify(f"Run {runs[0].id} is {runs[0].status}: {reason}.", markup=False)
        else:
            self._screen.notify(f"None of these {len(runs)} runs can be resumed: {RETRIABLE}.", markup=False)

    async def _resume_or_retry(self, runs: Sequence[Run]) -> None:
        chosen = [run for run in runs if run.status.is_resumable and not run.is_deadly]
        continued = [run.id for run in chosen if run.checkpoint or run.status is RunStatus.PAUSED]
        again = [run.id for run in chosen if run.id not in continued]
        try:
            resumed = await self._backend.resume(continued) if continued else []
            queued = await self._backend.retry(again) if again else []
        except (InvalidInputError, StoreError) as error:
            self._screen.show_error(error)
            return
        words = [f"Resumed {counted(len(resumed), 'run')}."] if resumed else []
        if queued:
            words.append(f"Queued {counted(len(queued), 'run')} again.")
        if active := len(chosen) - len(resumed) - len(queued):
            words.append(f"{counted(active, 'run')} left out: already queued again, or running.")
        if len(chosen) < len(runs):
            words.append(f"{counted(len(runs) - len(chosen), 'run')} left out: {RETRIABLE}.")
        self._screen.notify(" ".join(words), markup=False)

    def stop(self) -> None:
        """Stop the comparison."""
        self._stop(self._current_comparison())

    def stop_all(self) -> None:
        """Stop every active run."""
        self._stop(self._screen.active)

    def _stop(self, runs: Sequence[Run]) -> None:
        """Stop runs; ask first if they have trained for a while."""
        ids, trained = [run.id for run in runs], sum(run.seconds for run in runs)

        def answered(answer: str | None) -> None:
            if answer == "stop":
                self._screen.write(lambda store: queue.stop(store, ids), "Stopping {}. Recorded results are kept.")

        if trained < CONFIRM_FROM_SECONDS:
            answered("stop")
            return
        question = f"Stop {counted(len(ids), 'run')} after {about(trained)} of training?"
        answers = [("stop", "Stop runs; recorded results are kept"), ("cancel", "Keep running")]
        self._screen.app.push_screen(Choose(question, answers), answered)
