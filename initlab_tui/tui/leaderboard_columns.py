"""The columns of the results table: which are shown, their widths, and the order of the groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.statistics.leaderboard import Row, varying
from initlab_tui.reports import columns
from initlab_tui.reports.columns import Column, Sortable
from initlab_tui.reports.diagnosis import SIGNS
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import number, percent, seconds
from initlab_tui.store.runs import Run
from initlab_tui.tui.leaderboard_view import Choice, Group, filtered

LEAST_NAME = 20  # cells for the initializer, even where other columns need the room: random_normal σ=0.05


def _nothing(_: object) -> str:
    return ""


@dataclass(frozen=True)
class Heading:
    """A column of the results table: its title, what it shows for a group and for a run, and the sort order.

    `order` sorts the best or first to the top; None always comes last. A column is as wide as its texts, between
    `least` and `most` cells. `is_field` columns show a field of the spec.
    """

    key: str
    title: str
    of_group: Callable[[Group], str]
    order: Callable[[Group], Sortable | None]
    of_run: Callable[[Run], str] = _nothing
    right: bool = True
    least: int = 0
    most: int = 16
    is_field: bool = False

    def group_text(self, group: Group) -> str:
        """Return the text of a group's cell, safe to print."""
        text = group.cells.get(self.title)
        if text is None:
            text = group.cells[self.title] = plain(self.of_group(group))
        return text

    def run_text(self, run: Run) -> str:
        """Return the text of a run's cell, safe to print."""
        return plain(self.of_run(run))

    def width(self, shown: Sequence[Group], *, sorts: bool) -> int:
        """Return the cells that these groups need; with `sorts` there is space for the arrow in the title."""
        longest = max((cell_len(self.group_text(group)) for group in shown), default=0)
        return max(len(self.title) + sorts, self.least, min(longest, self.most))


def _heading(
    column: Column[Row], of_run: Callable[[Run], str] = _nothing, *, least: int = 0, most: int = 16
) -> Heading:
    return Heading(
        column.key,
        column.heading,
        lambda group: column.show(group.row),
        lambda group: column.order(group.row),
        of_run,
        right=column.is_number,
        least=least,
        most=most,
    )


def _field(name: str) -> Heading:
    return replace(_heading(columns.field_column(name)), of_group=lambda group: group.fields[name], is_field=True)


RANK = _heading(columns.RANK, least=2)
NAME = replace(
    _heading(columns.INITIALIZER, lambda run: f"seed {run.spec.seed} {run.name}".rstrip(), least=LEAST_NAME, most=60),
    of_group=lambda group: group.name,
    order=lambda group: group.name,
)
ACCURACY = _heading(columns.ACCURACY, lambda run: percent(run.test_accuracy))
N = _heading(columns.N)
VERSUS = _heading(columns.VERSUS, most=24)
LOSS = _heading(columns.LOSS, lambda run: number(run.test_loss))
LOSS_TREND = Heading("loss curve", "train loss", _nothing, LOSS.order, right=False)
ACCURACY_TREND = Heading("acc curve", "train acc", _nothing, ACCURACY.order, right=False)
TRENDS = (LOSS_TREND, ACCURACY_TREND)
STATUS = _heading(columns.STATUS, lambda run: run.status, most=24)
DIAGNOSIS = _heading(columns.DIAGNOSIS, lambda run: run.diagnosis.replace("_", " "), most=20)
# The signs of the diagnoses, if there is no space for the words.
DIAGNOSIS_SIGN = replace(
    DIAGNOSIS,
    title="init",
    of_group=lambda group: "".join(SIGNS.get(name, "?") for name, _ in group.row.diagnoses),
    of_run=lambda run: SIGNS.get(run.diagnosis, ""),
)
COSTS = (_heading(columns.SECONDS, lambda run: seconds(run.seconds)), _heading(columns.SPEED))
FINGERPRINT = _heading(columns.FINGERPRINT)
TAGS = Heading(
    "tags",
    "tags",
    lambda group: " ".join(group.tags),
    lambda group: " ".join(group.tags),
    lambda run: run.tags,
    right=False,
    most=24,
)


def headings(shown: Sequence[Group]) -> tuple[Heading, ...]:
    """Return the columns that distinguish these groups, then the measured values."""
    differing = [name for name in varying([group.row.spec for group in shown]) if name != "initializer"]
    # Datasets of one name may have different contents.
    contents = {group.row.fingerprint for group in shown if group.row.fingerprint}
    data = [FINGERPRINT] if "dataset" not in differing and len(contents) > 1 else []
    diagnosis = [DIAGNOSIS] if len({group.row.diagnoses[:1] for group in shown}) > 1 else []
    status = [STATUS] if any(group.row.status != RunStatus.DONE for group in shown) else []
    tags = [TAGS] if any(group.tags for group in shown) else []
    what = (RANK, NAME, *map(_field, differing), *data)
    return (*what, *diagnosis, ACCURACY, N, VERSUS, *TRENDS, LOSS, *status, *COSTS, *tags)


def ordered(found: Sequence[Group], choice: Choice) -> list[Group]:
    """Return the groups that pass the filter, in the chosen order; those without a value come last."""
    kept = filtered(found, choice.words)
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
