"""Submits a comparison: checks it, queues its runs and starts workers. The lab and the command line both use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.claims.recipe_origin import RecipeOrigin
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.services import preflight
from initlab_tui.services.dataset_facts import DatasetFacts
from initlab_tui.services.resources import Resources
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements


@dataclass(frozen=True)
class Submission:
    """A comparison that passed every check and is ready to be queued."""

    comparison: Comparison
    specs: tuple[RunSpec, ...]
    facts: DatasetFacts
    plan: WorkerPlan
    requirements: Requirements
    recipe: RecipeOrigin | None = None


@dataclass(frozen=True)
class Submitted:
    """The queued runs of a comparison, the facts of its data, and the started workers."""

    ids: tuple[int, ...]
    facts: DatasetFacts
    worker_ids: tuple[int, ...]


def prepare(
    comparison: Comparison,
    data_dir: Path | None,
    import_folder: Path,
    resources: Resources | None = None,
    *,
    recipe: RecipeOrigin | None = None,
    quiet: bool = False,
) -> Submission:
    """Check everything that a comparison needs, downloading its data if needed; write nothing to the store.

    `recipe` is the origin of the comparison, if any. Custom initializers are imported from `import_folder`. Progress of
    a download goes to stderr unless `quiet`. Blocks while data is downloaded or TensorFlow starts.

    Raises:
        InvalidInputError: naming every problem.
    """
    resources = resources or Resources()
    specs = tuple(comparison.runs())
    checked = preflight.check(specs, data_dir, import_folder, quiet=quiet)
    plan = supervisor.plan(len(specs), resources.device, resources.workers, resources.threads, checked.run_bytes)
    every = resources.checkpoint_every
    requirements = Requirements(plan.device, plan.threads, checked.facts.file, import_folder, every)
    return Submission(comparison, specs, checked.facts, plan, requirements, recipe)


def submit(store: Store, submission: Submission, *, idle: float = 0.0) -> Submitted:
    """Queue the runs of a comparison and start workers, which end after `idle` seconds without work.

    If no worker can be started, or this is interrupted, the runs are stopped again.

    Raises:
        InvalidInputError: if the store, or the folder of its files, cannot be written, or others may write to the
            folder; nothing is queued.
    """
    ids = queue.enqueue(store, submission.comparison, submission.specs, submission.requirements, submission.recipe)
    try:
        workers = supervisor.start_workers(store, submission.plan, idle=idle)
    except BaseException:
        queue.stop(store, ids)
        raise
    return Submitted(tuple(ids), submission.facts, tuple(workers))
