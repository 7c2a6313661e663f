"""The training process: claims queued runs one by one, trains them and records their events.

python -m initlab_tui.execution.worker STORE WORKER_ID [MONITOR_PID]
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from initlab_tui.data import arrays
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.events import Checkpointed, Evaluated, Finished, LayersMeasured, Started, Stepped
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution.checkpoint_saver import CheckpointSaver, SavingCost, version_note
from initlab_tui.execution.liveness import LivenessMonitor
from initlab_tui.execution.memory import HELP, is_out_of_memory
from initlab_tui.execution.patience import Patience, has_room
from initlab_tui.execution.recorder import Recorder
from initlab_tui.execution.run_record import run_record
from initlab_tui.store import progress, queue, workers
from initlab_tui.store.database import ReplacedStoreError, Store, StoreError, is_disk_full
from initlab_tui.store.files import RESERVE_BYTES, reserve_name
from initlab_tui.store.runs import Run
from initlab_tui.store.workers import HEARTBEAT_SECONDS, Preparation, RegisteredWorker
from initlab_tui.training.quick_import import quick_import
from initlab_tui.training.xla_cache import XlaCache, default_folder

if TYPE_CHECKING:
    from initlab_tui.training.compiled_trainer import CompiledTrainerCache
    from initlab_tui.training.device_dataset import DeviceDataset

NICENESS = 5  # keeps the screen responsive
POLL_SECONDS = 0.1
BUSY_SECONDS = 2.0  # for which training stands still while another process holds the store's lock
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
KEPT_DATASETS = 2
ON_REQUEST = "on request"


class Worker:
    """A training process, with the datasets and the compiled trainers that it keeps between runs.

    `monitor` is the pid of its monitor, by default that of the parent process.
    """

    def __init__(
        self, store: Store, worker_id: int, programs: CompiledTrainerCache, monitor: int | None = None
    ) -> None:
        self.store, self.id, self._programs = store, worker_id, programs
        registered = workers.read_worker(store, worker_id)
        self.device, self.threads = registered.device, registered.threads
        self.patience = Patience(store, worker_id)
        self.terminated = False
        self._monitor = monitor or os.getppid()
        self._device_note = ""
        self._prepared: Preparation | None = None
        self._datasets: dict[tuple[str, str | None], DeviceDataset] = {}
        self._saving_cost = SavingCost()

    def use_device(self, sees_gpu: bool) -> None:
        """Exit if a GPU was requested and TensorFlow sees none; with device auto, note that the CPU is used."""
        if self.device.startswith("gpu") and not sees_gpu:
            sys.exit(f"TensorFlow sees no GPU, but device {self.device} was requested (see initlab-tui doctor)")
        if self.device == "auto" and not sees_gpu:
            self._device_note = "TensorFlow does not see this machine's GPU: trained on the CPU."

    def work(self) -> None:
        """Train queued runs until none has been queued for the registered idle time, or until terminated."""
        last_work = time.monotonic()
        while not self.terminated:
            # On a full disk the queue is held.
            run = self.patience.until_possible(self._claim) if has_room(self.store) else None
            if run:
                self._perform(run)
                last_work = time.monotonic()
                continue
            # Read each time, because the lab may request a preparation, or shorten the idle time to dismiss the worker.
            registered = self.patience.until_possible(lambda: workers.read_worker(self.store, self.id))
            # Without its monitor nobody would dismiss it when the lab that started it is gone.
            wanted, idle = registered.preparation, registered.idle_seconds if os.getppid() == self._monitor else 0.0
            if wanted and wanted != self._prepared and idle > 0:
                self._prepare(wanted)
            elif time.monotonic() - last_work >= idle and self.patience.until_possible(self._retire):
                return
            else:
                time.sleep(POLL_SECONDS)

    def _claim(self) -> Run | None:
        return queue.claim(self.store, self.id)

    def _retire(self) -> bool:
        return workers.retire_if_idle(self.store, self.id)

    def _prepare(self, preparation: Preparation) -> None:
        """Compile the network that the lab expects to train next."""
        self._prepared = preparation
        try:
            spec = RunSpec.from_json(preparation.spec)
            self._programs.get(spec, self._data(spec.dataset, preparation.data_file))
        except Exception:
            # Not reported here, because the run itself will fail with the same error.
            traceback.print_exc()

    def _perform(self, run: Run) -> None:
        try:
            self._train_and_release(run)
        except progress.LostRunError as error:
            print(error, file=sys.stderr)
        except ReplacedStoreError as error:
            progress.crash_in_replaced_store(self.store, run, str(error))
            raise

    def _train_and_release(self, run: Run) -> None:
        try:
            with reserve(self.store, self.id):
                status, reason = self._train(run)
            self._release(run, status, reason)
        except (progress.LostRunError, ReplacedStoreError):
            raise
        except Exception as error:
            # Any other error ends this run and is recorded with it; later runs are not affected.
            traceback.print_exc()
            self._release(run, RunStatus.FAILED, failure_reason(error))

    def _release(self, run: Run, status: RunStatus, reason: str) -> None:
        self.patience.until_possible(lambda: progress.release(self.store, run, status, reason), run)

    def _train(self, run: Run) -> tuple[RunStatus, str]:
        from initlab_tui.training.initializers import importing_from
        from initlab_tui.training.loop import train

        request: str | None = None
        saver = CheckpointSaver(self.store, run, self._saving_cost)
        checkpoint, note = saver.read()

        def wants_checkpoint(step: int) -> bool:
            saver.begin()
            return request is not None or self.terminated or saver.is_due(step)

        events = train(
            run.spec,
            self._data(run.spec.dataset, run.data_file),
            self._programs,
            resume=checkpoint.at if checkpoint else None,
            wants_checkpoint=wants_checkpoint,
        )
        recording = Recorder(self.store, run, self.patience)
        with importing_from(run.import_folder), contextlib.closing(events), recording as recorder:
            for event in events:
                match event:
                    case Started():
                        saver.start(event)
                        notes = (self._device_note, event.note, note, version_note(run, event))
                        record = run_record(run, event, self.threads, " ".join(filter(None, notes)))
                        request = self._record_started(run, event, record, checkpoint.totals if checkpoint else None)
                        if request == "stop":
                            return RunStatus.STOPPED, ON_REQUEST
                    case Stepped() | Evaluated() | LayersMeasured():
                        request = recorder.add(event)
                    case Checkpointed():
                        recorder.write()
                        problem = saver.save(event)
                        if request == "pause" and problem:
                            request = recorder.refuse_pause(problem)
                        elif request == "pause":
                            return RunStatus.PAUSED, ""
                        elif request == "stop" or self.terminated:
                            return RunStatus.STOPPED, "; ".join(filter(None, (self._stopped_by(request), problem)))
                    case Finished():
                        return RunStatus(event.outcome), event.reason
        raise AssertionError("train() ended without Finished")

    @staticmethod
    def _stopped_by(request: str | None) -> str:
        return ON_REQUEST if request == "stop" else "the worker was terminated (SIGTERM)"

    def _data(self, dataset: str, file: str | None) -> DeviceDataset:
        from initlab_tui.training.device_dataset import DeviceDataset

        key = (dataset, file)
        if key not in self._datasets:
            while len(self._datasets) >= KEPT_DATASETS:
                del self._datasets[next(iter(self._datasets))]
            self._datasets[key] = DeviceDataset(arrays.load(dataset, Path(file) if file else None))
        return self._datasets[key]

    def _record_started(
        self, run: Run, event: Started, record: Mapping[str, Any], totals: progress.Totals | None
    ) -> str | None:
        return self.patience.until_possible(
            lambda: progress.record_started(self.store, run, event, record, totals), run
        )


@contextlib.contextmanager
def reserve(store: Store, worker_id: int) -> Iterator[None]:
    """Reserve a little disk space while training, so that a run's end can be recorded even on a full disk."""
    try:
        with contextlib.suppress(OSError):  # there is no room: the recorder waits until there is
            store.files.create(reserve_name(worker_id), bytes(RESERVE_BYTES))
        yield
    finally:
        store.files.remove(reserve_name(worker_id))


def failure_reason(error: Exception) -> str:
    """Return the reason that is recorded for a run that failed with `error`."""
    if is_disk_full(error) or (isinstance(error, OSError) and error.errno in NO_ROOM):
        return f"the disk is full: {error}; recorded metrics are kept"
    # TensorFlow's messages continue with pages of the graph; the log has all of it.
    lines = str(error).strip().splitlines() or [""]
    message = (lines[-1] if lines[0].startswith("in user code") else lines[0]).strip()[:500]
    if is_out_of_memory(error):
        return f"out of memory ({type(error).__name__}: {message}); {HELP}"
    return message if isinstance(error, ValueError) else f"{type(error).__name__}: {message}"


def beat(path: Path, worker_id: int, monitor: int) -> None:
    """Write the worker's heartbeat for as long as its process lives; end it when its store is removed or replaced.

    If its monitor died, the worker looks after the other workers of the store in its place.
    """
    with Store.open(path) as store:
        liveness = LivenessMonitor(store)
        while True:
            if not store.still_exists():
                os.kill(os.getpid(), signal.SIGTERM)
                return
            workers.heartbeat(store, worker_id)
            if os.getppid() != monitor:
                # The store may be locked or full now; the heartbeat must not end with that.
                with contextlib.suppress(StoreError, InvalidInputError):
                    liveness.check()
            time.sleep(HEARTBEAT_SECONDS)


def xla_cache(worker: RegisteredWorker) -> XlaCache | None:
    """Return the cache of compiled programs that TensorFlow will use; None on a GPU, where it is untested."""
    if worker.visible_devices != "-1":
        return None
    cache = XlaCache(default_folder(worker.threads))
    return cache if cache.enable() else None


def main(arguments: list[str]) -> int:
    """Run one worker to its end and return its exit code: 0 if it ended normally."""
    path, worker_id = Path(arguments[0]), int(arguments[1])
    # Named by the monitor, because it may have died before this process could ask for its parent.
    monitor = int(arguments[2]) if len(arguments) > 2 else os.getppid()
    faulthandler.enable()
    os.nice(NICENESS)
    threading.Thread(target=beat, args=(path, worker_id, monitor), daemon=True).start()
    with Store.open(path, busy_seconds=BUSY_SECONDS) as store:
        cache = xla_cache(workers.read_worker(store, worker_id))
        with quick_import():
            from initlab_tui.training import device
            from initlab_tui.training.compiled_trainer import CompiledTrainerCache
        worker = Worker(store, worker_id, CompiledTrainerCache(cache), monitor)

        def terminate(_signal: int, _frame: FrameType | None) -> None:
            worker.terminated = True
            worker.patience.terminate()

        signal.signal(signal.SIGTERM, terminate)
        device.configure(worker.threads)
        worker.use_device(device.sees_gpu())
        try:
            worker.work()
        except ReplacedStoreError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
