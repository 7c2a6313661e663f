"""The rows of the results table: groups, and the runs of the groups that are open."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from initlab_tui.reports.format import conclusion
from initlab_tui.store.runs import Run
from initlab_tui.tui.leaderboard_columns import ordered
from initlab_tui.tui.leaderboard_view import Choice, Group
from initlab_tui.tui.store_monitor import StoreSnapshot

GROUP, RUN = "g", "r"


class ResultRows:
    """Rows are named by keys: `g…` for a group, `r…` for a run. `arrange` must follow a change of the choice."""

    def __init__(self) -> None:
        self.snapshot: StoreSnapshot | None = None
        self.choice = Choice()
        self.shown: dict[str, Group] = {}
        self.keys: list[str] = []

    @property
    def found(self) -> Sequence[Group]:
        """All groups that the filter chooses from."""
        if not self.snapshot:
            return ()
        return self.snapshot.newest if self.choice.newest_only else self.snapshot.groups

    @property
    def groups(self) -> list[Group]:
        """The groups in the table, from the top."""
        return list(self.shown.values())

    def arrange(self, choice: Choice) -> None:
        """Set the choice, and list the rows in its order."""
        self.choice = choice
        self.shown = {GROUP + group.key: group for group in ordered(self.found, choice)}
        self.keys = []
        for key, group in self.shown.items():
            self.keys.append(key)
            if key in choice.expanded:
                self.keys += [f"{RUN}{run.id}" for run in group.runs]

    def toggled(self, key: str) -> Choice:
        """Return the choice with a group opened, or closed if it is open."""
        return replace(self.choice, expanded=self.choice.expanded ^ {key})

    def sorted_by(self, column: str) -> Choice:
        """Return the choice sorted by a column; in reverse if it is sorted by it already."""
        again = column == self.choice.sort
        return replace(self.choice, sort=column, reverse=not self.choice.reverse if again else False)

    def run(self, key: str) -> Run | None:
        """Return the run of a row; None if it is a group or no longer in the store."""
        return self.snapshot.runs.get(int(key[1:])) if self.snapshot and key[0] == RUN else None

    def runs_of(self, key: str) -> list[Run]:
        """Return the runs of a row in their current state."""
        if key[0] == RUN:
            run = self.run(key)
            return [run] if run else []
        group = self.shown.get(key) or next((each for each in self.found if GROUP + each.key == key), None)
        return [self._current(run) for run in group.runs] if group else []

    def _current(self, run: Run) -> Run:
        return self.snapshot.runs.get(run.id, run) if self.snapshot else run

    def exists(self, key: str) -> bool:
        """Return whether the store still has the group or run of a row, shown or not."""
        if not self.snapshot or key[0] == RUN:
            return self.run(key) is not None
        return any(GROUP + group.key == key for group in (*self.snapshot.groups, *self.snapshot.newest))

    def with_any_of(self, keys: Sequence[str], run_ids: Collection[int]) -> set[str]:
        """Return the keys of the rows that show any of these runs."""
        rows = {f"{RUN}{run_id}" for run_id in run_ids}
        groups = (key for key in keys if key in self.shown)
        return rows | {key for key in groups if any(run_id in run_ids for run_id in self.shown[key].row.run_ids)}

    def conclusion(self) -> str:
        """Return whether the first group is better than the second; empty if groups were filtered or data differ."""
        rows = [group.row for group in self.groups] if not self.choice.words else []
        one_dataset = len({(row.spec.dataset, row.fingerprint) for row in rows}) == 1
        return conclusion(sorted(rows, key=lambda row: row.rank)) if one_dataset else ""

    def summary(self, marked: int) -> str:
        """Return how many groups are shown and marked: `2 of 3 groups · comparison 4 only · 1 marked`."""
        shown, found = len(self.shown), len(self.found)
        words = [f"{shown} of {found} groups" if shown != found else f"{found} groups"]
        if self.choice.newest_only and self.snapshot:
            words.append(f"comparison {self.snapshot.newest_id} only")
        if marked:
            words.append(f"{marked} marked")
        return " · ".join(words)
