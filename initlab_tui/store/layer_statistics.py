"""The health of a run's layers over its steps, in the store."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from initlab_tui.domain.events import LayersMeasured, finite_or_none
from initlab_tui.domain.layers.diagnosis import Diagnosis, LayerStatistics, Measurement, NetworkStatistics, diagnose
from initlab_tui.store.database import Store
from initlab_tui.store.events import note
from initlab_tui.store.sql import connection as connection_of
from initlab_tui.store.sql import insert

_LAYER, _NETWORK = ", ".join(LayerStatistics._fields), ", ".join(NetworkStatistics._fields)
# What is NULL where there is no such figure, rather than where it was not finite.
_OPTIONAL = ("dead", "saturated", "update_ratio")


@dataclass(frozen=True)
class StoredMeasurement:
    """A network's health after `step` steps, and what it was judged to be; NaN where a figure was not finite."""

    step: int
    health: Measurement
    verdict: Diagnosis


def write(connection: sqlite3.Connection, run_id: int, event: LayersMeasured) -> None:
    """Keep a measurement, judged, in the caller's transaction; the verdict at step 0 is kept with the run too."""
    verdict = diagnose(event.health)
    at = {"run_id": run_id, "step": event.step}
    # Training again what came after a checkpoint measures again what was measured.
    forget(connection, run_id, event.step - 1)
    judged = {"verdict": verdict.name, "reason": verdict.reason, "layer": verdict.layer}
    insert(connection, "network_health", {**at, **judged, **_finite(event.health.network)})
    for number, layer in enumerate(event.health.layers):
        insert(connection, "layer_health", {**at, "number": number, **_finite(layer)})
    if event.step == 0:
        connection.execute("UPDATE runs SET verdict = ? WHERE id = ?", (verdict.name, run_id))
        note(connection, run_id, "measured", f"{verdict.name} before the first step: {verdict.reason}")


def forget(connection: sqlite3.Connection, run_id: int, step: int) -> None:
    """Remove what was measured after `step`."""
    for table in ("network_health", "layer_health"):
        connection.execute(f"DELETE FROM {table} WHERE run_id = ? AND step > ?", (run_id, step))  # noqa: S608


def read(store: Store, run_id: int, *, last_only: bool = False) -> list[StoredMeasurement]:
    """All that was measured of a run's layers, or the last measurement, by step."""
    which = "step = (SELECT max(step) FROM network_health WHERE run_id = :run)" if last_only else "step >= 0"
    rows = (
        connection_of(store)
        .execute(
            f"SELECT step, verdict, reason, layer, {_NETWORK} FROM network_health "  # noqa: S608 - no outside text
            f"WHERE run_id = :run AND {which} ORDER BY step",
            {"run": run_id},
        )
        .fetchall()
    )
    layers = _layers(
        connection_of(store).execute(
            f"SELECT step, {_LAYER} FROM layer_health "  # noqa: S608 - no outside text
            f"WHERE run_id = :run AND {which} ORDER BY step, number",
            {"run": run_id},
        )
    )
    return [
        StoredMeasurement(
            step,
            Measurement(layers.get(step, ()), NetworkStatistics(*map(_or_nan, figures))),
            Diagnosis(name, reason, layer),
        )
        for step, name, reason, layer, *figures in rows
    ]


def _layers(rows: Iterable[tuple[Any, ...]]) -> dict[int, tuple[LayerStatistics, ...]]:
    by_step = groupby(rows, lambda row: row[0])
    return {step: tuple(_layer_of(figures) for _, *figures in of_step) for step, of_step in by_step}


def _layer_of(figures: list[Any]) -> LayerStatistics:
    pairs = zip(LayerStatistics._fields, figures, strict=True)
    return LayerStatistics._make(
        value if name == "layer" or name in _OPTIONAL else _or_nan(value) for name, value in pairs
    )


def _finite(figures: NamedTuple) -> dict[str, Any]:
    return {
        name: finite_or_none(value) if isinstance(value, float) else value for name, value in figures._asdict().items()
    }


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
