"""A copy in memory of all runs of a store, kept up to date cheaply: what a screen looks through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from initlab_tui.store.database import Run, Store


@dataclass(frozen=True)
class Change:
    """What is new since the last look.

    `changed` are the runs that differ in anything, or are new; `removed` those deleted or purged. `ranked` is
    whether the leaderboard may differ: not for the mere steps and measurements of a run that trains.
    """

    changed: frozenset[int]
    removed: frozenset[int]
    ranked: bool


class RunCache:
    """All runs of a store as they were at the last look, by id, oldest first.

    Read again are those that an event tells of, since every change but the steps of a run is noted, and those
    that train. What was written through the same Store is seen too, as long as it was noted.
    """

    def __init__(self, store: Store) -> None:
        self.runs: dict[int, Run] = {}
        self._store = store
        self._version = self._event = -1

    def look(self) -> Change | None:
        """Bring `runs` up to date and tell what changed; None, at next to no cost, where nothing did."""
        # Both before the runs are read: what is written meanwhile is seen now, and looked for again.
        version, event = self._store.data_version(), self._store.newest_event()
        if (version, event) == (self._version, self._event):
            return None
        told = self._told(event)
        found = {run.id: run for run in self._store.runs(None if told is None else list(told))}
        removed = (self.runs.keys() if told is None else told & self.runs.keys()) - found.keys()
        changed = {run_id: run for run_id, run in found.items() if self.runs.get(run_id) != run}
        self._version, self._event = version, event
        if not (changed or removed):
            return None
        ranked = bool(removed) or any(_rank_may_differ(self.runs.get(run.id), run) for run in changed.values())
        self._take(changed, removed)
        return Change(frozenset(changed), frozenset(removed), ranked)

    def _told(self, event: int) -> set[int] | None:
        """The runs to read again; None for all, at first and when some were removed for good."""
        if self._event < 0:
            return None
        query = "SELECT DISTINCT run_id FROM events WHERE id > ? AND id <= ?"
        told = {run_id for (run_id,) in self._store.connection.execute(query, (self._event, event))}
        if None in told:
            return None
        running = self._store.connection.execute("SELECT id FROM runs WHERE status = 'running'")
        return told | {run_id for (run_id,) in running}

    def _take(self, changed: dict[int, Run], removed: Iterable[int]) -> None:
        newest = next(reversed(self.runs), 0)
        restored = any(run_id < newest and run_id not in self.runs for run_id in changed)
        self.runs.update(changed)
        for run_id in removed:
            del self.runs[run_id]
        if restored:
            self.runs = dict(sorted(self.runs.items()))


def _rank_may_differ(before: Run | None, now: Run) -> bool:
    return before is None or _standing(before) != _standing(now)


def _standing(run: Run) -> tuple[object, ...]:
    return run.status, run.name, run.tags, run.fingerprint, run.total_steps, run.verdict
