"""Background access to the store and to worker processes, so that no key waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import RenderableType

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.execution import supervisor
from initlab_tui.services import control_runs, stored_runs, submit, warm_up
from initlab_tui.services.dataset_facts import DatasetFacts
from initlab_tui.services.resources import Resources
from initlab_tui.store import layer_statistics, queue, workers
from initlab_tui.store.curves import Curve, CurveReader, read_trend, trend
from initlab_tui.store.database import BUSY_SECONDS, Store, StoreError
from initlab_tui.store.purge import purge
from initlab_tui.store.runs import Run
from initlab_tui.tui.store_monitor import StoreMonitor, StoreSnapshot
from initlab_tui.tui.trends import POINTS, Trend

if TYPE_CHECKING:
    from initlab_tui.domain.claims.recipe import Recipe
    from initlab_tui.services.recipes import RecipeResult

T = TypeVar("T")
IDLE_SECONDS = 600.0  # an idle worker ends after this and frees its memory
KEPT_DELETED_SECONDS = 7 * 24 * 3600.0
CHART_POINTS = 400
READING_BUSY_SECONDS = 0.5  # the reading thread writes only that a worker is dead, which it can try again
DISMISS_SECONDS = 2.0  # quitting waits no longer than this for another process's lock


class StoreThread:
    """Runs functions one after another on a thread that owns a connection to the store."""

    def __init__(self, path: Path, name: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path, self._busy_seconds = path, busy_seconds
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._store: Store | None = None

    async def do(self, work: Callable[[Store], T]) -> T:
        """Return the result of `work`, or raise what it raised."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._on_thread, work)

    def _on_thread(self, work: Callable[[Store], T]) -> T:
        if self._store is None:
            self._store = Store.open(self._path, busy_seconds=self._busy_seconds)
        return work(self._store)

    def start(self, work: Callable[[Store], object]) -> None:
        """Run `work` without waiting for it; it is repeated the next time the lab opens, so its errors are ignored."""
        self._executor.submit(self._on_thread, work)

    def close(self) -> None:
        """Finish what was submitted, then close the connection."""
        self._executor.submit(self._close)
        self._executor.shutdown(wait=True)

    def _close(self) -> None:
        if self._store:
            self._store.close()


class LabBackend:
    """Reads and changes a store in the background, and starts and ends its workers.

    Modules of an `import:` are found in `folder`.
    """

    def __init__(self, path: Path, data_dir: Path | None, folder: Path) -> None:
        self._path, self._data_dir, self._folder = path, data_dir, folder
        # Two threads: reading must not wait while a write waits for the lock.
        self._reading = StoreThread(path, "reading", busy_seconds=READING_BUSY_SECONDS)
        self._writing = StoreThread(path, "writing")
        self._purging = StoreThread(path, "purging")  # long, and nothing waits for it
        self._closing = False
        self._monitor = StoreMonitor()
        self._readers: dict[int, CurveReader] = {}
        self._workers: list[int] = []

    async def poll(self) -> StoreSnapshot | None:
        """Return the current state of the store, or None if nothing has changed."""
        return await self._reading.do(self._monitor.poll)

    async def trends(self, runs: Sequence[Run]) -> dict[int, Trend]:
        """Read the curves behind the sparklines of these runs."""
        return await self._reading.do(lambda store: {run.id: self._trend(store, run) for run in runs})

    def _trend(self, store: Store, run: Run) -> Trend:
        last = next(iter(layer_statistics.read(store, run.id, last_only=True)), None)
        return Trend(run.step, run.status.is_ended, trend(self._reader(run).read(store), POINTS), last)

    def _reader(self, run: Run) -> CurveReader:
        """Return the reader of a run's curve on the training data, which is kept while the run is in training."""
        reader = self._readers.pop(run.id, None) or CurveReader(run.id, "train")
        if not run.status.is_ended:
            self._readers[run.id] = reader
        return reader

    async def measurements(self, run_id: int) -> list[layer_statistics.StoredMeasurement]:
        """Read all measurements of a run's layers."""
        return await self._reading.do(lambda store: layer_statistics.read(store, run_id))

    async def curve(self, run_id: int, split: str) -> Curve:
        """Read a run's curve at the resolution of a chart."""
        return await self._reading.do(lambda store: read_trend(store, run_id, split, CHART_POINTS))

    async def page(self, run_id: int) -> RenderableType | None:
        """Return the page of a run's details, or None if there is no such run."""
        from initlab_tui.reports.run_page import run_page  # not needed for the first paint

        def read(store: Store) -> RenderableType | None:
            found = stored_runs.details(store, run_id)
            return run_page(found) if found else None

        return await self._reading.do(read)

    async def recipes(self) -> Sequence[Recipe]:
        """Load the packaged recipes."""

        def read() -> Sequence[Recipe]:
            from initlab_tui.services import recipes  # not needed for the first paint

            return recipes.packaged()

        return await asyncio.to_thread(read)

    def custom_sources(self, recipe: Recipe) -> list[str]:
        """Return, in words, the custom initializers of a recipe and where their code comes from.

        Raises:
            InvalidInputError: if a module does not exist or is not allowed.
        """
        from initlab_tui.services import recipe_submission  # the first paint does without

        found = recipe_submission.custom_sources(recipe, self._folder)
        return [f"{initializer}, from {source.file or source.module}" for initializer, source in found.items()]

    async def claims(
        self, runs: Sequence[Run], comparison_id: int | None = None, custom: Sequence[Recipe] = ()
    ) -> list[RecipeResult]:
        """Evaluate the packaged and custom recipes that were run, in one comparison or in all of them."""

        def prepare() -> Callable[[Store], list[RecipeResult]]:
            from initlab_tui.services import recipes  # not needed for the first paint

            recipes.packaged_variants()
            return lambda store: recipes.all_results(store, runs, comparison_id, custom)

        # Parse the recipes on another thread, so that the reading thread can still read curves.
        return await self._reading.do(await asyncio.to_thread(prepare))

    async def launch(self, comparison: Comparison, device: str | None, recipe: Recipe | None = None) -> DatasetFacts:
        """Check a comparison, download its data if needed, queue it and start workers; return the facts of its data.

        It is stored as coming from `recipe` if it has all groups of one of its experiments.

        Raises:
            InvalidInputError: nothing was queued; the problems say why.
        """

        def prepare() -> submit.Submission:
            from initlab_tui.services import recipes  # not needed for the first paint

            origin = recipes.origin_of(comparison, recipe) if recipe else None
            resources = Resources(device=device)
            return submit.prepare(comparison, self._data_dir, self._folder, resources, recipe=origin, quiet=True)

        submission = await _abandonable(prepare)
        submitted = await self._writing.do(lambda store: submit.submit(store, submission, idle=IDLE_SECONDS))
        self._workers += submitted.worker_ids
        return submitted.facts

    async def start_worker(self, runs: int, device: str | None) -> None:
        """Start a worker that imports TensorFlow, ready for a comparison of `runs` runs."""
        plan = await asyncio.to_thread(warm_up.plan_one, runs, device)

        def start(store: Store) -> None:
            if store.read_only:
                return
            self._purging.start(lambda store: purge(store, KEPT_DELETED_SECONDS, wanted=lambda: not self._closing))
            self._workers += supervisor.start_workers(store, plan, idle=IDLE_SECONDS)

        await self._writing.do(start)

    async def prepare(self, comparison: Comparison) -> None:
        """Have the idle workers that were started here compile the network of a comparison."""
        expected = await asyncio.to_thread(warm_up.expected_run, comparison, self._data_dir) if self._workers else None
        if expected:
            await self._writing.do(lambda store: warm_up.request(store, self._workers, *expected))

    async def write(self, change: Callable[[Store], T]) -> T:
        """Change something in the store.

        Raises:
            InvalidInputError: as `change` does.
        """
        return await self._writing.do(change)

    async def read_only(self) -> str:
        """Return why the store can only be read; empty if it can be written."""
        return await self._reading.do(lambda store: store.read_only)

    async def held(self) -> list[int]:
        """Return the queued runs that are not trained, because somebody else queued them."""
        return await self._reading.do(queue.list_held)

    async def resume(self, ids: Sequence[int]) -> list[int]:
        """Queue runs to continue, and start workers if there are none; return the runs that were resumed."""

        def resume(store: Store) -> list[int]:
            control_runs.refuse_foreign_code(store, ids)
            return self._with_workers(store, queue.resume(store, ids), ids)

        return await self._writing.do(resume)

    async def retry(self, ids: Sequence[int]) -> list[int]:
        """Queue runs again, and start workers if there are none; return the new runs."""

        def retry(store: Store) -> list[int]:
            control_runs.refuse_foreign_code(store, ids)
            queued = queue.retry(store, ids)
            return self._with_workers(store, queued, queued)

        return await self._writing.do(retry)

    def _with_workers(self, store: Store, queued: list[int], ids: Sequence[int]) -> list[int]:
        for plan in supervisor.needed_again(store, ids):
            self._workers += supervisor.start_workers(store, plan, idle=IDLE_SECONDS)
        return queued

    def close(self) -> None:
        """Close the store and end idle workers; busy workers end when no runs are left."""
        self._closing = True
        self._reading.close()
        self._writing.close()
        self._purging.close()
        # The lab has already reported an unusable store; its workers end after IDLE_SECONDS.
        with contextlib.suppress(InvalidInputError, StoreError):
            self.dismiss()

    def dismiss(self) -> None:
        """Ask the workers started here to end as soon as no runs are left."""
        store = Store.open_existing(self._path)
        if store:
            with store:
                workers.dismiss(store, self._workers)


async def _abandonable(work: Callable[[], T]) -> T:
    """Run `work` on a daemon thread, so that a download does not delay the end of the program."""
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
        with contextlib.suppress(RuntimeError):  # the loop is closed because the program has ended
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await future


def devices() -> list[str]:
    """Return the names of the devices of this machine."""
    found = supervisor.gpus()
    return ["cpu", *(["gpu"] if found else []), *(f"gpu:{number}" for number in range(len(found)))]
