"""Prepares workers for the comparison that the user is about to run, so that its first curve appears at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.services.dataset_facts import DatasetFacts, dataset_facts, is_on_disk
from initlab_tui.services.preflight import run_bytes
from initlab_tui.store import workers
from initlab_tui.store.database import Store

MEMORY_SHARE = 0.25  # of the available memory, for a network whose training has not been requested yet


def plan_one(runs: int, device: str | None) -> WorkerPlan:
    """Return the plan for one of the workers of a comparison with this number of runs."""
    plan = supervisor.plan(runs, device, None, None, 0)
    return WorkerPlan(1, plan.threads, plan.device)


def expected_run(comparison: Comparison, data_dir: Path | None) -> tuple[RunSpec, DatasetFacts] | None:
    """Return the first run of a comparison and the facts of its data.

    Returns None if it should not be prepared: its data is not on disk or cannot be read, its batch is larger than the
    dataset, or it needs too much memory.
    """
    spec = next(iter(comparison.runs()))
    if not is_on_disk(spec.dataset, data_dir):
        return None
    try:
        facts = dataset_facts(spec.dataset, data_dir, quiet=True)
    except InvalidInputError:  # reported when the comparison is launched
        return None
    fits = run_bytes(spec, facts) <= MEMORY_SHARE * psutil.virtual_memory().available
    return (spec, facts) if fits and spec.batch_size <= facts.train else None


def request(store: Store, worker_ids: Sequence[int], spec: RunSpec, facts: DatasetFacts) -> None:
    """Request that idle workers compile the network of `spec`, without training it."""
    workers.request_preparation(store, worker_ids, spec, facts.file)
