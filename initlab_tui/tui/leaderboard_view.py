"""The content of the results pane as pure data: groups of runs, filter and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from initlab_tui.domain.statistics.leaderboard import Row
from initlab_tui.reports import columns
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import initializer_name, statuses
from initlab_tui.store.runs import Run


@dataclass(frozen=True, eq=False)
class Group:
    """A row of the leaderboard and its runs, oldest first. All texts are safe to print."""

    row: Row
    runs: tuple[Run, ...]

    @cached_property
    def key(self) -> str:
        return f"{self.row.fingerprint}:{self.runs[0].spec_hash}"

    @cached_property
    def name(self) -> str:
        """The initializer, and the name of the runs if they all have the same."""
        given = {run.name for run in self.runs if run.name}
        initializer = initializer_name(self.row.spec.initializer)
        return plain(f"{initializer} “{given.pop()}”" if len(given) == 1 else initializer)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(plain(tag) for run in self.runs for tag in run.tags.split()))

    @cached_property
    def text(self) -> str:
        """The text that the filter searches."""
        fields = " ".join(self.fields.values())
        return f"{self.name} {' '.join(self.tags)} {fields} {statuses(self.row)}".lower()

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields of the spec, without the seed, as on the command line."""
        return {
            name: plain(columns.field_text(self.row, name))
            for name in type(self.row.spec).model_fields
            if name != "seed"
        }

    @cached_property
    def cells(self) -> dict[str, str]:
        """A cache of its texts in the table, by the column's title."""
        return {}


def groups(rows: Sequence[Row], runs: Mapping[int, Run], known: Sequence[Group] = ()) -> tuple[Group, ...]:
    """Join the rows with their runs; a group of `known` that has not changed is kept, with its cached texts."""
    before = {group.row.run_ids: group for group in known}
    made = []
    for row in rows:
        of_row = tuple(runs[run_id] for run_id in row.run_ids)
        same = before.get(row.run_ids)
        made.append(same if same and same.row == row and same.runs == of_row else Group(row, of_row))
    return tuple(made)


@dataclass(frozen=True)
class Choice:
    """Which groups are shown, and in which order; `sort` is the key of a column."""

    sort: str = "#"
    reverse: bool = False
    words: str = ""
    newest_only: bool = False
    expanded: frozenset[str] = field(default_factory=frozenset)


def filtered(found: Sequence[Group], words: str) -> list[Group]:
    """Return the groups with every word of the filter in their text."""
    wanted = words.lower().split()
    return [group for group in found if all(word in group.text for word in wanted)]
