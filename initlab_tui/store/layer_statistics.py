"""The measurements of a run's layers in the store, with one column per metric.

A row of `measurements` is one network at one step, a row of `layer_statistics` one of its layers. A new metric of the
registry gets its column when it is first measured, so it needs no migration. As JSON keyed by metric name, a
measurement of ten layers would take 1.5 times the space, because a number of full float32 precision is longer as text
than the eight bytes of a REAL.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from initlab_tui.domain.events import LayersMeasured, finite_or_none
from initlab_tui.domain.fields import MAX_DEPTH
from initlab_tui.domain.layers.diagnosis import Diagnosis, diagnose
from initlab_tui.domain.layers.measurement import LayerStatistics, Measurement, NetworkStatistics
from initlab_tui.store import rows
from initlab_tui.store.curves import VALID_STEP
from initlab_tui.store.database import Store
from initlab_tui.store.events import note
from initlab_tui.store.rows import Rule
from initlab_tui.store.sql import connection as connection_of
from initlab_tui.store.sql import insert

_KEYS = frozenset({"run_id", "step", "number", "layer", "diagnosis", "reason"})  # the other columns are metrics
_NETWORK = {"step": rows.STEP, "diagnosis": rows.DIAGNOSIS, "reason": rows.LINE, "layer": rows.LINE}
_LAYER = {"step": rows.STEP, "number": rows.whole(0, MAX_DEPTH), "layer": rows.LINE}


@dataclass(frozen=True)
class StoredMeasurement:
    """A measurement after `step` steps and its diagnosis; a value that was not finite is None."""

    step: int
    measurement: Measurement
    diagnosis: Diagnosis


def write(connection: sqlite3.Connection, run_id: int, event: LayersMeasured) -> None:
    """Store a measurement and its diagnosis in the caller's transaction; at step 0, the run gets the diagnosis too."""
    diagnosis = diagnose(event.measurement)
    at = {"run_id": run_id, "step": event.step}
    # A resumed run measures again what it had already measured after its checkpoint.
    forget(connection, run_id, event.step - 1)
    found = {"diagnosis": diagnosis.name, "reason": diagnosis.reason, "layer": diagnosis.layer}
    _insert(connection, "measurements", {**at, **found}, event.measurement.network.metrics)
    for number, layer in enumerate(event.measurement.layers):
        _insert(connection, "layer_statistics", {**at, "number": number, "layer": layer.layer}, layer.metrics)
    if event.step == 0:
        connection.execute("UPDATE runs SET diagnosis = ? WHERE id = ?", (diagnosis.name, run_id))
        note(connection, run_id, "measured", f"{diagnosis.name} before the first step: {diagnosis.reason}")


def forget(connection: sqlite3.Connection, run_id: int, step: int) -> None:
    """Remove the measurements after `step`."""
    for table in ("measurements", "layer_statistics"):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ? AND step > ?", (run_id, step))  # noqa: S608


def read(store: Store, run_id: int, *, last_only: bool = False) -> list[StoredMeasurement]:
    """Return all measurements of a run by step, or only the last one.

    A measurement is left out if its row, or one of its layers, cannot be read, or if it does not have the layers that
    most of them have; an invalid metric is None.
    """
    last = f"step = (SELECT max(step) FROM measurements WHERE run_id = :run AND {VALID_STEP})"  # noqa: S608
    which = last if last_only else VALID_STEP
    networks = _rows(store, f"SELECT * FROM measurements WHERE run_id = :run AND {which} ORDER BY step", run_id)  # noqa: S608
    rows_of_layers = f"SELECT * FROM layer_statistics WHERE run_id = :run AND {which} ORDER BY step, number"  # noqa: S608
    found = _rows(store, rows_of_layers, run_id)
    layers = {step: list(of_step) for step, of_step in groupby(found, lambda row: row["step"])}
    measurements = (_measurement(row, layers.get(row["step"], [])) for row in networks)
    valid = [measurement for measurement in measurements if measurement]
    usual = Counter(map(_layer_names, valid)).most_common(1)
    return [measurement for measurement in valid if _layer_names(measurement) == usual[0][0]]


def _layer_names(stored: StoredMeasurement) -> tuple[str, ...]:
    return tuple(layer.layer for layer in stored.measurement.layers)


def _measurement(network: Mapping[str, Any], layers: Sequence[Mapping[str, Any]]) -> StoredMeasurement | None:
    """Return the measurement of these rows, None if they are invalid or a layer is missing."""
    valid = _is_valid(_NETWORK, network) and all(_is_valid(_LAYER, layer) for layer in layers)
    if not valid or not layers or [layer["number"] for layer in layers] != list(range(len(layers))):
        return None
    return StoredMeasurement(
        network["step"],
        Measurement(tuple(map(_layer, layers)), NetworkStatistics(_metrics(network))),
        Diagnosis(network["diagnosis"], network["reason"], network["layer"]),
    )


def _is_valid(rules: Mapping[str, Rule], row: Mapping[str, Any]) -> bool:
    return not rows.problem(rules, [row[column] for column in rules])


def list_unreadable(store: Store) -> list[str]:
    """Return, for each run with rows that cannot be read, the number of those rows and their table."""
    found = []
    for table, rules in (("measurements", _NETWORK), ("layer_statistics", _LAYER)):
        counts: Counter[object] = Counter()
        for run_id, *values in connection_of(store).execute(f"SELECT run_id, {', '.join(rules)} FROM {table}"):  # noqa: S608
            counts[run_id] += bool(rows.problem(rules, values))
        found += [rows.unreadable_of(run_id, count, table) for run_id, count in counts.items() if count]
    return found


def _insert(
    connection: sqlite3.Connection, table: str, keys: Mapping[str, object], metrics: Mapping[str, float | None]
) -> None:
    known = {column for _, column, *_ in connection.execute(f"PRAGMA table_info({table})")}
    for name in metrics.keys() - known:
        connection.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" REAL')
    insert(connection, table, {**keys, **{name: finite_or_none(value) for name, value in metrics.items()}})


def _rows(store: Store, query: str, run_id: int) -> list[dict[str, Any]]:
    cursor = connection_of(store).execute(query, {"run": run_id})
    names = [column for column, *_ in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _layer(row: Mapping[str, Any]) -> LayerStatistics:
    return LayerStatistics(row["layer"], _metrics(row))


def _metrics(row: Mapping[str, Any]) -> dict[str, float | None]:
    return {name: rows.metric_or_none(value) for name, value in row.items() if name not in _KEYS}
