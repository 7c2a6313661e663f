"""The cells of the results table, in columns that fit its width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store.runs import Run
from initlab_tui.tui.leaderboard_columns import (
    DIAGNOSIS,
    DIAGNOSIS_SIGN,
    LEAST_NAME,
    LOSS_TREND,
    NAME,
    TRENDS,
    Heading,
    headings,
)
from initlab_tui.tui.leaderboard_view import Choice, Group
from initlab_tui.tui.panes.result_rows import RUN, ResultRows
from initlab_tui.tui.status_style import STATUS_STYLES
from initlab_tui.tui.trends import Trend, Trends, bars
from initlab_tui.tui.widgets.table_columns import GAP, Column

SIGNS = Column("signs", "", 3)
MOST_TREND = 24


class ResultCells:
    """Draws the rows of `rows`; `trends` has the training curves."""

    def __init__(self, rows: ResultRows, trends: Trends) -> None:
        self._rows, self._trends = rows, trends
        self.headings: tuple[Heading, ...] = ()
        self._widths: Mapping[str, int] = {}

    def columns(self, room: int) -> list[Column]:
        """Choose the columns for the rows in a table of `room` cells.

        The curves get the remaining cells. If the columns up to the curves do not fit, the initializers' names are
        cut.
        """
        shown, choice = self._rows.groups, self._rows.choice
        self.headings = headings(shown)
        if self._spare(shown, choice, room) < 0:
            self.headings = tuple(DIAGNOSIS_SIGN if each is DIAGNOSIS else each for each in self.headings)
        spare = max(0, self._spare(shown, choice, room)) // len(TRENDS)
        widths = self._natural_widths(shown, choice)
        for trend in TRENDS:
            widths[trend.key] = max(widths[trend.key], min(MOST_TREND, widths[trend.key] + spare))
        missing = self._end_of_curves(widths) - room
        if missing > 0:
            widths[NAME.key] = max(LEAST_NAME, widths[NAME.key] - missing)
        self._widths = widths
        arrow = "▲" if choice.reverse else "▼"
        titles = [each.title + (arrow if each.key == choice.sort else "") for each in self.headings]
        named = zip(self.headings, titles, strict=True)
        return [
            SIGNS,
            *(Column(each.key, title, widths[each.key], each.right, middle=each is NAME) for each, title in named),
        ]

    def _natural_widths(self, shown: Sequence[Group], choice: Choice) -> dict[str, int]:
        return {each.key: each.width(shown, sorts=each.key == choice.sort) for each in self.headings}

    def _spare(self, shown: Sequence[Group], choice: Choice, room: int) -> int:
        return room - SIGNS.width - sum(width + GAP for width in self._natural_widths(shown, choice).values())

    def _end_of_curves(self, widths: Mapping[str, int]) -> int:
        """Return the right edge of the last curve."""
        upto = self.headings[: self.headings.index(TRENDS[-1]) + 1]
        return SIGNS.width + sum(GAP + widths[each.key] for each in upto)

    @property
    def sortable(self) -> list[tuple[str, str]]:
        """The columns to sort by: key and title."""
        return [(each.key, each.title) for each in headings(self._rows.groups) if each not in TRENDS]

    def cells(self, key: str, marked: bool) -> list[Text]:
        """Return the cells of a row."""
        return self._run_cells(key, marked) if key[0] == RUN else self._group_cells(key, marked)

    def _group_cells(self, key: str, marked: bool) -> list[Text]:
        group, runs = self._rows.shown[key], self._rows.runs_of(key)
        running = any(run.status is RunStatus.RUNNING for run in runs)
        style = STATUS_STYLES[group.row.status]
        sign = STATUS_STYLES[RunStatus.RUNNING].sign if running else style.sign
        opened = "▾" if key in self._rows.choice.expanded else "▸"
        signs = Text.assemble(f"{_mark(marked)}{opened}", (sign, style.colour))
        trends = self._trends_of(runs)
        return [signs, *(self._cell(heading, heading.group_text(group), trends) for heading in self.headings)]

    def _run_cells(self, key: str, marked: bool) -> list[Text]:
        run = self._rows.run(key)
        if run is None:
            return [Text("")] * (len(self.headings) + 1)
        style = STATUS_STYLES[run.status]
        cells = [Text.assemble(f"{_mark(marked)} ", (style.sign, style.colour))]
        trends = self._trends_of([run])
        for heading in self.headings:
            cell = self._cell(heading, heading.run_text(run), trends)
            cells.append(Text.assemble("  ", cell) if heading is NAME else cell)
        return cells

    def _trends_of(self, runs: Sequence[Run]) -> list[Trend]:
        return [trend for run in runs if (trend := self._trends.get(run)) is not None]

    def _cell(self, heading: Heading, text: str, trends: Sequence[Trend]) -> Text:
        if heading in TRENDS:
            return Text(bars(trends, "loss" if heading is LOSS_TREND else "accuracy", self._widths[heading.key]))
        return Text(text)


def _mark(marked: bool) -> str:
    return "●" if marked else " "
