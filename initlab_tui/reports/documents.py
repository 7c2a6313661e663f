"""The JSON documents that the commands print; numbers are finite or null, and accuracies are fractions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from initlab_tui.domain.catalog.entry import Entry, Parameter
from initlab_tui.domain.catalog.networks import NETWORKS
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.events import json_ready
from initlab_tui.domain.layers.graph import LayerGraph
from initlab_tui.domain.layers.inspection import Inspection
from initlab_tui.domain.layers.metrics import LAYER_METRICS
from initlab_tui.domain.spec import RunSpec
from initlab_tui.domain.statistics.intervals import Estimate
from initlab_tui.domain.statistics.leaderboard import Row, leaderboard
from initlab_tui.services.stored_runs import RunDetails
from initlab_tui.store.curves import Curve
from initlab_tui.store.layer_statistics import StoredMeasurement
from initlab_tui.store.runs import Run, UnreadableRun


def rows(runs: Sequence[Run]) -> list[Row]:
    """Return the leaderboard of stored runs."""
    return leaderboard(run.outcome for run in runs)


def dump(document: object) -> str:
    return json.dumps(json_ready(document), indent=2, allow_nan=False)


def spec_document(spec: RunSpec) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(spec.to_json())
    return document


def estimate_document(estimate: Estimate) -> dict[str, Any]:
    return {
        "mean": estimate.mean,
        "ci_low": estimate.ci_low,
        "ci_high": estimate.ci_high,
        "stddev": estimate.stddev,
        "values": list(estimate.values),
    }


def row_document(row: Row) -> dict[str, Any]:
    versus = row.versus_first
    return {
        "rank": row.rank,
        "initializer": str(row.spec.initializer),
        "spec": spec_document(row.spec),
        "seeds": list(row.seeds),
        "n": row.n,
        "test_accuracy": estimate_document(row.test_accuracy),
        "test_loss": estimate_document(row.test_loss),
        "versus_first": versus
        and {"n": versus.accuracy.n, **estimate_document(versus.accuracy), "verdict": versus.verdict},
        "status": row.status,
        "statuses": dict(row.statuses),
        "verdicts_at_step_0": dict(row.diagnoses),
        "seconds": row.seconds,
        "samples_per_second": row.samples_per_second,
        "total_steps": row.total_steps,
        "data_fingerprint": row.fingerprint,
        "runs": list(row.run_ids),
    }


def run_document(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "comparison": run.comparison_id,
        "name": run.name,
        "tags": run.tags.split(),
        "spec": spec_document(run.spec),
        "status": run.status,
        "reason": run.reason,
        "silent_seconds": run.silent_seconds,
        "verdict_at_step_0": run.diagnosis,
        "test_accuracy": run.test_accuracy,
        "test_loss": run.test_loss,
        "step": run.step,
        "total_steps": run.total_steps,
        "seconds": run.seconds,
        "train_seconds": run.train_seconds,
        "samples_per_second": run.samples_per_second,
        "created": run.created,
        "started": run.started,
        "ended": run.ended,
        "device": run.device,
        "threads": run.threads,
        "record": run.record,
    }


def entry_document(entry: Entry) -> dict[str, Any]:
    """Return the document of an initializer in the catalogue."""
    return {
        "name": entry.name,
        "draws": entry.summary,
        "when": entry.when,
        "source": entry.source,
        "data_dependent": entry.data_dependent,
        "parameters": _parameter_documents(entry.parameters),
    }


def _parameter_documents(parameters: Iterable[Parameter]) -> list[dict[str, Any]]:
    return [
        {
            "name": parameter.name,
            "default": parameter.default,
            "allowed": parameter.allowed,
            "meaning": parameter.meaning,
        }
        for parameter in parameters
    ]


def network_documents() -> list[dict[str, Any]]:
    """Return the documents of the networks in the catalogue."""
    return [
        {
            "name": entry.name,
            "layers": entry.summary,
            "when": entry.when,
            "source": entry.source,
            "parameters": _parameter_documents(entry.parameters),
        }
        for entry in NETWORKS.values()
    ]


def graph_document(graph: LayerGraph) -> dict[str, Any]:
    """Return the document of the layers of a network."""
    return {
        "weights": graph.weights,
        "multiplications": graph.multiplications,
        "branches": graph.branches,
        "layers": [
            {
                "name": node.name,
                "kind": node.kind,
                "inputs": node.inputs,
                "shape": node.shape,
                "kernel_shape": node.kernel_shape or None,
                "fan_in": node.fan_in or None,
                "fan_out": node.fan_out or None,
                "activation": node.activation if node.has_kernel else None,
                "role": node.role,
                "branch": node.branch or None,
                "weights": node.weights,
            }
            for node in graph.nodes
        ],
    }


def curve_document(curve: Curve) -> dict[str, Any]:
    """Return a curve; each value is a mean over the steps since the one before, which are at most `stride`."""
    return {"step": curve.steps, "loss": curve.losses, "accuracy": curve.accuracies, "stride": curve.stride}


def unreadable_document(run: UnreadableRun) -> dict[str, Any]:
    """Return the ids of a run that cannot be read, and the reason."""
    return {"id": run.id, "comparison": run.comparison_id, "status": "unreadable", "reason": run.problem}


def show_document(found: RunDetails | UnreadableRun) -> dict[str, Any]:
    """Return everything recorded about a run."""
    if isinstance(found, UnreadableRun):
        return unreadable_document(found)
    return run_document(found.run) | {
        "metrics": {"train": curve_document(found.train), "test": curve_document(found.test)},
        "events": [{"at": at, "kind": kind, "detail": detail} for at, kind, detail in found.events],
        "layers": [measurement_document(measured) for measured in found.measurements],
        "log_tail": found.run.log_tail,
    }


def measurement_document(measured: StoredMeasurement) -> dict[str, Any]:
    """Return a measurement of a run's layers with its step and diagnosis."""
    return {
        "step": measured.step,
        "verdict": measured.diagnosis.name,
        "reason": measured.diagnosis.reason,
        **measured.measurement.document(),
    }


def inspection_document(found: Inspection) -> dict[str, Any]:
    """Return the predicted and the measured diagnosis of an initializer, and the statistics of each layer."""
    measured = found.measurement
    return {
        "initializer": str(found.initializer),
        "verdict": found.diagnosis.name,
        "reason": found.diagnosis.reason,
        "predicted_verdict": found.predicted_diagnosis.name,
        "predicted_reason": found.predicted_diagnosis.reason,
        "network": measured.network.document(),
        "layers": [
            {
                "name": layer.layer,
                **{f"predicted_{name}": value for name, value in predicted.items()},
                "relative_rms": relative_rms,
                **{name: layer[name] for name in LAYER_METRICS},
            }
            for layer, relative_rms, predicted in zip(
                measured.layers, measured.relative_rms(), found.predicted, strict=True
            )
        ],
    }


def comparison_document(
    comparison_id: int | None, comparison: Comparison | None, runs: Sequence[Run]
) -> dict[str, Any]:
    """Return the document that `run`, `compare` and `attach ID` print; runs may have no comparison."""
    return {
        "comparison": {"id": comparison_id, **json.loads(comparison.to_json())} if comparison else None,
        "leaderboard": [row_document(row) for row in rows(runs)],
        "runs": [run_document(run) for run in runs],
    }
