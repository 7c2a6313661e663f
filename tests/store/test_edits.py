from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import edits, queue, sql
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.events import read_events
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_comparison_runs, list_runs

PLACEMENT = Requirements("cpu", 1, None, Path("/"))


def ended(store: Store, count: int = 3) -> list[int]:
    """Runs that are over, each with a metric."""
    comparison = Comparison.checked(initializers=["zeros"], seeds=range(count))
    ids = queue.enqueue(store, comparison, list(comparison.runs()), PLACEMENT)
    queue.stop(store, ids)
    sql.connection(store).executemany(
        "INSERT INTO metrics VALUES (?, 'train', 1, 1.0, 0.5)", [(run_id,) for run_id in ids]
    )
    return ids


def kinds(store: Store, run_id: int) -> list[str]:
    return [kind for _, kind, _ in read_events(store, run_id)]


def found(store: Store, run_id: int) -> Run:
    run = find_run(store, run_id)
    assert run is not None
    return run


def test_what_is_deleted_is_nowhere_until_it_is_restored(store: Store) -> None:
    ids = ended(store)
    assert edits.delete(store, ids[:2]) == ids[:2]
    assert [run.id for run in list_runs(store)] == [run.id for run in list_runs(store, ids)] == ids[2:]
    assert [run.id for run in list_comparison_runs(store, 1)] == ids[2:]
    assert find_run(store, ids[0]) is None
    for touch in (queue.stop, edits.delete, lambda store, ids: edits.rename(store, ids, "x")):
        with pytest.raises(InvalidInputError, match=f"no run {ids[0]} in"):
            touch(store, [ids[0]])
    assert edits.restore(store, [ids[1], ids[2]]) == [ids[1]]
    assert [run.id for run in list_runs(store)] == ids[1:]
    assert kinds(store, ids[1])[-2:] == ["deleted", "restored"]


def test_what_is_not_over_is_not_deleted_and_nothing_else_with_it(store: Store) -> None:
    (over,) = ended(store, 1)
    waiting, paused = queue.enqueue(store, None, [RunSpec(), RunSpec(seed=1)], PLACEMENT)
    queue.pause(store, [paused])
    with pytest.raises(InvalidInputError, match=f"cannot delete run {waiting}, {paused}: stop it first"):
        edits.delete(store, [over, waiting, paused])
    assert len(list_runs(store)) == 3


def test_a_name_is_given_and_taken_away(store: Store) -> None:
    ids = ended(store)
    edits.rename(store, ids[:2], "  the deep one σ ")
    assert [run.name for run in list_runs(store)] == ["the deep one σ", "the deep one σ", ""]
    assert read_events(store, ids[0])[-1][1:] == ("renamed", "the deep one σ")
    edits.rename(store, ids, "")
    assert {run.name for run in list_runs(store)} == {""}


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "a\x00b", "\ud800", "right\u202eleft", "x" * 61])
def test_what_does_not_fit_on_a_line_is_refused_as_name_and_as_tag(store: Store, name: str) -> None:
    (run_id,) = ended(store, 1)
    with pytest.raises(InvalidInputError, match=r"name must be at most 60 printable characters, got \d+: '"):
        edits.rename(store, [run_id], name)
    if name != "two\nlines":  # a line's end is a blank between tags
        with pytest.raises(InvalidInputError, match=r"tags must be at most 60 printable characters"):
            edits.tag(store, [run_id], name)
    assert (found(store, run_id).name, found(store, run_id).tags) == ("", "")


def test_tags_are_words_each_once_and_replace_those_before(store: Store) -> None:
    (run_id,) = ended(store, 1)
    edits.tag(store, [run_id], " deep,  relu deep\t, paper ")
    assert found(store, run_id).tags == "deep relu paper"
    edits.tag(store, [run_id], "wide")
    assert found(store, run_id).tags == "wide"
    assert kinds(store, run_id)[-2:] == ["tagged", "tagged"]
    edits.tag(store, [run_id], " , ")
    assert found(store, run_id).tags == ""


def test_nothing_is_named_when_one_is_not_there(store: Store) -> None:
    (run_id,) = ended(store, 1)
    with pytest.raises(InvalidInputError, match="no run 99"):
        edits.rename(store, [run_id, 99], "both")
    assert found(store, run_id).name == ""


def test_purged_runs_are_gone_with_all_they_recorded_and_their_numbers(store: Store, tmp_path: Path) -> None:
    ids = ended(store)
    checkpoint = tmp_path / "run.npz"
    checkpoint.touch()
    sql.connection(store).execute("UPDATE runs SET checkpoint = ? WHERE id = ?", (str(checkpoint), ids[2]))
    edits.delete(store, ids[1:])
    assert edits.purge(store, 3600) == 0
    sql.connection(store).execute("UPDATE runs SET deleted = deleted - 4000 WHERE id = ?", (ids[2],))
    newest = sql.connection(store).execute("SELECT max(id) FROM events").fetchone()
    assert edits.purge(store, 3600) == 1
    assert (read_curve(store, ids[2], "train").steps, read_events(store, ids[2])) == ((), [])
    assert not checkpoint.exists()
    with pytest.raises(InvalidInputError, match=f"no run {ids[2]} in"):
        edits.restore(store, [ids[2]])
    assert edits.purge(store, 0) == 1
    assert [run.id for run in list_runs(store)] == ids[:1]
    # Neither a run's number nor an event's is given twice, or followers would take new for old.
    assert sql.connection(store).execute("SELECT max(id) FROM events").fetchone() > newest
    assert queue.enqueue(store, None, [RunSpec()], PLACEMENT) == [ids[2] + 1]
