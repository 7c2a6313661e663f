"""The results pane: the leaderboard of all runs, to sort, filter, mark, inspect and edit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Static

from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import unreadable_message
from initlab_tui.tui.chart.series import Series
from initlab_tui.tui.keys import RESULTS, bindings
from initlab_tui.tui.leaderboard_view import Choice
from initlab_tui.tui.panes.result_cells import ResultCells
from initlab_tui.tui.panes.result_rows import RUN, ResultRows
from initlab_tui.tui.panes.selection import Selection
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trends
from initlab_tui.tui.widgets.field import SafeInput
from initlab_tui.tui.widgets.table import Table

NO_RESULTS = (
    "No results yet. Each initializer gets a line here: mean accuracy over the seeds with its 95 % interval, "
    "loss, curves, and whether it differs from the best. e chooses a published experiment."
)


class Results(Vertical):
    """The leaderboard; `trends` has the training curves."""

    DEFAULT_CSS = """
    Results #filter-line { height: 1; padding: 0 1; display: none; }
    Results #filter-line.-shown { display: block; }
    Results #filter-line Label { width: 8; text-style: bold; }
    Results #filter-line Input { width: 1fr; }
    Results #empty { display: none; padding: 0 1; height: auto; }
    Results.-empty #empty { display: block; }
    Results.-empty Table { height: 1; }
    Results #verdict { height: auto; padding: 0 1; color: $text-muted; }
    """
    BINDINGS = bindings(RESULTS)

    class Requested(Message):
        """The user requests an action on runs: details, layers, resume, delete, undo, rename, tag or sort."""

        def __init__(self, action: str, ids: Sequence[int] = ()) -> None:
            super().__init__()
            self.action, self.ids = action, list(ids)

    class Counted(Message):
        """The number of shown or marked groups changed; `text` is the new count in words."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, trends: Trends) -> None:
        super().__init__(id="results")
        self.border_title = "3 Results"
        self._rows = ResultRows()
        self._cells = ResultCells(self._rows, trends)
        self._selection = Selection(self._rows)
        self._claims: tuple[Text, ...] = ()

    def compose(self) -> ComposeResult:
        with Horizontal(id="filter-line"):
            yield Label("Filter")
            yield SafeInput(compact=True, placeholder="words: he_normal mnist diverged a-tag …")
        yield Static("", id="empty")
        yield Table[str](self._cells_of, id="leaderboard", frozen=3)
        yield Static("", id="verdict")

    def on_mount(self) -> None:
        self.show_choice(self.choice)

    @property
    def leaderboard(self) -> Table[str]:
        return self.query_one("#leaderboard", Table)

    @property
    def choice(self) -> Choice:
        """Which groups are shown, and in which order."""
        return self._rows.choice

    @property
    def sortable(self) -> list[tuple[str, str]]:
        """The columns to sort by: key and title."""
        return self._cells.sortable

    @property
    def selected_ids(self) -> list[int]:
        """The runs that are marked, else those of the row under the cursor."""
        return self._selection.run_ids(self.leaderboard.current)

    @property
    def series(self) -> list[Series]:
        """What the chart draws: the marked rows, else all groups."""
        return self._selection.series(self._cells.headings)

    def show(self, snapshot: StoreSnapshot) -> None:
        """Show the current state of the store; only what is visible is drawn again unless the ranking is new."""
        self._rows.snapshot = snapshot
        if snapshot.ranked:
            self.show_choice(self.choice)
        else:
            self.refresh_runs(snapshot.changed)

    def refresh_runs(self, ids: Collection[int]) -> None:
        """Draw the visible rows of these runs again."""
        self.leaderboard.repaint_changed(self._rows.with_any_of(self.leaderboard.visible_keys, ids))

    def show_choice(self, choice: Choice) -> None:
        """Show other groups, or another order."""
        self._rows.arrange(choice)
        self._selection.drop_missing()
        columns = self._cells.columns(self.leaderboard.size.width) if self._rows.shown else []
        self.leaderboard.show(columns, self._rows.keys)
        self._write_texts()
        self.refresh_bindings()

    def show_claims(self, claims: Sequence[Text]) -> None:
        """Show the results of a recipe's claims below the table, one line for each recipe."""
        if self._claims != tuple(claims):
            self._claims = tuple(claims)
            self.show_choice(self.choice)

    @on(Table.Resized)
    def _table_resized(self, event: Table.Resized) -> None:
        event.stop()
        self.show_choice(self.choice)

    def _cells_of(self, key: str) -> list[Text]:
        return self._cells.cells(key, key in self._selection.marked)

    # The texts around the table

    def _write_texts(self) -> None:
        self._write_count()
        self.set_class(not self._rows.shown, "-empty")
        self.query_one("#empty", Static).update(Text(self._why_empty()))
        sentence = self._rows.conclusion()
        unreadable = unreadable_message(self._rows.snapshot.unreadable) if self._rows.snapshot else ""
        lines = [*(Text(plain(line)) for line in (sentence, unreadable) if line), *self._claims]
        verdict = self.query_one("#verdict", Static)
        verdict.display = bool(lines)
        verdict.update(Text("\n").join(lines))

    def _write_count(self) -> None:
        self.border_subtitle = self._rows.summary(len(self._selection.marked))
        self.post_message(self.Counted(self.border_subtitle))

    def _why_empty(self) -> str:
        if self._rows.shown:
            return ""
        if not self._rows.snapshot:
            return "Reading the store …"
        if found := len(self._rows.found):
            return plain(f"No group contains all of “{self.choice.words}”. Esc shows all {found} groups again.")
        return NO_RESULTS

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Show only keys that have an effect now; while the filter has the focus, letters go into it."""
        if action == "clear":
            return bool(self.choice.words or self._selection.marked or self._is_typing)
        return not self._is_typing or action not in [key.action for key in RESULTS]

    @property
    def _is_typing(self) -> bool:
        return self.is_mounted and self.query_one(Input).has_focus

    def action_mark(self) -> None:
        if key := self.leaderboard.current:
            self._selection.toggle(key)
            self.leaderboard.repaint_changed()
            self.leaderboard.action_move(1)
            self.refresh_bindings()
            self._write_count()

    def unmark(self) -> None:
        """Remove all marks."""
        self._selection.clear()
        self.show_choice(self.choice)

    def action_expand(self) -> None:
        """Open or close a group; show the details of a run."""
        key = self.leaderboard.current
        if key and key[0] == RUN:
            self.action_details()
        elif key:
            self.show_choice(self._rows.toggled(key))

    @on(Table.Chosen)
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_expand()

    def action_details(self) -> None:
        self._request_of_current("details")

    def action_layers(self) -> None:
        self._request_of_current("layers")

    def _request_of_current(self, action: str) -> None:
        key = self.leaderboard.current
        if key and (runs := self._rows.runs_of(key)):
            self.post_message(self.Requested(action, [runs[0].id]))

    def action_resume(self) -> None:
        self._request("resume")

    def action_delete(self) -> None:
        self._request("delete")

    def action_rename(self) -> None:
        self._request("rename")

    def action_tag(self) -> None:
        self._request("tag")

    def _request(self, action: str) -> None:
        if ids := self.selected_ids:
            self.post_message(self.Requested(action, ids))

    def action_undo(self) -> None:
        self.post_message(self.Requested("undo"))

    def action_only(self) -> None:
        self.show_choice(replace(self.choice, newest_only=not self.choice.newest_only))

    def action_sort(self) -> None:
        self.post_message(self.Requested("sort"))

    def sort_by(self, column: str) -> None:
        """Sort by a column; in reverse if it is sorted by it already."""
        self.show_choice(self._rows.sorted_by(column))

    @on(Table.HeaderClicked)
    def _header_clicked(self, event: Table.HeaderClicked) -> None:
        event.stop()
        if event.column in dict(self.sortable):
            self.sort_by(event.column)

    def action_filter(self) -> None:
        self.query_one("#filter-line").add_class("-shown")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.show_choice(replace(self.choice, words=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#filter-line").set_class(bool(event.value.strip()), "-shown")
        self.leaderboard.focus()

    def action_clear(self) -> None:
        """Clear the filter, then the marks."""
        if self.choice.words or self.query_one(Input).has_focus:
            self.query_one(Input).value = ""
            self.query_one("#filter-line").remove_class("-shown")
            self.leaderboard.focus()
        elif self._selection.marked:
            self.unmark()
