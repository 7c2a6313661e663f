"""Polls a store for the lab: what changed, the leaderboard, and which comparisons ended."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.statistics.leaderboard import leaderboard
from initlab_tui.execution.liveness import LivenessMonitor, refuse_removed
from initlab_tui.execution.patience import has_room
from initlab_tui.reports.format import conclusion
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.run_cache import Change, RunCache
from initlab_tui.store.runs import Run, UnreadableRun
from initlab_tui.store.workers import count_alive
from initlab_tui.tui.leaderboard_view import Group, groups

# Ranking may take at most this share of the time, however many runs there are.
RANKING_SHARE = 0.1
IMMEDIATE_SECONDS = 0.02


@dataclass(frozen=True)
class EndedComparison:
    """A comparison without queued, running or paused runs, and its result in words."""

    comparison_id: int
    title: str
    sentence: str
    is_complete: bool


@dataclass(frozen=True)
class StoreSnapshot:
    """The store at one moment. `groups` is the leaderboard of all runs, `newest` that of the last comparison.

    `changed` are the runs that differ from the snapshot before; `ranked` is whether the leaderboard is new;
    `unreadable` are the rows of the store that are not valid runs.
    """

    runs: dict[int, Run]
    active: tuple[Run, ...]
    groups: tuple[Group, ...]
    newest: tuple[Group, ...]
    newest_id: int | None
    changed: frozenset[int]
    ranked: bool
    ended: tuple[EndedComparison, ...]
    workers: int
    has_room: bool
    unreadable: tuple[UnreadableRun, ...] = ()


class StoreMonitor:
    """Remembers what the last poll saw; all calls must come from the thread of one store."""

    def __init__(self) -> None:
        self._cache: RunCache | None = None
        self._liveness: LivenessMonitor | None = None
        self._groups: tuple[Group, ...] = ()
        self._newest: tuple[Group, ...] = ()
        self._newest_id: int | None = None
        self._reported: set[int] | None = None
        self._rank_due = True
        self._rank_after = 0.0
        self._workers, self._has_room = 0, True

    def poll(self, store: Store) -> StoreSnapshot | None:
        """Return the current state of the store, or None if nothing changed.

        Raises:
            InvalidInputError: if the store was removed.
            StoreError: if it cannot be read.
        """
        try:
            return self._poll(store)
        except StoreError:
            refuse_removed(store)  # reading a removed file fails in many ways, and this says why
            raise

    def _poll(self, store: Store) -> StoreSnapshot | None:
        if self._cache is None or self._liveness is None:
            import scipy.special  # noqa: F401 - for the intervals; its import must not count as ranking

            self._cache, self._liveness = RunCache(store), LivenessMonitor(store)
        if self._liveness.check():
            self._cache.expect_changes()
        change = self._cache.refresh()
        state = count_alive(store), has_room(store)
        if change is None and not self._rank_is_due() and state == (self._workers, self._has_room):
            return None
        self._workers, self._has_room = state
        return self._snapshot(self._cache, change or Change(frozenset(), frozenset(), False))

    def _rank_is_due(self) -> bool:
        return self._rank_due and time.monotonic() >= self._rank_after

    def _snapshot(self, cache: RunCache, change: Change) -> StoreSnapshot:
        runs = cache.runs
        self._rank_due |= change.ranked
        ranked = self._rank_is_due()
        if ranked:
            self._rank(runs)
        active = tuple(run for run in runs.values() if run.status.is_active)
        return StoreSnapshot(
            runs=dict(runs),
            active=active,
            groups=self._groups,
            newest=self._newest,
            newest_id=self._newest_id,
            changed=change.changed,
            ranked=ranked,
            ended=self._ended(runs, active, change.changed),
            workers=self._workers,
            has_room=self._has_room or all(run.status is RunStatus.PAUSED for run in active),
            unreadable=cache.unreadable,
        )

    def _rank(self, runs: dict[int, Run]) -> None:
        began = time.monotonic()
        self._rank_due = False
        self._groups = groups(leaderboard(run.outcome for run in runs.values()), runs, self._groups)
        for group in self._groups:
            _ = group.text  # cached here, off the screen's thread, rather than at the first letter of a filter
        self._newest_id = max((run.comparison_id or 0 for run in runs.values()), default=0) or None
        newest = [run for run in runs.values() if run.comparison_id == self._newest_id]
        self._newest = groups(leaderboard(run.outcome for run in newest), runs)
        took = time.monotonic() - began
        self._rank_after = began + (took / RANKING_SHARE if took > IMMEDIATE_SECONDS else 0.0)

    def _ended(
        self, runs: Mapping[int, Run], active: tuple[Run, ...], changed: frozenset[int]
    ) -> tuple[EndedComparison, ...]:
        """Return the comparisons that ended since the last poll, including those that also began since."""
        still_active = {run.comparison_id for run in active}
        touched = {runs[run_id].comparison_id for run_id in changed if run_id in runs}
        ended = {number for number in touched - still_active if number is not None}
        # Comparisons that had ended before the first poll are not reported.
        before = ended if self._reported is None else self._reported
        self._reported = (before | ended) - still_active
        return tuple(
            _ended_comparison(number, [run for run in runs.values() if run.comparison_id == number])
            for number in sorted(ended - before)
        )


def _ended_comparison(comparison_id: int, runs: list[Run]) -> EndedComparison:
    rows = leaderboard(run.outcome for run in runs)
    counts = {status: sum(run.status is status for run in runs) for status in RunStatus}
    broken = [f"{status}: {count}" for status, count in counts.items() if count and status is not RunStatus.DONE]
    done = counts[RunStatus.DONE]
    words = [conclusion(rows), f"({', '.join(broken)})" if broken else ""]
    title = f"Comparison {comparison_id}: {done} of {len(runs)} runs done"
    return EndedComparison(comparison_id, title, " ".join(filter(None, words)), done == len(runs))
