"""The curves of the charted runs: which are known, and which must be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import plain
from initlab_tui.store.curves import Curve
from initlab_tui.store.database import StoreError
from initlab_tui.tui.chart.options import SPLITS
from initlab_tui.tui.chart.series import Series

Load = Callable[[int, str], Awaitable[Curve]]
NOTHING = Curve((), (), ())


class CurveCache:
    """Reads the curves of some series with `load(run id, split)` and keeps them."""

    def __init__(self, series: Sequence[Series], load: Load) -> None:
        self._run_ids = [run_id for each in series for run_id in each.runs]
        self._load = load
        self._curves: dict[tuple[int, str], Curve] = {}
        self._stale: set[tuple[int, str]] = set()

    def mark_stale(self, run_ids: Iterable[int]) -> bool:
        """Mark the curves of these runs as stale; return whether any of them is charted."""
        charted = set(self._run_ids) & set(run_ids)
        self._stale |= {(run_id, split) for run_id in charted for split in SPLITS}
        return bool(charted)

    def is_complete(self, split: str) -> bool:
        """Return whether the curve of every run on this split was read at least once."""
        return all((run_id, split) in self._curves for run_id in self._run_ids)

    def to_read(self, split: str) -> list[int]:
        """Return the runs with a curve that is unknown or stale."""
        keys = [(run_id, split) for run_id in self._run_ids]
        return [key[0] for key in keys if key not in self._curves or key in self._stale]

    async def read(self, run_id: int, split: str) -> str:
        """Read one curve; return the error, or an empty string."""
        # Before reading: a point that is recorded during the reading makes the curve stale again.
        self._stale.discard((run_id, split))
        try:
            self._curves[run_id, split] = await self._load(run_id, split)
        except (InvalidInputError, StoreError) as error:
            self._curves.setdefault((run_id, split), NOTHING)
            return f"run {run_id} cannot be read: {plain(str(error))}"
        return ""

    def curves_of(self, series: Series, split: str) -> list[Curve]:
        """Return the curves of a series' runs, all of which must have been read."""
        return [self._curves[run_id, split] for run_id in series.runs]
