"""Invalid input: an error names the value and what is allowed, exit code 2, nothing written, no traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Command

MINE = """
import numpy
def wrong(shape):
    return numpy.zeros((2, 2))
"""


@pytest.fixture(autouse=True)
def files(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "text.npz").write_text("hello")
    images, labels = np.zeros((50, 4, 4), np.uint8), np.arange(50) % 5
    good = {"x_train": images, "y_train": labels, "x_test": images[:9], "y_test": labels[:9]}
    np.savez(tmp_path / "good.npz", **good)  # type: ignore[arg-type]
    np.savez(tmp_path / "few.npz", **{**good, "y_train": labels[:40]})  # type: ignore[arg-type]


@pytest.mark.usefixtures("tensorflow_in_process")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run --initializer he_norml", ["'he_norml'", "did you mean he_normal"]),
        ("run --initializer random_normal:std=1", ["'std'", "did you mean stddev"]),
        ("run --initializer random_normal:stddev=-1", ["stddev must be a number > 0", "got -1"]),
        ("run --dataset minst", ["'minst'", "did you mean mnist"]),
        ("run --activation rleu", ["'rleu'", "did you mean relu"]),
        ("run --hidden 0", ["hidden must be", "got '0'"]),
        ("run --hidden -3", ["got '-3'"]),
        ("run --hidden 1000000,1000000", ["1000000,1000000", "GB of memory", "fewer or narrower layers"]),
        ("run --learning-rate 0", ["learning_rate must be a finite number > 0, got 0"]),
        ("run --learning-rate -0.1", ["got -0.1"]),
        ("run --learning-rate nan", ["got nan"]),
        ("run --batch-size 1438", ["batch_size must be <= 1437", "got 1438"]),
        ("run --epochs 0", ["epochs must be a whole number >= 1", "got 0"]),
        ("run --dataset npz:good.npz", ["batch_size must be <= 50", "got 128"]),
        ("run --dataset npz:gone.npz", ["gone.npz does not exist", "x_train"]),
        ("run --dataset npz:text.npz", ["text.npz is not an npz archive"]),
        ("run --dataset npz:few.npz", ["50 images in x_train but 40 labels"]),
        ("run --initializer import:gone.Draw", ["no module named 'gone' in /", "or among the installed packages"]),
        ("run --initializer import:subprocess.Popen:args=x,shell=True", ["'subprocess' is a module of Python"]),
        ("inspect --initializer import:os.system:command=x", ["'os' is a module of Python"]),
        ("run --initializer import:mine.wrong", ["returned shape (2, 2) for a kernel of shape (64, 256)"]),
        ("run --device gpu:7", ["unknown device 'gpu:7'", "cpu"]),
        ("run --store good.npz", ["good.npz", "not a database"]),
        ("run --store .", ["is a directory"]),
        ("run --store good.npz/lab.db", ["cannot be written"]),
        ("run --data-dir gone", ["gone", "must be a folder that exists"]),
        ("run --threads 0", ["--threads"]),
        ("run --threads 99999999999999999999", ["--threads"]),
        ("run --initializer zeros --initializer ones", ["run trains one initializer, got 2", "initlab-tui compare"]),
        (f"run --store {'x' * 300}.db", ["cannot be written"]),
        (f"run --data-dir {'x' * 300}", ["must be a folder that exists"]),
        (f"run --dataset npz:{'x' * 300}", ["x_train"]),
        ("run --dataset good.npz", ["npz:good.npz"]),
        ("show 99999999999999999999", ["no store"]),
        (
            "compare --initializer zeros --seed 2147483647 --seeds 3",
            ["seeds must be a whole number >= 1 and <= 1, got 3"],
        ),
        ("compare --initializer zeros --initializer zeros", ["zeros twice"]),
        ("compare --initializer zeros --seeds 0", ["seeds must be a whole number >= 1", "got 0"]),
        ("compare", ["--initializer"]),
        ("show 3", ["there is no store"]),
        ("stop", ["--all"]),
        ("initializers he", ["unknown initializer 'he'"]),
        ("explain ded_units", ["unknown term 'ded_units': did you mean dead_units"]),
        ("rum", ["rum"]),
    ],
)
def test_invalid_input_is_refused_with_nothing_written(
    initlab: Command, tmp_path: Path, arguments: str, words: list[str]
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    result = initlab(*arguments.split(), CUDA_VISIBLE_DEVICES="")
    assert result.code == 2, result.out + result.err
    assert result.out == ""
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before
    assert not (tmp_path / ".local").exists()


def test_all_problems_are_reported_at_once(initlab: Command) -> None:
    result = initlab(
        *("compare", "--initializer", "he_norml", "--initializer", "random_normal:stddev=0", "--epochs", "0"),
        *("--activation", "rleu", "--learning-rate", "nan", "--seeds", "x"),
    )
    assert result.code == 2
    lines = result.err.splitlines()
    assert len(lines) == 6, result.err  # one for each option, without errors that follow from another
    assert all(line.startswith("initlab-tui: ") for line in lines)


def test_control_characters_do_not_reach_the_terminal(initlab: Command) -> None:
    result = initlab("run", "--initializer", "a\x1b[31mb")
    assert (result.code, "\x1b" in result.err, "a\\x1b[31mb" in result.err) == (2, False, True)


@pytest.mark.usefixtures("tensorflow_in_process")
def test_without_a_network_the_error_names_the_file_its_folder_and_the_digits(initlab: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    # No server listens at this proxy, so every download fails at once.
    result = initlab("run", "--dataset", "mnist", "--data-dir", "data", https_proxy="http://127.0.0.1:9")
    assert result.code == 2, result.err
    assert result.out == "" and "Traceback" not in result.err
    assert "mnist.npz" in result.err and "into data" in result.err and "--dataset digits" in result.err
    assert not (tmp_path / ".local").exists()


def test_refused_input_exits_2_with_one_line_on_stderr(initlab_process: Command) -> None:
    result = initlab_process("run", "--initializer", "he_norml")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("initlab-tui: ") and result.err.count("\n") == 1
