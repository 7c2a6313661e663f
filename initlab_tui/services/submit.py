"""From a comparison to queued runs: the way that every face of the program takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.spec import Comparison, RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.supervisor import WorkerPlan
from initlab_tui.services import preflight
from initlab_tui.store.database import Requirements, Store


@dataclass(frozen=True)
class Resources:
    """What the person said of where and how to train; None where they left it to the program."""

    device: str | None = None
    workers: int | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Submission:
    """A comparison that is cleared for the queue, with nothing written yet.

    `plan` is what `supervisor.start_workers` takes once the runs are queued.
    """

    comparison: Comparison
    specs: tuple[RunSpec, ...]
    facts: preflight.Facts
    plan: WorkerPlan
    requirements: Requirements


def prepare(
    comparison: Comparison,
    data_dir: Path | None,
    folder: Path,
    place: Resources | None = None,
    *,
    quiet: bool = False,
) -> Submission:
    """Check all that a comparison needs, downloading its data where that is needed.

    A person's own `import:` is found from `folder`. A download shows its progress on stderr unless `quiet`,
    which writes to neither stream of this process. This blocks for as long as a download and a start of
    TensorFlow may take.

    Raises:
        InvalidInputError: naming everything that stands in the way.
    """
    place = place or Resources()
    specs = tuple(comparison.runs())
    cleared = preflight.check(specs, data_dir, folder, quiet=quiet)
    plan = supervisor.plan(len(specs), place.device, place.workers, place.threads, cleared.run_bytes)
    return Submission(
        comparison, specs, cleared.facts, plan, Requirements(plan.device, plan.threads, cleared.facts.file, folder)
    )


def enqueue(store: Store, submission: Submission) -> list[int]:
    """Queue the runs and return their ids; who trains them is for `supervisor.start_workers` to see to."""
    return store.enqueue(submission.comparison, submission.specs, submission.requirements)
