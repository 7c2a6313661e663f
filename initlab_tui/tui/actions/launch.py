"""Summarize and launch the comparison in the setup form."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.worker import Worker

from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.execution import supervisor
from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import about, counted
from initlab_tui.services.dataset_facts import DatasetFacts, facts_of
from initlab_tui.services.estimate import expected_seconds
from initlab_tui.store.database import StoreError
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.messages import NOTICE_SECONDS
from initlab_tui.tui.screens.dialogs import Choose

if TYPE_CHECKING:
    from initlab_tui.tui.screens.lab_panes import LabPanes

PREPARE_SECONDS = 1.0  # after the last change of the form


class Launcher:
    """Launches what the setup pane of `screen` describes."""

    def __init__(self, screen: LabPanes, backend: LabBackend) -> None:
        self._screen, self._backend = screen, backend
        self._facts: dict[str, DatasetFacts] = {}

    def summarize(self) -> None:
        """Show the number of runs, the estimated time and the predictions for the form's comparison."""
        setup = self._screen.setup
        comparison = setup.comparison
        if comparison is None or setup.is_refused:
            return
        facts = self._facts_of(comparison.base.dataset)
        if facts is None:
            setup.clear_preview()
            setup.show_summary(f"{_amount(comparison)}; duration unknown until the file is read")
            return
        try:
            self._show_summary(comparison, facts)
        except InvalidInputError as error:  # a network that does not fit the data
            setup.clear_preview()
            setup.refuse(error.problems)

    def _show_summary(self, comparison: Comparison, facts: DatasetFacts) -> None:
        setup, specs = self._screen.setup, list(comparison.runs())
        setup.show_preview(comparison, facts.shape, facts.classes, facts.mean_square)
        workers = min(supervisor.cores(), len(specs))
        expected = expected_seconds(
            specs, facts.shape, facts.classes, facts.train, workers, reversed(self._screen.runs)
        )
        setup.show_summary(f"{_amount(comparison)}, about {about(expected.seconds)} ({expected.basis})")

    def prepare(self) -> None:
        """Have idle workers compile the form's network, once it has not changed for a while."""
        _: Worker[None] = self._screen.run_worker(self._prepare, group="prepare", exclusive=True)

    async def _prepare(self) -> None:
        await asyncio.sleep(PREPARE_SECONDS)
        comparison = self._screen.setup.comparison
        if comparison:
            # An unusable store is reported by the next action that writes to it.
            with contextlib.suppress(InvalidInputError, StoreError):
                await self._backend.prepare(comparison)

    def _facts_of(self, dataset: str) -> DatasetFacts | None:
        """Return what the catalog knows of a dataset, or the facts from the last time it was read."""
        entry = DATASETS.get(dataset)
        return self._facts.get(dataset, facts_of(entry) if entry else None)

    def run(self) -> None:
        """Queue the form's comparison; ask first if it is already queued or running."""
        comparison = self._screen.setup.comparison
        if comparison is None:
            self._screen.action_pane("setup")
            self._screen.setup.focus_first_wrong()
            self._screen.notify("Not queued: fix what is marked in the setup.", severity="error", markup=False)
        elif self._is_active(comparison):
            self._confirm(comparison)
        else:
            self._start(comparison)

    def _is_active(self, comparison: Comparison) -> bool:
        active = {(run.spec_hash, run.spec.seed) for run in self._screen.active}
        return all((spec.spec_hash, spec.seed) in active for spec in comparison.runs())

    def _confirm(self, comparison: Comparison) -> None:
        def answered(answer: str | None) -> None:
            if answer == "again":
                self._start(comparison)

        answers = [("cancel", "Cancel"), ("again", "Queue it again")]
        self._screen.app.push_screen(Choose("The same comparison is already queued or running.", answers), answered)

    def _start(self, comparison: Comparison) -> None:
        self._screen.run_worker(self._launch(comparison), group="launch")

    async def _launch(self, comparison: Comparison) -> None:
        setup = self._screen.setup
        setup.show_summary(_checking(comparison))
        try:
            facts = await self._backend.launch(comparison, setup.device, self._screen.recipe)
        except InvalidInputError as error:
            self._refuse(error.problems)
            return
        except StoreError as error:
            self._refuse([Problem("store", f"the store cannot be written: {error}")])
            return
        self._facts[comparison.base.dataset] = facts
        self.summarize()
        self._screen.training.action_follow()
        self._screen.action_pane("training")

    def _refuse(self, problems: Sequence[Problem]) -> None:
        self._screen.action_pane("setup")
        self._screen.setup.refuse(problems)
        self._screen.setup.focus_first_wrong()
        message = plain(problems[0].message)
        self._screen.notify(message, title="Not queued", severity="error", timeout=NOTICE_SECONDS, markup=False)


def _amount(comparison: Comparison) -> str:
    """Return e.g. `24 runs: 3 initializers × 4 settings × 2 seeds`."""
    runs, seeds = len(list(comparison.runs())), len(comparison.seeds)
    initializers = len(comparison.initializers)
    settings = runs // seeds // initializers
    between = f" × {counted(settings, 'setting')}" if settings > 1 else ""
    return f"{counted(runs, 'run')}: {counted(initializers, 'initializer')}{between} × {counted(seeds, 'seed')}"


def _checking(comparison: Comparison) -> str:
    """Return the text that is shown while the runs are checked."""
    imported = next((initializer for initializer in comparison.initializers if initializer.is_imported), None)
    if imported:
        return f"checking the data, and drawing from {imported} with TensorFlow …"
    return f"checking the data of {comparison.base.dataset} …"
