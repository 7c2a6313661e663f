"""Open the screens over the lab: the details of a run, its layers, and the chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from initlab_tui.reports.escape import plain
from initlab_tui.reports.format import initializer_name
from initlab_tui.tui.lab_backend import LabBackend

if TYPE_CHECKING:
    from initlab_tui.tui.screens.lab_panes import LabPanes

# Imports within functions keep the first paint fast.


class Pages:
    """Opens screens over `screen`; a key that is pressed again before a screen opens has no effect."""

    def __init__(self, screen: LabPanes, backend: LabBackend) -> None:
        self._screen, self._backend = screen, backend

    def show_details(self, run_id: int) -> None:
        """Show the details of a run."""
        from initlab_tui.tui.screens.details import DetailsScreen

        if isinstance(self._screen.app.screen, DetailsScreen):
            return

        def ids() -> list[int]:
            return [run.id for run in self._screen.runs]

        self._screen.app.push_screen(DetailsScreen(run_id, ids, self._backend.page, self.show_layers))

    def show_layers(self, run_id: int) -> None:
        """Show the layers of a run as a heat map."""
        from initlab_tui.tui.screens.layers import LayersScreen

        if isinstance(self._screen.app.screen, LayersScreen):
            return
        run = next((run for run in self._screen.runs if run.id == run_id), None)
        spec = f" {initializer_name(run.spec.initializer)} · seed {run.spec.seed}" if run else ""
        title = plain(f"run {run_id}{spec}: layers")
        self._screen.app.push_screen(LayersScreen(run_id, title, self._backend.measurements))

    def show_chart(self) -> None:
        """Draw the marked groups and runs, or all that are shown."""
        from initlab_tui.tui.screens.chart import ChartScreen

        if isinstance(self._screen.app.screen, ChartScreen):
            return
        self._screen.app.push_screen(ChartScreen(self._screen.results.series, self._backend.curve))
