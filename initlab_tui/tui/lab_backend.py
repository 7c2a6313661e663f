"""What the lab asks of the store and of processes, off the screen's thread, so that nothing holds up a key."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import RenderableType

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.spec import Comparison
from initlab_tui.execution import supervisor
from initlab_tui.services import submit
from initlab_tui.services.dataset_facts import DatasetFacts
from initlab_tui.store import edits, layer_statistics, queue, workers
from initlab_tui.store.curves import Curve, read_trend
from initlab_tui.store.database import Store, StoreError
from initlab_tui.store.runs import Run, find_run
from initlab_tui.store.streaming_curve import StreamingCurve
from initlab_tui.tui.store_monitor import StoreMonitor, StoreSnapshot
from initlab_tui.tui.trends import POINTS, Trend

if TYPE_CHECKING:
    from initlab_tui.domain.claims.recipe import Recipe
    from initlab_tui.services.recipes import RecipeResult

T = TypeVar("T")
IDLE_SECONDS = 600.0  # that a worker waits for the next comparison before it frees its memory
KEPT_DELETED_SECONDS = 7 * 24 * 3600.0
CHART_POINTS = 400
DISMISS_SECONDS = 2.0  # who leaves is not to wait for another's lock


class StoreThread:
    """Does what it is given, one after the other, with a connection that only its thread uses."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._store: Store | None = None

    async def do(self, work: Callable[[Store], T]) -> T:
        """The result of `work`, or what it raised."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._on_thread, work)

    def _on_thread(self, work: Callable[[Store], T]) -> T:
        if self._store is None:
            self._store = Store.open(self._path)
        return work(self._store)

    def close(self) -> None:
        """Close the connection once what was given before is done."""
        self._executor.submit(self._close)
        self._executor.shutdown(wait=True)

    def _close(self) -> None:
        if self._store:
            self._store.close()


class LabBackend:
    """A store to look at and to write requests into, and the workers that were started for it.

    `folder` is where a person's own `import:` is found.
    """

    def __init__(self, path: Path, data_dir: Path | None, folder: Path) -> None:
        self._path, self._data_dir, self._folder = path, data_dir, folder
        # Reading must not wait for a writer that waits for the lock.
        self._reading = StoreThread(path, "reading")
        self._writing = StoreThread(path, "writing")
        self._watcher = StoreMonitor()
        self._growing: dict[int, StreamingCurve] = {}
        self._workers: list[int] = []

    async def look(self) -> StoreSnapshot | None:
        """The store as it is now; None where nothing is new."""
        return await self._reading.do(self._watcher.poll)

    async def trends(self, runs: Sequence[Run]) -> dict[int, Trend]:
        """The curves behind the sparklines of some runs."""
        return await self._reading.do(lambda store: {run.id: self._trend(store, run) for run in runs})

    def _trend(self, store: Store, run: Run) -> Trend:
        last = next(iter(layer_statistics.read(store, run.id, last_only=True)), None)
        return Trend(run.step, run.status.is_ended, self._points(store, run), last)

    def _points(self, store: Store, run: Run) -> Curve:
        if run.status.is_ended:
            self._growing.pop(run.id, None)
            return read_trend(store, run.id, "train", POINTS)
        if run.id not in self._growing:
            self._growing[run.id] = StreamingCurve(run.id, POINTS)
        return self._growing[run.id].read(store)

    async def checkups(self, run_id: int) -> list[layer_statistics.StoredMeasurement]:
        """All that was measured of a run's layers."""
        return await self._reading.do(lambda store: layer_statistics.read(store, run_id))

    async def curve(self, run_id: int, split: str) -> Curve:
        """A run's curve, as fine as a chart can draw it."""
        return await self._reading.do(lambda store: read_trend(store, run_id, split, CHART_POINTS))

    async def page(self, run_id: int) -> RenderableType | None:
        """All that is known of a run; None where there is none."""
        from initlab_tui.reports.run_page import run_page  # the first paint does without

        def read(store: Store) -> RenderableType | None:
            run = find_run(store, run_id)
            return run_page(store, run) if run else None

        return await self._reading.do(read)

    async def recipes(self) -> list[Recipe]:
        """The recipes that come with the program."""

        def read() -> list[Recipe]:
            from initlab_tui.recipes import loader  # the first paint does without

            return loader.packaged()

        return await asyncio.to_thread(read)

    async def claims(self, runs: Sequence[Run], comparison_id: int | None = None) -> list[RecipeResult]:
        """What the recipes that were trained claim, and what came of it; of one comparison or of all."""

        def learn() -> Callable[[Store], list[RecipeResult]]:
            from initlab_tui.services import recipes  # the first paint does without

            recipes.packaged_variants()
            return lambda store: recipes.all_results(store, runs, comparison_id)

        # The recipes are parsed beside the thread that reads, which has curves to bring meanwhile.
        return await self._reading.do(await asyncio.to_thread(learn))

    async def launch(self, comparison: Comparison, device: str | None) -> DatasetFacts:
        """Check a comparison, download its data where need be, queue it and see to workers; returns its data's facts.

        Raises:
            InvalidInputError: with nothing queued, naming what stands in the way.
        """
        place = submit.Resources(device=device)
        submission = await _abandonable(
            lambda: submit.prepare(comparison, self._data_dir, self._folder, place, quiet=True)
        )

        submitted = await self._writing.do(lambda store: submit.submit(store, submission, idle=IDLE_SECONDS))
        self._workers += submitted.worker_ids
        return submitted.facts

    async def warm(self, runs: int, device: str | None) -> None:
        """Have a worker import TensorFlow for a comparison of so many runs that may come."""
        plan = await asyncio.to_thread(supervisor.plan, runs, device, None, None, 0)
        one = supervisor.WorkerPlan(1, plan.threads, plan.device)

        def start(store: Store) -> None:
            edits.purge(store, KEPT_DELETED_SECONDS)
            self._workers += supervisor.start_workers(store, one, idle=IDLE_SECONDS)

        await self._writing.do(start)

    async def write(self, change: Callable[[Store], T]) -> T:
        """Change something in the store.

        Raises:
            InvalidInputError: as `change` does.
        """
        return await self._writing.do(change)

    async def resume(self, ids: Sequence[int]) -> list[int]:
        """Let paused runs go on, with workers where none live."""

        def go_on(store: Store) -> list[int]:
            resumed = queue.resume(store, ids)
            for plan in supervisor.needed_again(store, ids):
                self._workers += supervisor.start_workers(store, plan, idle=IDLE_SECONDS)
            return resumed

        return await self._writing.do(go_on)

    def close(self) -> None:
        """Let go of the store, and of the workers that only wait; those that train end when nothing is left."""
        self._reading.close()
        self._writing.close()
        # Of a store that cannot be used the lab has told already; its workers end when they have stood idle.
        with contextlib.suppress(InvalidInputError, StoreError):
            self.dismiss()

    def dismiss(self) -> None:
        """Let the workers end that were started here, once nothing is left for them."""
        store = Store.open_existing(self._path, busy_seconds=DISMISS_SECONDS)
        if store:
            with store:
                workers.dismiss(store, self._workers)


async def _abandonable(work: Callable[[], T]) -> T:
    """The result of `work` on a thread that nobody waits for when the program ends, though it may be downloading."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type] # there is a result where there is no error

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the program has ended
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await future


def devices() -> list[str]:
    """The devices that may be asked for on this machine."""
    found = supervisor.gpus()
    return ["cpu", *(["gpu"] if found else []), *(f"gpu:{number}" for number in range(len(found)))]
