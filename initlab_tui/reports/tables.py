"""Tables of runs and groups for a terminal or a pipe."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.statistics.leaderboard import Row
from initlab_tui.reports import columns
from initlab_tui.reports.columns import ROOMY, Column, T
from initlab_tui.reports.escape import cell
from initlab_tui.reports.format import differing_fields, remark, setting, unreadable_line
from initlab_tui.store.runs import Run, UnreadableRun


def table(*headings: str, right: Iterable[str] = (), folded: Iterable[str] = ()) -> Table:
    """Return an empty table without lines; `right` columns are numbers, `folded` ones wrap, the others are cut."""
    made = Table(box=None, header_style="bold", show_header=any(headings), pad_edge=False, padding=(0, 2, 0, 0))
    numbers, wraps = set(right), set(folded)
    for heading in headings:
        justify: JustifyMethod = "right" if heading in numbers else "left"
        made.add_column(
            heading, justify=justify, no_wrap=heading not in wraps, overflow="fold" if heading in wraps else "ellipsis"
        )
    return made


def column_table(shown: Sequence[Column[T]], items: Sequence[T], width: int | None, gap: int = 2) -> Table:
    """Return a table of items that fits into `width` cells if its columns allow it; with None nothing is cut."""
    texts = [[cell(column.show(item).replace("\n", " ")) for item in items] for column in shown]
    natural = [
        max(cell_len(column.heading), *(text.cell_len for text in column_texts), 0)
        for column, column_texts in zip(shown, texts, strict=True)
    ]
    widths = _fit(shown, natural, None if width is None else width - gap * (len(shown) - 1))
    made = table(*(column.heading for column in shown), right=[each.heading for each in shown if each.is_number])
    made.padding = (0, gap, 0, 0)
    for column, cells in zip(made.columns, widths, strict=True):
        column.width = cells
    for row in zip(*texts, strict=True):
        made.add_row(*row)
    return made


def uncut_width(page: RenderableType) -> int:
    """Return the width from which no column of a page is cut."""
    return Console(width=10**6).measure(page).minimum


def _fit(shown: Sequence[Column[T]], natural: Sequence[int], room: int | None) -> list[int]:
    """Return the width of each column; the last columns that may be cut are cut first."""
    widths = list(natural)
    excess = 0 if room is None else sum(widths) - room
    for place in reversed(range(len(shown))):
        least = shown[place].least
        if excess > 0 and least is not None and least < widths[place]:
            cut = min(excess, widths[place] - least)
            widths[place] -= cut
            excess -= cut
    return widths


def leaderboard_tables(rows: Sequence[Row], width: int | None) -> RenderableType:
    """Return one table for each dataset, with the columns that distinguish its groups and fit into `width`."""
    boards = [list(board) for _, board in itertools.groupby(rows, lambda row: (row.spec.dataset, row.fingerprint))]
    parts: list[RenderableType] = []
    for board in boards:
        differing = differing_fields([row.spec for row in board])
        title = cell(setting(board[0], differing), "bold")
        parts += [title, _board(board, differing, width), *_footnotes(board), Text()]
    return Group(*parts[:-1])


def _board(rows: Sequence[Row], differing: Sequence[str], width: int | None) -> Table:
    roomy = width is None or width >= ROOMY
    shown = [columns.RANK, columns.INITIALIZER, *map(columns.field_column, differing), columns.N, columns.ACCURACY]
    shown.append(columns.VERSUS)
    if len({row.diagnoses[:1] for row in rows}) > 1:
        shown.append(columns.DIAGNOSIS)
    if roomy or len(differing) < 2:  # numbers are never cut, so some columns are omitted on a narrow terminal
        shown.append(columns.LOSS)
    shown += [columns.SECONDS, columns.SPEED]
    if roomy or any(row.status is not RunStatus.DONE for row in rows):
        shown.append(columns.STATUS)
    return column_table(_visible(shown, width), rows, width, gap=2 if roomy else 1)


def _visible(shown: Iterable[Column[T]], width: int | None) -> list[Column[T]]:
    return [column for column in shown if width is None or width >= column.from_width]


def _footnotes(rows: Sequence[Row]) -> list[Text]:
    notes = []
    if any(row.n >= 2 for row in rows):
        notes.append("± 95 % t interval over n seeds; vs #1: difference in points, paired by seed.")
    elif any(row.n for row in rows):
        notes.append("One seed shows no variation: compare with --seeds 3 or more to get an interval.")
    if any(row.versus_first and row.versus_first.verdict == "undecided" and row.n for row in rows):
        notes.append("? the 95 % interval of the difference to #1 contains 0.")
    return [cell(note, "dim") for note in notes]


def runs_page(runs: Sequence[Run], unreadable: Sequence[UnreadableRun], width: int | None) -> RenderableType:
    """Return the table of the runs, and a line for each one that cannot be read."""
    lines = [cell(unreadable_line(run)) for run in unreadable]
    return Group(*([runs_table(runs, width)] if runs else []), *lines)


def runs_table(runs: Sequence[Run], width: int | None) -> Table:
    """Return a table with one line for each run; only texts are cut, and the reason first."""
    shown = [column for column in _visible(columns.RUNS, width) if column.key != "reason" or any(map(remark, runs))]
    return column_table(shown, runs, width)
