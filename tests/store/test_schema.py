"""The exact schema of new and migrated stores, and the migration of spec hashes."""

from __future__ import annotations

import gzip
import math
import random
from pathlib import Path

import pytest

from initlab_tui.domain.layers.metrics import LAYER_METRICS, NETWORK_METRICS
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store import migrations, queue, sql
from initlab_tui.store.curves import read_curve
from initlab_tui.store.database import Store
from initlab_tui.store.point_codec import to_float32
from initlab_tui.store.queue import Requirements

OLD_STORES = ("schema-3-store.gz", "schema-3-unfinished.gz")
COLUMNS = {
    "comparisons": "id created comparison recipe recipe_version",
    "curves": "run_id split step points",
    "events": "id run_id at kind detail",
    "layer_statistics": f"run_id step number layer {' '.join(LAYER_METRICS)}",
    "measurements": f"run_id step diagnosis reason layer {' '.join(NETWORK_METRICS)}",
    "runs": "id comparison_id spec spec_hash seed data_file import_folder device threads status request reason "
    "log_tail checkpoint worker_id created timed_from started ended busy_seconds train_seconds samples step "
    "total_steps steps_per_epoch test_loss test_accuracy fingerprint record name tags deleted diagnosis "
    "checkpoint_owner origin deaths checkpoint_every",
    "sqlite_sequence": "name seq",
    "workers": "id host device threads visible_devices idle_seconds monitor_pid monitor_born pid born started "
    "heartbeat ended exit preparation silent_seconds claims failed_start",
}
INDICES = {
    "events_run": ("events", ["run_id"]),
    "runs_comparison": ("runs", ["comparison_id"]),
    "runs_deleted": ("runs", ["deleted"]),
    "runs_status": ("runs", ["status"]),
}


def columns(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Return each table's columns: name, type, NOT NULL, default and position in the primary key."""
    tables = sql.connection(store).execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return {
        table: [column[1:] for column in sql.connection(store).execute(f"PRAGMA table_info({table})")]
        for (table,) in tables.fetchall()
    }


def indices(store: Store) -> dict[str, tuple[str, list[str]]]:
    """Return the table and the columns of each index."""
    query = "SELECT name, tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    return {
        index: (table, [name for *_, name in sql.connection(store).execute(f"PRAGMA index_info({index})")])
        for index, table in sql.connection(store).execute(query).fetchall()
    }


def test_a_new_store_has_exactly_this_schema(store: Store) -> None:
    names = {table: [str(name) for name, *_ in rows] for table, rows in columns(store).items()}
    assert names == {table: text.split() for table, text in COLUMNS.items()}
    assert indices(store) == INDICES
    assert migrations.version(sql.connection(store)) == len(migrations.MIGRATIONS)
    assert sql.connection(store).execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("name", OLD_STORES)
def test_a_migrated_store_has_the_schema_of_a_new_one(store: Store, name: str, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(Path(__file__).with_name(name).read_bytes()))
    with Store.open(path) as old:
        assert columns(old) == columns(store)
        assert indices(old) == indices(store)
        assert sql.connection(old).execute("PRAGMA foreign_key_check").fetchall() == []


def test_a_run_with_an_unreadable_spec_keeps_its_hash_when_hashes_are_computed_again(store: Store) -> None:
    specs = [RunSpec(seed=1), RunSpec(seed=2), RunSpec(epochs=3)]
    readable, broken, other = queue.enqueue(store, None, specs, Requirements("cpu", 1, None, Path("/")))
    connection = sql.connection(store)
    connection.execute("UPDATE runs SET spec_hash = 'of an earlier version'")
    connection.execute("""UPDATE runs SET spec = '{"activation": "gone"}' WHERE id = ?""", (broken,))
    migrations.rehash_specs(connection)
    assert dict(connection.execute("SELECT id, spec_hash FROM runs")) == {
        readable: RunSpec().spec_hash,
        broken: "of an earlier version",
        other: RunSpec(epochs=3).spec_hash,
    }


def test_the_rows_of_each_step_are_packed_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, chance = tmp_path / "old.db", random.Random(1)
    losses = [to_float32(chance.expovariate(1)) for _ in range(5_000)]
    shares = [chance.randint(0, 360) / 360 for _ in losses]
    earlier = next(number for number, entry in enumerate(migrations.MIGRATIONS) if migrations.pack_metrics in entry)
    with monkeypatch.context() as context:
        context.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:earlier])
        with Store.open(path) as old:
            ids = queue.enqueue(old, None, [RunSpec()] * 2, Requirements("cpu", 1, None, Path("/")))
            connection = sql.connection(old)
            rows = [
                (run_id, split, step, loss, share)
                for run_id in ids
                for split in ("train", "test")
                for step, (loss, share) in enumerate(zip(losses, shares, strict=True), 1)
            ]
            connection.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?)", rows)
            connection.execute("UPDATE metrics SET loss = NULL WHERE step = 4000")
            connection.execute("UPDATE metrics SET step = -1 WHERE step = 1")
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.execute("INSERT INTO metrics VALUES (99, 'train', 1, 1.0, 1.0)")  # of no run
    losses[3999] = math.nan
    with Store.open(path) as store:
        for curve in (read_curve(store, run_id, split) for run_id in ids for split in ("train", "test")):
            assert curve.steps == tuple(range(2, 5001))
            assert curve.losses == pytest.approx(losses[1:], rel=0, abs=0, nan_ok=True)
            assert curve.accuracies == tuple(shares[1:])
        assert sql.connection(store).execute("PRAGMA foreign_key_check").fetchall() == []
        assert columns(store).keys() == COLUMNS.keys()
