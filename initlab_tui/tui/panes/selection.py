"""The rows that the keys of the results pane act on: the marked ones, else the one under the cursor."""

from __future__ import annotations

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store.runs import Run
from initlab_tui.tui.chart.series import Series
from initlab_tui.tui.leaderboard_columns import Heading
from initlab_tui.tui.panes.result_rows import GROUP, RUN, ResultRows

CUT_SHORT = (RunStatus.STOPPED, RunStatus.FAILED, RunStatus.CRASHED)


class Selection:
    """Marks on the rows of `rows`."""

    def __init__(self, rows: ResultRows) -> None:
        self._rows = rows
        self.marked: frozenset[str] = frozenset()

    def toggle(self, key: str) -> None:
        self.marked ^= {key}

    def clear(self) -> None:
        self.marked = frozenset()

    def drop_missing(self) -> None:
        """Remove the marks of groups and runs that are no longer in the store."""
        if self.marked and self._rows.snapshot:
            self.marked = frozenset(key for key in self.marked if self._rows.exists(key))

    def keys(self, current: str | None) -> list[str]:
        """Return the marked rows in the order of the table, else the row under the cursor."""
        if self.marked:
            order = {key: place for place, key in enumerate(self._rows.keys)}
            return sorted(self.marked, key=lambda key: order.get(key, len(order)))
        return [current] if current else []

    def run_ids(self, current: str | None) -> list[int]:
        """Return the runs of the selected rows, each once."""
        return list(dict.fromkeys(run.id for key in self.keys(current) for run in self._rows.runs_of(key)))

    def series(self, shown: tuple[Heading, ...]) -> list[Series]:
        """Return what the chart draws: the marked rows, else all groups in the table."""
        keys = self.keys(None) if self.marked else [key for key in self._rows.keys if key[0] == GROUP]
        return [self._series(key, runs, shown) for key in keys if (runs := self._rows.runs_of(key))]

    def _series(self, key: str, runs: list[Run], shown: tuple[Heading, ...]) -> Series:
        ids = tuple(run.id for run in runs)
        if key[0] == GROUP and key in self._rows.shown:
            group = self._rows.shown[key]
            fields = [f"{each.title} {group.fields[each.key]}" for each in shown if each.is_field]
            # Otherwise the mean would end at the last step of a run that did not finish.
            whole = tuple(run.id for run in runs if run.status not in CUT_SHORT)
            return Series(" ".join([group.name, *fields]), whole or ids)
        of_run = next((group for group in self._rows.found if ids[0] in group.row.run_ids), None)
        name = of_run.name if of_run else ""
        return Series(f"{name} seed {runs[0].spec.seed}" if key[0] == RUN else name, ids)
