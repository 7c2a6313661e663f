"""A copy of all runs of a store in memory, cheap to keep up to date, for the screen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from initlab_tui.store.database import Store
from initlab_tui.store.events import newest_event, runs_with_events
from initlab_tui.store.runs import Run, UnreadableRun, read_runs, running_ids


@dataclass(frozen=True)
class Change:
    """The changes since the last refresh.

    `changed` has the ids of new and changed runs, `removed` those of deleted and purged ones. `ranked` says whether
    the leaderboard may have changed, which new steps and measurements of a run in training do not cause.
    """

    changed: frozenset[int]
    removed: frozenset[int]
    ranked: bool


class RunCache:
    """All runs of a store at the last refresh, by id, oldest first; `unreadable` are the rows that are no runs.

    A refresh reads the runs in training, and those with new events, because every change except training steps is
    recorded as an event. That includes writes through the same Store.
    """

    def __init__(self, store: Store) -> None:
        self.runs: dict[int, Run] = {}
        self.unreadable: tuple[UnreadableRun, ...] = ()
        self._store = store
        self._version = self._event = -1

    def refresh(self) -> Change | None:
        """Update `runs` and return the changes; None, at almost no cost, if there are none."""
        # Read both before the runs, so that a write in between is found again at the next refresh.
        version, event = self._store.data_version(), newest_event(self._store)
        if (version, event) == (self._version, self._event):
            return None
        stale = self._stale(event)
        rows = read_runs(self._store, None if stale is None else list(stale))
        found = {run.id: run for run in rows.runs}
        kept = [] if stale is None else [run for run in self.unreadable if run.id not in stale]
        unreadable = tuple(sorted([*kept, *rows.unreadable], key=lambda run: run.id or 0))
        removed = (self.runs.keys() if stale is None else stale & self.runs.keys()) - found.keys()
        changed = {run_id: run for run_id, run in found.items() if self.runs.get(run_id) != run}
        self._version, self._event = version, event
        if not (changed or removed or unreadable != self.unreadable):
            return None
        ranked = (
            bool(removed)
            or unreadable != self.unreadable
            or any(_rank_may_differ(self.runs.get(run.id), run) for run in changed.values())
        )
        self.unreadable = unreadable
        self._update(changed, removed)
        return Change(frozenset(changed), frozenset(removed), ranked)

    def expect_changes(self) -> None:
        """Read the runs in training at the next refresh, even if no other process has written."""
        self._version = -1

    def _stale(self, event: int) -> set[int] | None:
        """Return the runs to read again; None for all of them, at first and after runs were purged."""
        if self._event < 0:
            return None
        stale = runs_with_events(self._store, self._event, event)
        if None in stale:
            return None
        return running_ids(self._store) | {run_id for run_id in stale if run_id is not None}

    def _update(self, changed: dict[int, Run], removed: Iterable[int]) -> None:
        newest = next(reversed(self.runs), 0)
        restored = any(run_id < newest and run_id not in self.runs for run_id in changed)
        self.runs.update(changed)
        for run_id in removed:
            del self.runs[run_id]
        if restored:
            self.runs = dict(sorted(self.runs.items()))


def _rank_may_differ(before: Run | None, now: Run) -> bool:
    return before is None or _rank_key(before) != _rank_key(now)


def _rank_key(run: Run) -> tuple[object, ...]:
    return run.status, run.name, run.tags, run.fingerprint, run.total_steps, run.diagnosis
