"""What the results pane shows, as pure data: groups, columns, order and filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from initlab_tui.domain.statistics.leaderboard import Row, varying
from initlab_tui.reports import columns
from initlab_tui.reports.columns import Column, Sortable
from initlab_tui.reports.diagnosis import SIGNS
from initlab_tui.reports.format import initializer_name, number, percent, plain, seconds, statuses
from initlab_tui.store.database import Run

MOST_FIELD = 16  # cells of a field's column


@dataclass(frozen=True, eq=False)
class Group:
    """A row of the leaderboard and its runs, oldest first."""

    row: Row
    runs: tuple[Run, ...]

    @cached_property
    def key(self) -> str:
        return f"{self.row.fingerprint}:{self.runs[0].spec_hash}"

    @cached_property
    def name(self) -> str:
        """Its initializer, and the name that a person gave it."""
        given = {run.name for run in self.runs if run.name}
        initializer = initializer_name(self.row.spec.initializer)
        return plain(f"{initializer} “{given.pop()}”" if len(given) == 1 else initializer)

    @cached_property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(plain(tag) for run in self.runs for tag in run.tags.split()))

    @cached_property
    def text(self) -> str:
        """What the filter looks through."""
        fields = " ".join(self.fields.values())
        return f"{self.name} {' '.join(self.tags)} {fields} {statuses(self.row)}".lower()

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields of the spec as on the command line, the seed left out."""
        return {
            name: plain(columns.field_text(self.row, name))
            for name in type(self.row.spec).model_fields
            if name != "seed"
        }


def groups(rows: Sequence[Row], runs: Mapping[int, Run], known: Sequence[Group] = ()) -> tuple[Group, ...]:
    """The rows with their runs; those of `known` that are still the same, with all that was worked out of them."""
    before = {group.row.run_ids: group for group in known}
    made = []
    for row in rows:
        of_row = tuple(runs[run_id] for run_id in row.run_ids)
        same = before.get(row.run_ids)
        made.append(same if same and same.row == row and same.runs == of_row else Group(row, of_row))
    return tuple(made)


@dataclass(frozen=True)
class Choice:
    """What of the leaderboard a person wants to see, and in which order; `sort` names a column."""

    sort: str = "#"
    reverse: bool = False
    words: str = ""
    newest_only: bool = False
    expanded: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Heading:
    """A column of the board: its title, and what it shows and sorts by for a group and for a run.

    `order` puts what is best or first to the top; None goes last, whichever way round. `is_field` columns show a
    field of the spec.
    """

    key: str
    title: str
    width: int
    of_group: Callable[[Group], str]
    of_run: Callable[[Run], str]
    order: Callable[[Group], Sortable | None]
    right: bool = True
    is_field: bool = False


def _nothing(_: object) -> str:
    return ""


def _heading(column: Column[Row], width: int, of_run: Callable[[Run], str] = _nothing) -> Heading:
    """A column of the board, with what it shows for a run."""
    return Heading(
        column.key,
        column.heading,
        width,
        lambda group: column.show(group.row),
        of_run,
        lambda group: column.order(group.row),
        right=column.is_number,
    )


def _field(name: str, shown: Sequence[Group]) -> Heading:
    column = columns.field_column(name)
    width = min(MOST_FIELD, max([len(column.heading), *(len(group.fields[name]) for group in shown)]))
    return replace(_heading(column, width), of_group=lambda group: group.fields[name], is_field=True)


RANK = _heading(columns.RANK, 2)
NAME = replace(
    _heading(columns.INITIALIZER, 20, lambda run: f"seed {run.spec.seed}{' ' + plain(run.name) if run.name else ''}"),
    of_group=lambda group: group.name,
    order=lambda group: group.name,
)
MEASURES = (_heading(columns.ACCURACY, 11, lambda run: percent(run.test_accuracy)), _heading(columns.N, 2))
LOSS = _heading(columns.LOSS, 9, lambda run: number(run.test_loss))
TRENDS = (
    Heading("loss curve", "tr loss", 7, _nothing, _nothing, LOSS.order, right=False),
    Heading("acc curve", "tr acc", 6, _nothing, _nothing, MEASURES[0].order, right=False),
)
STATUS = _heading(columns.STATUS, 10, lambda run: run.status)
VERSUS = _heading(columns.VERSUS, 12)
VERDICT = _heading(columns.DIAGNOSIS, 20, lambda run: run.verdict.replace("_", " "))
# The same where the words have no room: beside the accuracy reached is where they teach.
VERDICT_SIGN = replace(
    VERDICT,
    title="@0",
    width=2,
    of_group=lambda group: "".join(SIGNS[name] for name, _ in group.row.diagnoses),
    of_run=lambda run: SIGNS.get(run.verdict, ""),
)
COSTS = (_heading(columns.SECONDS, 9, lambda run: seconds(run.seconds)), _heading(columns.SPEED, 9))
DATA = _heading(columns.FINGERPRINT, 7)
TAGS = Heading(
    "tags",
    "tags",
    16,
    lambda group: " ".join(group.tags),
    lambda run: plain(run.tags),
    lambda group: " ".join(group.tags),
    right=False,
)


def headings(shown: Sequence[Group]) -> tuple[Heading, ...]:
    """The columns that tell the groups on show apart, then what was measured."""
    differing = [name for name in varying([group.row.spec for group in shown]) if name != "initializer"]
    # Of one dataset's name there may be several contents.
    contents = {group.row.fingerprint for group in shown if group.row.fingerprint}
    data = [DATA] if "dataset" not in differing and len(contents) > 1 else []
    tags = [TAGS] if any(group.tags for group in shown) else []
    fields = [_field(name, shown) for name in differing]
    judged = [VERDICT] if len({group.row.diagnoses[:1] for group in shown}) > 1 else []
    broken = [STATUS] if any(group.row.status != "done" for group in shown) else []
    return (RANK, NAME, *fields, *data, *judged, *MEASURES, VERSUS, *TRENDS, LOSS, *broken, *COSTS, *tags)


def chosen(found: Sequence[Group], choice: Choice) -> list[Group]:
    """The groups that hold every word of the filter, in the order chosen."""
    words = choice.words.lower().split()
    kept = [group for group in found if all(word in group.text for word in words)]
    heading = next((each for each in headings(kept) if each.key == choice.sort), RANK)
    if heading is RANK:
        return kept[::-1] if choice.reverse else kept
    known: list[tuple[Sortable, Group]] = []
    unknown = []
    for group in kept:
        value = heading.order(group)
        if value is None:
            unknown.append(group)
        else:
            known.append((value, group))
    known.sort(key=lambda pair: pair[0], reverse=choice.reverse)
    return [group for _, group in known] + unknown
