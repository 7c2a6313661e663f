"""The results pane: the leaderboard over all runs, to sort, filter, open, mark and keep in order."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Static

from initlab_tui.reports.format import conclusion, plain
from initlab_tui.store.database import Run
from initlab_tui.tui.keys import RESULTS, bindings
from initlab_tui.tui.leaderboard_view import (
    NAME,
    TRENDS,
    VERDICT,
    VERDICT_SIGN,
    Choice,
    Group,
    Heading,
    chosen,
    headings,
)
from initlab_tui.tui.status_style import STATES
from initlab_tui.tui.store_monitor import StoreSnapshot
from initlab_tui.tui.trends import Trend, Trends, bars
from initlab_tui.tui.widgets.field import SafeInput
from initlab_tui.tui.widgets.table import GAP, Column, Table

if TYPE_CHECKING:
    from initlab_tui.tui.chart.series import Series

SIGNS = Column("signs", "", 3)
MOST_NAME = 34
MOST_TREND = 24
GROUP, RUN = "g", "r"


class Results(Vertical):
    """The leaderboard. Its lines are named `g...` for a group and `r...` for a run."""

    DEFAULT_CSS = """
    Results Table { padding: 0 0 0 1; }
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
        """Something is wanted of runs: details, layers, delete, undo, rename, tag or sort."""

        def __init__(self, action: str, ids: Sequence[int] = ()) -> None:
            super().__init__()
            self.action, self.ids = action, list(ids)

    class Counted(Message):
        """How much is on show, in words."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, trends: Trends) -> None:
        super().__init__(id="results")
        self.border_title = "3 Results"
        self._trends = trends
        self._view: StoreSnapshot | None = None
        self._choice = Choice()
        self._shown: dict[str, Group] = {}
        self._headings: tuple[Heading, ...] = ()
        self._marked: frozenset[str] = frozenset()
        self._trend_widths = {each.key: each.width for each in TRENDS}
        self._claims: tuple[Text, ...] = ()

    def compose(self) -> ComposeResult:
        with Horizontal(id="filter-line"):
            yield Label("Filter")
            yield SafeInput(compact=True, placeholder="words: he_normal mnist diverged a-tag …")
        yield Static("", id="empty")
        yield Table[str](self._cells, id="leaderboard")
        yield Static("", id="verdict")

    def on_mount(self) -> None:
        self.show_choice(self._choice)

    @property
    def leaderboard(self) -> Table[str]:
        return self.query_one("#leaderboard", Table)

    @property
    def choice(self) -> Choice:
        """What is on show, and in which order."""
        return self._choice

    @property
    def sortable(self) -> list[tuple[str, str]]:
        """The columns on show, by key and title."""
        shown = headings(list(self._shown.values()))
        return [(each.key, each.title) for each in shown if each not in TRENDS]

    def show(self, view: StoreSnapshot) -> None:
        """Show the store as it is now: all of it when the ranking is new, else what is on the screen."""
        self._view = view
        if view.ranked:
            self.show_choice(self._choice)
        else:
            self.refresh_runs(view.changed)

    def refresh_runs(self, ids: Collection[int]) -> None:
        """Draw anew what is on the screen of these runs."""
        lines = {f"{RUN}{run_id}" for run_id in ids}
        lines |= {
            key
            for key in self.leaderboard.visible_keys
            if key in self._shown and any(run_id in ids for run_id in self._shown[key].row.run_ids)
        }
        self.leaderboard.repaint_changed(lines)

    def show_choice(self, choice: Choice) -> None:
        """Show the leaderboard in another order, or other parts of it."""
        self._choice = choice
        found = self._found
        shown = chosen(found, choice)
        self._headings = headings(shown)
        self._shown = {GROUP + group.key: group for group in shown}
        keys: list[str] = []
        for key, group in self._shown.items():
            keys.append(key)
            if key in choice.expanded:
                keys += [f"{RUN}{run.id}" for run in group.runs]
        self._marked &= self._still_there()
        self.leaderboard.show(self._columns(shown) if shown else [], keys)
        self._say(found, shown)
        self.refresh_bindings()

    @property
    def _found(self) -> Sequence[Group]:
        if not self._view:
            return ()
        return self._view.newest if self._choice.newest_only else self._view.groups

    def _still_there(self) -> frozenset[str]:
        if not self._view or not self._marked:
            return self._marked
        groups = {GROUP + group.key for group in (*self._view.groups, *self._view.newest)}
        return frozenset(mark for mark in self._marked if mark in groups or self._runs_of(mark))

    def _columns(self, shown: Sequence[Group]) -> list[Column]:
        sort = self._choice.sort
        arrow = "▲" if self._choice.reverse else "▼"
        widths = self._widths(shown)
        if self._spare(widths) < 0:
            self._headings = tuple(VERDICT_SIGN if each is VERDICT else each for each in self._headings)
            widths = self._widths(shown)
        spare = self._spare(widths) // len(TRENDS)
        for each in TRENDS:
            widths[each.key] += max(0, min(MOST_TREND - each.width, spare))
        self._trend_widths = {each.key: widths[each.key] for each in TRENDS}
        titles = {each.key: each.title + (arrow if each.key == sort else "") for each in self._headings}
        return [SIGNS, *(Column(each.key, titles[each.key], widths[each.key], each.right) for each in self._headings)]

    def _widths(self, shown: Sequence[Group]) -> dict[str, int]:
        """Of each column the least."""
        sort = self._choice.sort
        widths = {each.key: max(each.width, len(each.title) + (each.key == sort)) for each in self._headings}
        return widths | {NAME.key: min(MOST_NAME, max([NAME.width, *(len(group.name) for group in shown)]))}

    def _spare(self, widths: Mapping[str, int]) -> int:
        return self.leaderboard.size.width - SIGNS.width - sum(width + GAP for width in widths.values())

    def on_resize(self) -> None:
        """The curves take what room there is."""
        self.show_choice(self._choice)

    def _say(self, found: Sequence[Group], shown: Sequence[Group]) -> None:
        self._count(found, shown)
        self.set_class(not shown, "-empty")
        self.query_one("#empty", Static).update(Text("" if shown else plain(self._empty(found))))
        rows = [group.row for group in shown] if not self._choice.words else []
        one_board = len({(row.spec.dataset, row.fingerprint) for row in rows}) == 1
        sentence = conclusion(sorted(rows, key=lambda row: row.rank)) if one_board else ""
        verdict = self.query_one("#verdict", Static)
        lines = [*([Text(plain(sentence))] if sentence else []), *self._claims]
        verdict.display = bool(lines)
        verdict.update(Text("\n").join(lines))

    def show_claims(self, claims: Sequence[Text]) -> None:
        """Say under the board what came of a recipe's claims, each recipe in a line."""
        if self._claims != tuple(claims):
            self._claims = tuple(claims)
            self.show_choice(self._choice)

    def _empty(self, found: Sequence[Group]) -> str:
        if not self._view:
            return "reading the store …"
        if found:
            return f"Nothing holds all of “{self._choice.words}”. esc shows all {len(found)} groups again."
        return (
            "No results yet. Each initializer gets a line here: mean accuracy over the seeds with its 95 % interval, "
            "loss, curves, and whether it differs from the best by more than the seeds' spread. "
            "e chooses a published experiment to run again."
        )

    def _count(self, found: Sequence[Group], shown: Sequence[Group]) -> None:
        self.border_subtitle = self._subtitle(found, shown)
        self.post_message(self.Counted(self._subtitle(found, shown)))

    def _subtitle(self, found: Sequence[Group], shown: Sequence[Group]) -> str:
        many = f"{len(shown)} of {len(found)} groups" if len(shown) != len(found) else f"{len(found)} groups"
        marked = f" · {len(self._marked)} marked" if self._marked else ""
        scope = f" · comparison {self._view.newest_id} only" if self._choice.newest_only and self._view else ""
        return f"{many}{scope}{marked}"

    def _cells(self, key: str) -> list[Text]:
        if key[0] == RUN:
            return self._run_cells(int(key[1:]))
        group = self._shown[key]
        status = group.row.status
        state = STATES[status]
        running = any(run.status == "running" for run in self._runs_of(key))
        opened = "▾" if key in self._choice.expanded else "▸"
        mark = "●" if key in self._marked else " "
        sign = Text(f"{mark}{opened}")
        sign.append((STATES["running"] if running else state).sign, style=state.style)
        trends = [trend for run in group.runs if (trend := self._trends.get(self._now(run))) is not None]
        return [sign, *(self._cell(heading, heading.of_group(group), trends) for heading in self._headings)]

    def _run_cells(self, run_id: int) -> list[Text]:
        run = self._view.runs.get(run_id) if self._view else None
        if run is None:
            return [Text("")] * (len(self._headings) + 1)
        state = STATES[run.status]
        mark = "●" if f"{RUN}{run_id}" in self._marked else " "
        sign = Text(f"{mark} ")
        sign.append(state.sign, style=state.style)
        trend = self._trends.get(run)
        cells = [self._cell(heading, heading.of_run(run), [trend] if trend else []) for heading in self._headings]
        return [
            sign,
            *(
                _indented(cell) if heading is NAME else cell
                for heading, cell in zip(self._headings, cells, strict=True)
            ),
        ]

    def _cell(self, heading: Heading, text: str, trends: Sequence[Trend]) -> Text:
        if heading in TRENDS:
            kind = "loss" if heading.key.startswith("loss") else "accuracy"
            return Text(bars(trends, kind, self._trend_widths[heading.key]))
        return Text(text)

    def _now(self, run: Run) -> Run:
        return self._view.runs.get(run.id, run) if self._view else run

    def _runs_of(self, key: str) -> list[Run]:
        """The runs of a line as they are now."""
        if key[0] == RUN:
            run = self._view.runs.get(int(key[1:])) if self._view else None
            return [run] if run else []
        group = self._shown.get(key) or next((g for g in self._found if GROUP + g.key == key), None)
        return [self._now(run) for run in group.runs] if group else []

    @property
    def _aimed(self) -> list[str]:
        """The marked lines, else the one under the cursor."""
        if self._marked:
            order = {key: place for place, key in enumerate(self.leaderboard.keys)}
            return sorted(self._marked, key=lambda key: order.get(key, len(order)))
        return [self.leaderboard.current] if self.leaderboard.current else []

    @property
    def aimed_ids(self) -> list[int]:
        """The runs that are marked, else those of the line under the cursor."""
        return list(dict.fromkeys(run.id for key in self._aimed for run in self._runs_of(key)))

    @property
    def series(self) -> list[Series]:
        """What the chart draws: the marked lines, else all that are on show."""
        keys = self._aimed if self._marked else [key for key in self.leaderboard.keys if key[0] == GROUP]
        return [self._series(key) for key in keys if self._runs_of(key)]

    def _series(self, key: str) -> Series:
        from initlab_tui.tui.chart.series import Series  # with NumPy, which the first paint does not need

        runs = self._runs_of(key)
        ids = tuple(run.id for run in runs)
        if key[0] == GROUP and key in self._shown:
            group = self._shown[key]
            fields = [f"{each.title} {group.fields[each.key]}" for each in self._headings if each.is_field]
            # What was broken off would end the mean of those that were not.
            whole = tuple(run.id for run in runs if run.status not in ("stopped", "failed", "crashed"))
            return Series(" ".join([group.name, *fields]), whole or ids)
        group_of = next((group for group in self._found if ids[0] in group.row.run_ids), None)
        name = group_of.name if group_of else ""
        return Series(f"{name} seed {runs[0].spec.seed}" if key[0] == RUN else name, ids)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Show only keys that can do something now; the filter takes letters for itself."""
        if action == "clear":
            return bool(self._choice.words or self._marked or self._is_typing)
        return not self._is_typing or action not in [key.action for key in RESULTS]

    @property
    def _is_typing(self) -> bool:
        return self.is_mounted and self.query_one(Input).has_focus

    def action_mark(self) -> None:
        key = self.leaderboard.current
        if key:
            self._marked ^= {key}
            self.leaderboard.repaint_changed()
            self.leaderboard.action_move(1)
            self.refresh_bindings()
            self._count(self._found, list(self._shown.values()))

    def action_expand(self) -> None:
        key = self.leaderboard.current
        if key is None:
            return
        if key[0] == RUN:
            self.action_details()
        else:
            self.show_choice(replace(self._choice, expanded=self._choice.expanded ^ {key}))

    def action_details(self) -> None:
        self._ask_of_one("details")

    def action_layers(self) -> None:
        self._ask_of_one("layers")

    def _ask_of_one(self, action: str) -> None:
        key = self.leaderboard.current
        runs = self._runs_of(key) if key else []
        if runs:
            self.post_message(self.Requested(action, [runs[0].id]))

    def action_only(self) -> None:
        self.show_choice(replace(self._choice, newest_only=not self._choice.newest_only))

    def action_sort(self) -> None:
        self.post_message(self.Requested("sort"))

    def sort_by(self, key: str) -> None:
        """Sort by a column; by the same again the other way round."""
        again = key == self._choice.sort
        self.show_choice(replace(self._choice, sort=key, reverse=not self._choice.reverse if again else False))

    @on(Table.HeaderClicked)
    def _header_clicked(self, event: Table.HeaderClicked) -> None:
        event.stop()
        if event.column in dict(self.sortable):
            self.sort_by(event.column)

    @on(Table.Chosen)
    def _chosen(self, event: Table.Chosen) -> None:
        event.stop()
        self.action_expand()

    def action_delete(self) -> None:
        self._ask("delete")

    def action_rename(self) -> None:
        self._ask("rename")

    def action_tag(self) -> None:
        self._ask("tag")

    def action_undo(self) -> None:
        self.post_message(self.Requested("undo"))

    def _ask(self, action: str) -> None:
        ids = self.aimed_ids
        if ids:
            self.post_message(self.Requested(action, ids))

    def unmark(self) -> None:
        """Take all marks away."""
        self._marked = frozenset()
        self.show_choice(self._choice)

    def action_filter(self) -> None:
        self.query_one("#filter-line").add_class("-shown")
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.show_choice(replace(self._choice, words=event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#filter-line").set_class(bool(event.value.strip()), "-shown")
        self.leaderboard.focus()

    def action_clear(self) -> None:
        if self._choice.words or self.query_one(Input).has_focus:
            self.query_one(Input).value = ""
            self.query_one("#filter-line").remove_class("-shown")
            self.leaderboard.focus()
        elif self._marked:
            self.unmark()


def _indented(text: Text) -> Text:
    return Text.assemble("  ", text)
