"""The speed of the training loop compared with alternatives, and the cost of worker and store.

    python -m tests.benchmarks.training [--rounds 5] [--data-dir ../shared/data] [--only NAME ...]

The alternatives take turns in one process (or one group of processes), because the machine may be shared; the results
are medians over the rounds, and ratios. All use MNIST, the 784-256-256-10 ReLU network of the lecture, Adam 0.001 and
batch 128.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.spec import RunSpec
from initlab_tui.execution import supervisor
from initlab_tui.execution.follow import follow
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.queue import Requirements
from initlab_tui.store.runs import find_run, list_runs
from initlab_tui.store.workers import register
from tests.database import execute

MNIST = RunSpec(dataset="mnist")
# The number of steps of the slow alternatives in a turn of about two seconds.
TAPE_STEPS, LECTURE_STEPS = 40, 12

Rates = dict[str, list[float]]


def rounds_of(rivals: dict[str, Callable[[], float]], rounds: int) -> Rates:
    """Return the samples/s of each rival in each round; a first turn of each warms up and does not count."""
    for turn in rivals.values():
        turn()
    rates: Rates = {name: [] for name in rivals}
    for _ in range(rounds):
        for name, turn in rivals.items():
            rates[name].append(turn())
    return rates


def table(rates: Rates, against: str) -> None:
    base = statistics.median(rates[against])
    for name, values in rates.items():
        median = statistics.median(values)
        spread = f"{min(values):>9,.0f} to {max(values):,.0f}"
        print(f"  {name:<42} {median:>9,.0f} samples/s   {base / median:>7.2f} ×   ({spread})")


def load_training(data_dir: Path, threads: int) -> Any:
    """Import TensorFlow with this number of threads, and load the data onto the device."""
    from initlab_tui.training import device

    device.configure(threads)
    from initlab_tui.data.arrays import load
    from initlab_tui.training.device_dataset import DeviceDataset

    return DeviceDataset(load("mnist", data_dir / "mnist.npz"))


def loop(data_dir: Path, rounds: int) -> None:
    """Compare the xla loop with Keras fit, a bare eager tape step, and the loop of the lecture."""
    data = load_training(data_dir, supervisor.cores())
    from initlab_tui.data.arrays import load
    from initlab_tui.training.compiled_trainer import CompiledTrainerCache

    arrays, programs = load("mnist", data_dir / "mnist.npz"), CompiledTrainerCache()
    rates = rounds_of(
        {
            "initlab-tui, xla": lambda: epoch(MNIST, data, programs),
            "initlab-tui, graph": lambda: epoch(MNIST.model_copy(update={"execution": "graph"}), data, programs),
            "Keras fit": fit(arrays),
            "a bare eager GradientTape step": tape(arrays),
            "the lecture's loop": lecture(arrays),
        },
        rounds,
    )
    print(f"\nloop, {supervisor.cores()} threads: xla is × times as fast as")
    table(rates, "initlab-tui, xla")


def epoch(spec: RunSpec, data: Any, programs: Any) -> float:
    """Return the samples/s of the training steps in one epoch of the bare loop."""
    from initlab_tui.domain.events import Stepped
    from initlab_tui.training.loop import train

    steps = [event for event in train(spec, data, programs) if isinstance(event, Stepped)]
    return sum(step.samples for step in steps) / sum(step.seconds for step in steps)


def _keras_model() -> Any:
    from initlab_tui.training import network

    return network.build(MNIST, (28, 28), 10).model


def fit(arrays: Any) -> Callable[[], float]:
    """Return a turn that trains one epoch of `Model.fit`, with images that are already scaled."""
    import keras

    model = _keras_model()
    model.compile(
        optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    images, labels = arrays.x_train.astype("float32") / 255, arrays.y_train

    def turn() -> float:
        started = time.perf_counter()
        model.fit(images, labels, batch_size=128, epochs=1, verbose=0)
        return len(images) / (time.perf_counter() - started)

    return turn


def tape(arrays: Any) -> Callable[[], float]:
    """Return a turn of eager GradientTape steps on prepared batches."""
    import tensorflow as tf

    step = _tape_step(_keras_model())
    images = tf.constant(arrays.x_train[: 128 * TAPE_STEPS].astype("float32") / 255)
    labels = tf.constant(arrays.y_train[: 128 * TAPE_STEPS])

    def turn() -> float:
        started = time.perf_counter()
        for number in range(TAPE_STEPS):
            batch = slice(number * 128, number * 128 + 128)
            step(images[batch], labels[batch])
        return TAPE_STEPS * 128 / (time.perf_counter() - started)

    return turn


def lecture(arrays: Any) -> Callable[[], float]:
    """Return a turn of the lecture's loop.

    It is eager, takes batches from tf.data, and computes after each step the loss and accuracy of the batch and the
    accuracy on all test images, which tf.data shuffles and batches each time.
    """
    import numpy as np
    import tensorflow as tf

    model = _keras_model()
    step = _tape_step(model)
    # As many test images as in the lecture, even if fewer are available here.
    wanted = np.resize(np.arange(len(arrays.y_test)), 10_000)
    train = _tf_data(arrays.x_train, arrays.y_train, 128).repeat()
    test = _tf_data(arrays.x_test[wanted], arrays.y_test[wanted], len(wanted))
    batches = iter(train)

    def accuracy(images: Any, labels: Any) -> Any:
        predicted = tf.argmax(model(images, training=False), -1, output_type=tf.int32)
        return tf.reduce_mean(tf.cast(predicted == labels, tf.float32))

    def turn() -> float:
        started = time.perf_counter()
        for _ in range(LECTURE_STEPS):
            images, labels = next(batches)
            step(images, labels)
            _loss(model, images, labels)
            float(accuracy(images, labels))
            for test_images, test_labels in test:
                float(accuracy(test_images, test_labels))
        return LECTURE_STEPS * 128 / (time.perf_counter() - started)

    return turn


def _tf_data(images: Any, labels: Any, batch: int) -> Any:
    import tensorflow as tf

    slices = tf.data.Dataset.from_tensor_slices((images.astype("float32") / 255, labels))
    return slices.shuffle(100_000).prefetch(batch).batch(batch, drop_remainder=True)


def _loss(model: Any, images: Any, labels: Any) -> Any:
    import tensorflow as tf

    logits = model(images, training=True)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _tape_step(model: Any) -> Callable[[Any, Any], None]:
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.Adam()

    def step(images: Any, labels: Any) -> None:
        with tf.GradientTape() as recorded:
            loss = _loss(model, images, labels)
        gradients = recorded.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return step


def store(data_dir: Path, rounds: int) -> None:
    """Compare the same epochs with and without the store, to measure the cost of recording in wall time."""
    data = load_training(data_dir, supervisor.cores())
    from initlab_tui.domain.events import Evaluated, LayersMeasured, Started, Stepped
    from initlab_tui.execution.worker import Worker
    from initlab_tui.training.compiled_trainer import CompiledTrainerCache
    from initlab_tui.training.loop import train

    programs = CompiledTrainerCache()
    spec = MNIST.model_copy(update={"epochs": 3})
    samples = 3 * 468 * 128
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "lab.db") as opened:
        requirements = Requirements("cpu", supervisor.cores(), data_dir / "mnist.npz", Path("/"))
        worker = Worker(opened, register(opened, "cpu", supervisor.cores()), programs)

        def recorded() -> float:
            (run_id,) = queue.enqueue(opened, None, [spec], requirements)
            # The worker retires when its queue is empty, but keeps its data and programs for the next turn.
            execute(opened, "UPDATE workers SET ended = NULL")
            worker.work()
            run = find_run(opened, run_id)
            assert run is not None and run.status == "done" and run.busy_seconds
            return samples / run.busy_seconds

        def bare() -> float:
            events = train(spec, data, programs)
            assert isinstance(next(events), Started)
            started = time.perf_counter()
            for event in events:
                assert isinstance(event, Stepped | Evaluated | LayersMeasured) or event.outcome == "done"  # type: ignore[union-attr]
            return samples / (time.perf_counter() - started)

        rates = rounds_of({"bare loop": bare, "through worker and store": recorded}, rounds)
    print("\nepoch after epoch, evaluation included: the bare loop is × times as fast as")
    table(rates, "bare loop")


def workers(data_dir: Path, rounds: int) -> None:
    """Compare 5 initializers × 3 seeds × 4 epochs on all cores with the bare loop and the matrix-multiply limit."""
    comparison = Comparison.checked(
        base=MNIST.model_copy(update={"epochs": 4}),
        initializers=["random_normal:stddev=1.0", "random_normal", "glorot_uniform", "he_normal", "he_fan_avg"],
        seeds=range(3),
    )
    specs = list(comparison.runs())
    rates: Rates = {"comparison on all cores": [], "bare loop, all threads, one process": []}
    ceiling: list[float] = []
    start_seconds, memory = [], [0.0]
    with Rival("epochs", data_dir, supervisor.cores()) as bare, tempfile.TemporaryDirectory() as folder:
        multiply = [Rival("multiply", data_dir, 1) for _ in range(supervisor.cores())]
        bare.ask()
        for number in range(rounds):
            rates["bare loop, all threads, one process"].append(bare.ask())
            ceiling.append(sum(together(multiply)))
            with Store.open(Path(folder) / f"lab{number}.db") as opened:
                plan = supervisor.plan(len(specs), "cpu", None, None, 0)
                requirements = Requirements("cpu", plan.threads, (data_dir / "mnist.npz").resolve(), Path("/"))
                ids = queue.enqueue(opened, comparison, specs, requirements)
                asked = time.time()
                supervisor.start_workers(opened, plan)
                memory += [peak_memory(opened) for _ in follow(opened, ids)]
                started, ended = timespan(opened, ids)
                start_seconds.append(started - asked)
                samples = sum(run.samples for run in list_runs(opened, ids))
                rates["comparison on all cores"].append(samples / (ended - started))
        for rival in multiply:
            rival.close()
    print("\na comparison of 5 × 3 × 4 epochs, evaluation included: on all cores it is × times as fast as")
    table(rates, "comparison on all cores")
    whole = statistics.median(rates["comparison on all cores"])
    limit = statistics.median(ceiling)
    print(f"  matrix-multiply limit {limit:,.0f} samples/s, of which the comparison reaches {whole / limit:.2f}")
    print(f"  import, load and compile, not included above: {statistics.median(start_seconds):.1f} s")
    print(f"  peak memory of a worker: {max(memory) / 1e6:,.0f} MB")


def timespan(opened: Store, ids: list[int]) -> tuple[float, float]:
    """Return the times at which the first run began to train, after compiling, and the last run was done."""
    marks = ",".join("?" * len(ids))
    query = f"SELECT min(at), max(at) FROM events WHERE kind IN ('started', 'done') AND run_id IN ({marks})"  # noqa: S608
    ((began, ended),) = execute(opened, query, tuple(ids))
    return began, ended


def peak_memory(opened: Store) -> float:
    """Return the peak resident memory of the living workers, in bytes."""
    peaks = [0.0]
    for (pid,) in execute(opened, "SELECT pid FROM workers WHERE ended IS NULL AND pid IS NOT NULL"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            status = Path(f"/proc/{pid}/status").read_text()
            peaks += [1024.0 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")]
    return max(peaks)


class Rival:
    """Another process of this module that measures once per request."""

    def __init__(self, what: str, data_dir: Path, threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.training", "--rival", what, str(data_dir), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": "-1"},
        )

    def start(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> float:
        assert self._process.stdout
        return float(json.loads(self._process.stdout.readline()))

    def ask(self) -> float:
        self.start()
        return self.answer()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Rival:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def together(rivals: list[Rival]) -> list[float]:
    for rival in rivals:
        rival.start()
    return [rival.answer() for rival in rivals]


def rival(what: str, data_dir: Path, threads: int) -> None:
    """Measure once for each line on stdin, and print the samples/s on stdout."""
    measure = {"epochs": _epochs, "multiply": _multiply}[what](data_dir, threads)
    for _ in sys.stdin:
        print(json.dumps(next(measure)), flush=True)


def _epochs(data_dir: Path, threads: int) -> Iterator[float]:
    data = load_training(data_dir, threads)
    from initlab_tui.domain.events import Started
    from initlab_tui.training.compiled_trainer import CompiledTrainerCache
    from initlab_tui.training.loop import train

    programs = CompiledTrainerCache()
    while True:
        events = train(MNIST.model_copy(update={"epochs": 4}), data, programs)
        assert isinstance(next(events), Started)
        started = time.perf_counter()
        for _ in events:
            pass
        yield 4 * 468 * 128 / (time.perf_counter() - started)


def _multiply(_data_dir: Path, threads: int) -> Iterator[float]:
    """Yield the speed of only the matrix products of a training step, with the same shapes."""
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    generator = np.random.default_rng(0)
    widths = (784, 256, 256, 10)
    pairs = []
    for number, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
        # Forward, gradient of the kernel, and gradient of the input (which the first layer does not need).
        shapes = [((128, fan_in), (fan_in, fan_out)), ((fan_in, 128), (128, fan_out))]
        shapes += [((128, fan_out), (fan_out, fan_in))] * (number > 0)
        pairs += [tuple(tf.constant(generator.normal(size=shape), tf.float32) for shape in pair) for pair in shapes]

    def steps() -> tf.Tensor:
        total = tf.constant(0.0)
        for _ in tf.range(400):
            for left, right in pairs:
                with tf.control_dependencies([total]):
                    total += tf.matmul(left + total * 0, right)[0, 0]
        return total

    multiply = tf.function(steps)
    multiply()
    while True:
        started = time.perf_counter()
        multiply()
        yield 400 * 128 / (time.perf_counter() - started)


def commands(rounds: int) -> None:
    """Print the wall time of commands that do not need TensorFlow, on a store with some runs."""
    print("\ncommands, whole process, median:")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        with Store.open(path) as opened:
            specs = [RunSpec(seed=seed) for seed in range(100)]
            queue.enqueue(opened, None, specs, Requirements("cpu", 1, None, Path("/")))
            execute(opened, "UPDATE runs SET status = 'stopped'")
        for arguments in (["--help"], ["runs", "--store", str(path)]):
            seconds = []
            for _ in range(rounds + 1):
                started = time.perf_counter()
                subprocess.run([sys.executable, "-m", "initlab_tui", *arguments], check=True, stdout=subprocess.DEVNULL)
                seconds.append(time.perf_counter() - started)
            print(f"  initlab-tui {arguments[0]:<8} {statistics.median(seconds[1:]):.2f} s")


def main() -> None:
    """Run the chosen benchmarks, each in a separate process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data-dir", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", nargs="*", default=["commands", "loop", "store", "workers"])
    parser.add_argument("--here", help=argparse.SUPPRESS)
    parser.add_argument("--rival", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rival:
        what, data_dir, threads = options.rival
        rival(what, Path(data_dir), int(threads))
    elif options.here == "commands":
        commands(options.rounds)
    elif options.here:
        {"loop": loop, "store": store, "workers": workers}[options.here](options.data_dir, options.rounds)
    else:
        if not (options.data_dir / "mnist.npz").is_file():
            sys.exit(f"there is no {options.data_dir / 'mnist.npz'} (pass its folder with --data-dir)")
        print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {platform.platform()}, {options.rounds} rounds")
        for name in options.only:
            command = [sys.executable, "-m", "tests.benchmarks.training", "--here", name]
            command += ["--rounds", str(options.rounds), "--data-dir", str(options.data_dir)]
            # TensorFlow's messages are of interest only if something fails.
            ran = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if ran.returncode:
                sys.exit(ran.stderr)


if __name__ == "__main__":
    main()
