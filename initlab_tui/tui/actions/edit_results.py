"""Delete, restore, rename and tag runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from initlab_tui.reports.format import counted
from initlab_tui.store import edits
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run
from initlab_tui.tui.lab_backend import LabBackend
from initlab_tui.tui.screens.dialogs import Ask

if TYPE_CHECKING:
    from initlab_tui.tui.screens.lab_panes import LabPanes


class ResultEditor:
    """Edits the runs that the results pane names by id."""

    def __init__(self, screen: LabPanes, backend: LabBackend) -> None:
        self._screen, self._backend = screen, backend

    def delete(self, ids: list[int]) -> None:
        """Delete runs; `undo` restores them."""
        self._screen.write(lambda store: edits.delete(store, ids), "Deleted {}. Press u to restore.")
        self._screen.results.unmark()

    def undo(self) -> None:
        """Restore the runs that were deleted last."""
        self._screen.run_worker(self._restore(), group="write")

    async def _restore(self) -> None:
        ids = await self._backend.write(edits.restore_newest)
        message = f"Restored {counted(len(ids), 'run')}." if ids else "There are no deleted runs to restore."
        self._screen.notify(message, markup=False)

    def rename(self, ids: list[int]) -> None:
        """Ask for a name and give it to the runs."""
        names = {run.name for run in self._runs(ids)}
        name = names.pop() if len(names) == 1 else ""
        question = f"Name of {counted(len(ids), 'run')} (empty: no name)"
        self._ask("name", question, name, lambda store, text: edits.rename(store, ids, text))

    def tag(self, ids: list[int]) -> None:
        """Ask for tags and give them to the runs."""
        tags = dict.fromkeys(tag for run in self._runs(ids) for tag in run.tags.split())
        question = f"Tags of {counted(len(ids), 'run')}: words to filter by"
        self._ask("tags", question, " ".join(tags), lambda store, text: edits.tag(store, ids, text))

    def _ask(self, field: str, question: str, value: str, change: Callable[[Store, str], None]) -> None:
        def answered(text: str | None) -> None:
            if text is not None:
                self._screen.write(lambda store: change(store, text), "Saved.")

        self._screen.app.push_screen(Ask(question, value, lambda text: edits.fitting(field, text.strip())), answered)

    def _runs(self, ids: Iterable[int]) -> list[Run]:
        runs = {run.id: run for run in self._screen.runs}
        return [runs[run_id] for run_id in ids if run_id in runs]
