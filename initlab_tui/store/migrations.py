"""The store's schema, as an append-only list: each entry is applied once, in one transaction."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from initlab_tui.domain.errors import InvalidInputError

APPLICATION_ID = 0x1A17_1AB0

Migration = tuple[str | Callable[[sqlite3.Connection], None], ...]


def rehash_specs(connection: sqlite3.Connection) -> None:
    """Compute the spec hash of every run again; a run with an invalid spec keeps its hash."""
    from initlab_tui.domain.spec import RunSpec  # importing pydantic is slow, and most stores need no migration

    for run_id, spec in connection.execute("SELECT id, spec FROM runs").fetchall():
        with contextlib.suppress(InvalidInputError):
            spec_hash = RunSpec.from_json(spec).spec_hash
            connection.execute("UPDATE runs SET spec_hash = ? WHERE id = ?", (spec_hash, run_id))


def pack_metrics(connection: sqlite3.Connection) -> None:
    """Pack the rows of `metrics`, one for each step, into blocks; values that are not numbers are NaN."""
    from initlab_tui.store.curve_writer import pack_rows

    pack_rows(connection)


MIGRATIONS: tuple[Migration, ...] = (
    (
        """
        CREATE TABLE comparisons (
            id INTEGER PRIMARY KEY,
            created REAL NOT NULL,      -- seconds since 1970, UTC, as every time here
            comparison TEXT NOT NULL    -- JSON of a Comparison
        ) STRICT
        """,
        """
        CREATE TABLE workers (
            id INTEGER PRIMARY KEY,
            host TEXT NOT NULL,
            device TEXT NOT NULL,
            threads INTEGER NOT NULL,
            visible TEXT NOT NULL,      -- CUDA_VISIBLE_DEVICES: its GPU, or -1
            idle REAL NOT NULL,         -- seconds without work after which it ends
            watcher_pid INTEGER,
            watcher_born REAL,          -- start time of the process: a pid alone may be another's by now
            pid INTEGER,
            born REAL,
            started REAL NOT NULL,
            heartbeat REAL NOT NULL,
            ended REAL,
            exit TEXT,                  -- how its process ended, in words
            log TEXT NOT NULL
        ) STRICT
        """,
        """
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY,
            comparison_id INTEGER REFERENCES comparisons (id),
            spec TEXT NOT NULL,         -- JSON of a RunSpec
            identity TEXT NOT NULL,     -- shared by specs that differ in nothing but the seed
            seed INTEGER NOT NULL,
            data_file TEXT,             -- the npz that is read; NULL for what is bundled
            import_folder TEXT NOT NULL,
            device TEXT NOT NULL,       -- cpu, gpu or gpu:N
            threads INTEGER NOT NULL,
            status TEXT NOT NULL CHECK (status IN (
                'queued', 'running', 'paused', 'done', 'diverged', 'failed', 'crashed', 'stopped')),
            request TEXT CHECK (request IN ('stop', 'pause')),
            reason TEXT NOT NULL DEFAULT '',
            log_tail TEXT NOT NULL DEFAULT '',
            checkpoint TEXT,
            worker_id INTEGER REFERENCES workers (id),
            created REAL NOT NULL,
            timed_from REAL,            -- start of the present stretch, once built and compiled
            started REAL,
            ended REAL,
            busy_seconds REAL NOT NULL DEFAULT 0,   -- training and evaluation, over all stretches
            train_seconds REAL NOT NULL DEFAULT 0,  -- in training steps alone
            samples INTEGER NOT NULL DEFAULT 0,
            step INTEGER NOT NULL DEFAULT 0,
            total_steps INTEGER,
            steps_per_epoch INTEGER,
            test_loss REAL,             -- of the last evaluation; NULL where it is not finite
            test_accuracy REAL,
            fingerprint TEXT,           -- of the data
            record TEXT NOT NULL DEFAULT '{}'       -- JSON: what it takes to repeat the run
        ) STRICT
        """,
        "CREATE INDEX runs_status ON runs (status)",
        "CREATE INDEX runs_comparison ON runs (comparison_id)",
        """
        CREATE TABLE metrics (
            run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            split TEXT NOT NULL CHECK (split IN ('train', 'test')),
            step INTEGER NOT NULL,
            loss REAL,                  -- NULL where it is not finite
            accuracy REAL,
            PRIMARY KEY (run_id, split, step)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE events (
            id INTEGER PRIMARY KEY,
            run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            detail TEXT NOT NULL DEFAULT ''
        ) STRICT
        """,
        "CREATE INDEX events_run ON events (run_id)",
    ),
    # Users name, tag and delete runs. Because runs can be removed permanently now, ids are never reused
    # (AUTOINCREMENT).
    (
        """
        CREATE TABLE runs_2 (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            comparison_id INTEGER REFERENCES comparisons (id),
            spec TEXT NOT NULL,
            identity TEXT NOT NULL,
            seed INTEGER NOT NULL,
            data_file TEXT,
            import_folder TEXT NOT NULL,
            device TEXT NOT NULL,
            threads INTEGER NOT NULL,
            status TEXT NOT NULL CHECK (status IN (
                'queued', 'running', 'paused', 'done', 'diverged', 'failed', 'crashed', 'stopped')),
            request TEXT CHECK (request IN ('stop', 'pause')),
            reason TEXT NOT NULL DEFAULT '',
            log_tail TEXT NOT NULL DEFAULT '',
            checkpoint TEXT,
            worker_id INTEGER REFERENCES workers (id),
            created REAL NOT NULL,
            timed_from REAL,
            started REAL,
            ended REAL,
            busy_seconds REAL NOT NULL DEFAULT 0,
            train_seconds REAL NOT NULL DEFAULT 0,
            samples INTEGER NOT NULL DEFAULT 0,
            step INTEGER NOT NULL DEFAULT 0,
            total_steps INTEGER,
            steps_per_epoch INTEGER,
            test_loss REAL,
            test_accuracy REAL,
            fingerprint TEXT,
            record TEXT NOT NULL DEFAULT '{}',
            name TEXT NOT NULL DEFAULT '',
            tags TEXT NOT NULL DEFAULT '',  -- words with a space between
            deleted REAL                    -- when it was put into the bin; NULL where it is not there
        ) STRICT
        """,
        "INSERT INTO runs_2 SELECT *, '', '', NULL FROM runs",
        "DROP TABLE runs",
        "ALTER TABLE runs_2 RENAME TO runs",
        "CREATE INDEX runs_status ON runs (status)",
        "CREATE INDEX runs_comparison ON runs (comparison_id)",
        "CREATE INDEX runs_deleted ON runs (deleted) WHERE deleted IS NOT NULL",
        """
        CREATE TABLE events_2 (
            id INTEGER PRIMARY KEY,
            run_id INTEGER REFERENCES runs (id) ON DELETE CASCADE,  -- NULL where runs were removed for good
            at REAL NOT NULL,
            kind TEXT NOT NULL,
            detail TEXT NOT NULL DEFAULT ''
        ) STRICT
        """,
        "INSERT INTO events_2 SELECT * FROM events",
        "DROP TABLE events",
        "ALTER TABLE events_2 RENAME TO events",
        "CREATE INDEX events_run ON events (run_id)",
    ),
    # Layer statistics: what was measured on the probe batch, and its diagnosis.
    (
        "ALTER TABLE runs ADD COLUMN verdict TEXT NOT NULL DEFAULT ''",  # at step 0; '' where none was measured
        """
        CREATE TABLE layer_health (
            run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            step INTEGER NOT NULL,
            number INTEGER NOT NULL,    -- from 0, the first layer; the last are the logits
            layer TEXT NOT NULL,
            preactivation_mean REAL,    -- NULL where it is not finite, as everywhere below
            preactivation_std REAL,
            activation_mean REAL,
            activation_std REAL,
            dead REAL,                  -- NULL also where the activation has none
            saturated REAL,
            gradient_norm REAL,
            gradient_std REAL,
            backprop_std REAL,
            update_ratio REAL,          -- NULL also at step 0
            cosine REAL,
            twins REAL,
            correlation REAL,
            PRIMARY KEY (run_id, step, number)
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE network_health (
            run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            step INTEGER NOT NULL,
            verdict TEXT NOT NULL,
            reason TEXT NOT NULL,
            layer TEXT NOT NULL,        -- that shows it
            input_rms REAL,
            loss REAL,
            chance_loss REAL,
            gradient_ratio REAL,
            jacobian_mean_square REAL,
            jacobian_condition REAL,
            PRIMARY KEY (run_id, step)
        ) STRICT, WITHOUT ROWID
        """,
    ),
    # The hash of a spec now covers only the fields that differ from their default. A checkpoint names its owner by the
    # hash at the time of writing, so that is kept with the run. A comparison has the recipe that it came from.
    (
        "ALTER TABLE runs RENAME COLUMN identity TO spec_hash",
        "ALTER TABLE runs ADD COLUMN checkpoint_owner TEXT",  # as written in the checkpoint's file; NULL without one
        "UPDATE runs SET checkpoint_owner = spec_hash || ' ' || seed WHERE checkpoint IS NOT NULL",
        rehash_specs,
        "ALTER TABLE workers RENAME COLUMN watcher_pid TO monitor_pid",
        "ALTER TABLE workers RENAME COLUMN watcher_born TO monitor_born",
        "ALTER TABLE workers RENAME COLUMN visible TO visible_devices",
        "ALTER TABLE workers RENAME COLUMN idle TO idle_seconds",
        "ALTER TABLE comparisons ADD COLUMN recipe TEXT",  # its name; NULL if there is none
        "ALTER TABLE comparisons ADD COLUMN recipe_version TEXT",  # changes with the recipe's content
    ),
    # Columns named as in the registry (`domain/layers/metrics.py`); `layer_statistics.py` adds columns for new metrics.
    (
        "ALTER TABLE runs RENAME COLUMN verdict TO diagnosis",
        "ALTER TABLE network_health RENAME TO measurements",
        "ALTER TABLE measurements RENAME COLUMN verdict TO diagnosis",
        "ALTER TABLE layer_health RENAME TO layer_statistics",
        "ALTER TABLE layer_statistics RENAME COLUMN dead TO dead_share",
        "ALTER TABLE layer_statistics RENAME COLUMN saturated TO saturated_share",
        "ALTER TABLE layer_statistics RENAME COLUMN gradient_norm TO kernel_grad_norm",
        "ALTER TABLE layer_statistics RENAME COLUMN gradient_std TO kernel_grad_std",
        "ALTER TABLE layer_statistics RENAME COLUMN backprop_std TO preactivation_grad_rms",
        "ALTER TABLE layer_statistics RENAME COLUMN cosine TO max_cosine",
        "ALTER TABLE layer_statistics RENAME COLUMN twins TO duplicate_units",
        "ALTER TABLE layer_statistics RENAME COLUMN correlation TO input_correlation",
    ),
    # The network that an idle worker should compile before its run is queued.
    ("ALTER TABLE workers ADD COLUMN preparation TEXT",),  # JSON: spec and data_file; NULL if nothing was requested
    # Paths of files are made from ids and never read from the store, which may come from somebody else.
    (
        "ALTER TABLE workers DROP COLUMN log",
        "UPDATE runs SET checkpoint = 'run-' || id || '.npz' WHERE checkpoint IS NOT NULL",
    ),
    # Only runs that the user of a worker queued are trained.
    ("ALTER TABLE runs ADD COLUMN origin TEXT",),  # signature (`origin.py`); NULL if queued before there was one
    # What processes observe of workers, so that every other process knows it too.
    (
        "ALTER TABLE workers ADD COLUMN silent_seconds REAL",  # without a heartbeat; NULL after each heartbeat
        "ALTER TABLE workers ADD COLUMN claims INTEGER NOT NULL DEFAULT 0",  # number of runs that it claimed
        "ALTER TABLE workers ADD COLUMN failed_start INTEGER NOT NULL DEFAULT 0",  # 1: died without a claim, and since
        # then no worker of its kind claimed a run
        "ALTER TABLE runs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",  # workers that the run has killed
    ),
    # Runs save checkpoints while they train.
    ("ALTER TABLE runs ADD COLUMN checkpoint_every REAL DEFAULT 60",),  # seconds; NULL: only when paused or stopped
    # Curves in compressed blocks instead of a row for each step.
    (
        """
        CREATE TABLE curves (
            run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            split TEXT NOT NULL CHECK (split IN ('train', 'test')),
            step INTEGER NOT NULL,      -- of the first point
            points BLOB NOT NULL,       -- as in `point_codec.py`
            PRIMARY KEY (run_id, split, step)
        ) STRICT, WITHOUT ROWID
        """,
        pack_metrics,
        "DROP TABLE metrics",
    ),
)


def version(connection: sqlite3.Connection) -> int:
    """Return the number of migrations that were applied to the store."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def create(connection: sqlite3.Connection, schema: int) -> None:
    """Create the tables of an empty store with an earlier schema, in the caller's transaction."""
    _apply(connection, 0, schema)


def migrate(connection: sqlite3.Connection, back_up: Callable[[int], object] | None = None) -> bool:
    """Migrate the store to the latest schema, and return whether it was an earlier one; several processes may do it.

    `back_up` is called with the number of its schema before anything is changed, unless the store is empty. Foreign
    keys must not be enforced yet, because dropping a replaced table would delete the rows that refer to it.
    """
    if version(connection) == len(MIGRATIONS):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        earlier = version(connection)
        if back_up and 0 < earlier < len(MIGRATIONS):
            back_up(earlier)
        _apply(connection, earlier, len(MIGRATIONS))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # after some errors, such as a full disk, SQLite has already rolled back
            connection.execute("ROLLBACK")
        raise
    return 0 < earlier < len(MIGRATIONS)


def _apply(connection: sqlite3.Connection, earlier: int, schema: int) -> None:
    for number, statements in enumerate(MIGRATIONS[earlier:schema], earlier + 1):
        for statement in statements:
            if isinstance(statement, str):
                connection.execute(statement)
            else:
                statement(connection)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
