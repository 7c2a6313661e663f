"""Looks at a store for the screen: what changed, the leaderboard, what ended."""

from __future__ import annotations

import time
from dataclasses import dataclass

from initlab_tui.domain.statistics.leaderboard import leaderboard
from initlab_tui.execution.follow import LivenessMonitor
from initlab_tui.execution.supervisor import workers_alive
from initlab_tui.reports.format import conclusion
from initlab_tui.store.database import Run, Store
from initlab_tui.store.run_cache import Change, RunCache
from initlab_tui.tui.leaderboard_view import Group, groups

# Ranking again may take at most this share of the time, however many runs there are.
RANKING_SHARE = 0.1
AT_ONCE_SECONDS = 0.02


@dataclass(frozen=True)
class Ended:
    """A comparison of which nothing is queued, running or paused any more, and what it came to."""

    comparison_id: int
    title: str
    sentence: str
    well: bool


@dataclass(frozen=True)
class StoreSnapshot:
    """The store at one moment. `groups` is the leaderboard of all runs, `newest` that of the last comparison alone."""

    runs: dict[int, Run]
    active: tuple[Run, ...]
    groups: tuple[Group, ...]
    newest: tuple[Group, ...]
    newest_id: int | None
    changed: frozenset[int]
    ranked: bool
    ended: tuple[Ended, ...]
    workers: int


class StoreMonitor:
    """What has to be remembered between two looks; lives on one store's thread."""

    def __init__(self) -> None:
        self._mirror: RunCache | None = None
        self._keeper: LivenessMonitor | None = None
        self._groups: tuple[Group, ...] = ()
        self._newest: tuple[Group, ...] = ()
        self._newest_id: int | None = None
        self._told_of: set[int] | None = None
        self._rank_due = True
        self._rank_after = 0.0
        self._workers = 0

    def poll(self, store: Store) -> StoreSnapshot | None:
        """What the store has now, or None where nothing is new."""
        if self._mirror is None or self._keeper is None:
            import scipy.special  # noqa: F401 - the intervals' quantile: not to be counted as ranking

            self._mirror, self._keeper = RunCache(store), LivenessMonitor(store)
        self._keeper.check(None)
        change = self._mirror.look()
        workers = workers_alive(store)
        if change is None and not self._rank_is_due() and workers == self._workers:
            return None
        self._workers = workers
        return self._view(self._mirror.runs, change or Change(frozenset(), frozenset(), False))

    def _rank_is_due(self) -> bool:
        return self._rank_due and time.monotonic() >= self._rank_after

    def _view(self, runs: dict[int, Run], change: Change) -> StoreSnapshot:
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
        )

    def _rank(self, runs: dict[int, Run]) -> None:
        began = time.monotonic()
        self._rank_due = False
        self._groups = groups(leaderboard(run.outcome for run in runs.values()), runs, self._groups)
        for group in self._groups:
            _ = group.text  # worked out here, off the screen's thread, and not at the first letter of a filter
        self._newest_id = max((run.comparison_id or 0 for run in runs.values()), default=0) or None
        newest = [run for run in runs.values() if run.comparison_id == self._newest_id]
        self._newest = groups(leaderboard(run.outcome for run in newest), runs)
        took = time.monotonic() - began
        self._rank_after = began + (took / RANKING_SHARE if took > AT_ONCE_SECONDS else 0.0)

    def _ended(self, runs: dict[int, Run], active: tuple[Run, ...], changed: frozenset[int]) -> tuple[Ended, ...]:
        """The comparisons that ended since the last look, those included that also began since."""
        under_way = {run.comparison_id for run in active}
        touched = {runs[run_id].comparison_id for run_id in changed if run_id in runs}
        at_rest = {number for number in touched - under_way if number is not None}
        # What had ended before the first look is no news.
        before = at_rest if self._told_of is None else self._told_of
        self._told_of = (before | at_rest) - under_way
        over = sorted(at_rest - before)
        return tuple(_ending(number, [run for run in runs.values() if run.comparison_id == number]) for number in over)


def _ending(comparison_id: int, runs: list[Run]) -> Ended:
    rows = leaderboard(run.outcome for run in runs)
    done = sum(run.status == "done" for run in runs)
    title = f"Comparison {comparison_id}: {done} of {len(runs)} runs done"
    broken = [
        f"{status}: {count}"
        for status in ("diverged", "failed", "crashed", "stopped")
        if (count := sum(run.status == status for run in runs))
    ]
    words = [conclusion(rows), f"({', '.join(broken)})" if broken else ""]
    return Ended(comparison_id, title, " ".join(filter(None, words)), done == len(runs))
