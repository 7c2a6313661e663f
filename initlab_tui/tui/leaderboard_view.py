"""What the results pane shows, as pure data: groups, columns, order and filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from initlab_tui.domain.statistics.leaderboard import Row, varying
from initlab_tui.reports.diagnosis import SIGNS
from initlab_tui.reports.format import (
    diagnoses,
    initializer_name,
    number,
    percent,
    percent_interval,
    plain,
    rate,
    seconds,
    short,
    statuses,
    versus,
)
from initlab_tui.store.database import Run

HEADERS = {
    "learning_rate": "lr",
    "batch_size": "batch",
    "eval_every": "test every",
    "activation": "act",
    "optimizer": "opt",
    "epochs": "ep",
    "execution": "exec",
}
MOST_FIELD = 16  # cells of a field's column
Sortable = float | str


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
            name: plain(short(list(value)) if isinstance(value, tuple) else str(value))
            for name, value in self.row.spec
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


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _sortable(value: object) -> Sortable:
    return value if isinstance(value, int | float) else str(value)


def _field(name: str, shown: Sequence[Group]) -> Heading:
    title = HEADERS.get(name, name)
    return Heading(
        name,
        title,
        min(MOST_FIELD, max([len(title), *(len(group.fields[name]) for group in shown)])),
        lambda group: group.fields[name],
        _nothing,
        lambda group: _sortable(getattr(group.row.spec, name)),
        right=False,
        is_field=True,
    )


RANK = Heading(
    "#", "#", 2, lambda group: str(group.row.rank) if group.row.n else "", _nothing, lambda group: group.row.rank
)
NAME = Heading(
    "initializer",
    "initializer",
    20,
    lambda group: group.name,
    lambda run: f"seed {run.spec.seed}{' ' + plain(run.name) if run.name else ''}",
    lambda group: group.name,
    right=False,
)
MEASURES = (
    Heading(
        "acc %",
        "acc %",
        11,
        lambda group: percent_interval(group.row.test_accuracy),
        lambda run: percent(run.test_accuracy),
        lambda group: _minus(group.row.test_accuracy.mean),
    ),
    Heading("n", "n", 2, lambda group: str(group.row.n), _nothing, lambda group: -group.row.n),
)
LOSS = Heading(
    "loss",
    "loss",
    9,
    lambda group: number(group.row.test_loss.mean),
    lambda run: number(run.test_loss),
    lambda group: group.row.test_loss.mean,
)
TRENDS = (
    Heading("loss curve", "tr loss", 7, _nothing, _nothing, lambda group: group.row.test_loss.mean, right=False),
    Heading(
        "acc curve", "tr acc", 6, _nothing, _nothing, lambda group: _minus(group.row.test_accuracy.mean), right=False
    ),
)
STATUS = Heading(
    "status",
    "status",
    10,
    lambda group: statuses(group.row),
    lambda run: run.status,
    lambda group: statuses(group.row),
    right=False,
)
VERSUS = Heading(
    "vs #1",
    "vs #1",
    12,
    lambda group: versus(group.row),
    _nothing,
    lambda group: _minus(group.row.versus_first.accuracy.mean) if group.row.versus_first else -1e9,
)
VERDICT = Heading(
    "step 0",
    "at step 0",
    20,
    lambda group: diagnoses(group.row),
    lambda run: run.verdict.replace("_", " "),
    lambda group: diagnoses(group.row),
    right=False,
)
# The same where the words have no room: beside the accuracy reached is where they teach.
VERDICT_SIGN = replace(
    VERDICT,
    title="@0",
    width=2,
    of_group=lambda group: "".join(SIGNS[name] for name, _ in group.row.diagnoses),
    of_run=lambda run: SIGNS.get(run.verdict, ""),
)
COSTS = (
    Heading(
        "time",
        "time",
        9,
        lambda group: seconds(group.row.seconds),
        lambda run: seconds(run.seconds),
        lambda group: group.row.seconds,
    ),
    Heading(
        "samples/s",
        "samples/s",
        9,
        lambda group: rate(group.row.samples_per_second),
        lambda run: rate(run.samples_per_second),
        lambda group: _minus(group.row.samples_per_second),
    ),
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


DATA = Heading(
    "data",
    "data",
    7,
    lambda group: (group.row.fingerprint or "")[:6],
    _nothing,
    lambda group: group.row.fingerprint or "",
    right=False,
)
TAGS = Heading(
    "tags",
    "tags",
    16,
    lambda group: " ".join(group.tags),
    lambda run: plain(run.tags),
    lambda group: " ".join(group.tags),
    right=False,
)


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
