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
from initlab_tui.store.files import checkpoint_name
from initlab_tui.store.purge import purge
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import Run, find_run, list_comparison_runs, list_runs
from tests.curve_rows import fill_curve

REQUIREMENTS = Requirements("cpu", 1, None, Path("/"))


def ended_runs(store: Store, count: int = 3) -> list[int]:
    """Queue and stop runs, each with one recorded step."""
    comparison = Comparison.checked(initializers=["zeros"], seeds=range(count))
    ids = queue.enqueue(store, comparison, list(comparison.runs()), REQUIREMENTS)
    queue.stop(store, ids)
    for run_id in ids:
        fill_curve(store, run_id, 1)
    return ids


def kinds(store: Store, run_id: int) -> list[str]:
    return [kind for _, kind, _ in read_events(store, run_id)]


def get_run(store: Store, run_id: int) -> Run:
    run = find_run(store, run_id)
    assert run is not None
    return run


def test_a_deleted_run_is_not_found_until_it_is_restored(store: Store) -> None:
    ids = ended_runs(store)
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


def test_deleting_an_unfinished_run_is_refused_and_deletes_nothing(store: Store) -> None:
    (finished,) = ended_runs(store, 1)
    waiting, paused = queue.enqueue(store, None, [RunSpec(), RunSpec(seed=1)], REQUIREMENTS)
    queue.pause(store, [paused])
    with pytest.raises(InvalidInputError, match=f"cannot delete run {waiting}, {paused}: stop it first"):
        edits.delete(store, [finished, waiting, paused])
    assert len(list_runs(store)) == 3


def test_a_run_is_named_and_its_name_removed(store: Store) -> None:
    ids = ended_runs(store)
    edits.rename(store, ids[:2], "  the deep one σ ")
    assert [run.name for run in list_runs(store)] == ["the deep one σ", "the deep one σ", ""]
    assert read_events(store, ids[0])[-1][1:] == ("renamed", "the deep one σ")
    edits.rename(store, ids, "")
    assert {run.name for run in list_runs(store)} == {""}


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "a\x00b", "\ud800", "right\u202eleft", "x" * 61])
def test_names_and_tags_that_do_not_fit_on_a_line_are_refused(store: Store, name: str) -> None:
    (run_id,) = ended_runs(store, 1)
    with pytest.raises(InvalidInputError, match=r"name must be at most 60 printable characters, got \d+: '"):
        edits.rename(store, [run_id], name)
    if name != "two\nlines":  # a line break separates tags
        with pytest.raises(InvalidInputError, match=r"tags must be at most 60 printable characters"):
            edits.tag(store, [run_id], name)
    assert (get_run(store, run_id).name, get_run(store, run_id).tags) == ("", "")


def test_tags_are_distinct_words_and_replace_earlier_ones(store: Store) -> None:
    (run_id,) = ended_runs(store, 1)
    edits.tag(store, [run_id], " deep,  relu deep\t, paper ")
    assert get_run(store, run_id).tags == "deep relu paper"
    edits.tag(store, [run_id], "wide")
    assert get_run(store, run_id).tags == "wide"
    assert kinds(store, run_id)[-2:] == ["tagged", "tagged"]
    edits.tag(store, [run_id], " , ")
    assert get_run(store, run_id).tags == ""


def test_no_run_is_named_if_one_does_not_exist(store: Store) -> None:
    (run_id,) = ended_runs(store, 1)
    with pytest.raises(InvalidInputError, match="no run 99"):
        edits.rename(store, [run_id, 99], "both")
    assert get_run(store, run_id).name == ""


def test_purged_runs_lose_all_records_and_their_ids_are_not_reused(store: Store, tmp_path: Path) -> None:
    ids = ended_runs(store)
    store.files.create(checkpoint_name(ids[2]), b"state")
    precious = tmp_path / "precious"
    precious.touch()
    # A store from somebody else may name any file.
    sql.connection(store).execute("UPDATE runs SET checkpoint = ?", (str(precious),))
    edits.delete(store, ids[1:])
    assert purge(store, 3600) == 0
    sql.connection(store).execute("UPDATE runs SET deleted = deleted - 4000 WHERE id = ?", (ids[2],))
    newest = sql.connection(store).execute("SELECT max(id) FROM events").fetchone()
    assert purge(store, 3600) == 1
    assert (read_curve(store, ids[2], "train").steps, read_events(store, ids[2])) == ((), [])
    assert precious.exists()
    assert not any(store.files.folder.iterdir())
    with pytest.raises(InvalidInputError, match=f"no run {ids[2]} in"):
        edits.restore(store, [ids[2]])
    assert purge(store, 0) == 1
    assert [run.id for run in list_runs(store)] == ids[:1]
    # Ids of runs and events are never reused: readers would take a new run for an old one.
    assert sql.connection(store).execute("SELECT max(id) FROM events").fetchone() > newest
    assert queue.enqueue(store, None, [RunSpec()], REQUIREMENTS) == [ids[2] + 1]
