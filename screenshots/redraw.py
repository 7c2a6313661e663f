"""Redraws the pictures in this folder, from the real lab with a real comparison on MNIST.

python screenshots/redraw.py [--data-dir DIR]     takes about a minute
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from initlab_tui.store.database import Store
from initlab_tui.tui.app import LabApp

HERE = Path(__file__).parent
INITIALIZERS = ("random_normal:stddev=1.0", "random_normal", "glorot_uniform", "he_normal")
COMPARISON = Comparison(
    base=RunSpec(dataset="mnist", eval_every=20),
    initializers=tuple(map(Initializer.parse, INITIALIZERS)),
    seeds=(0, 1, 2),
)
# Long enough for about twenty measurements of the layers.
DEEP = Comparison(
    base=RunSpec(hidden=(64,) * 14, batch_size=32, epochs=300),
    initializers=(Initializer.parse("glorot_uniform"),),
    seeds=(0,),
)
TRAINED_SHARE = 0.6  # of the comparison, in the picture of the lab during training
DEADLINE_SECONDS = 600


async def _until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await pilot.pause(0.1)


async def _save(pilot: Pilot[None], name: str) -> None:
    await pilot.pause(1.0)  # the curves are read half a second after they are requested
    (HERE / f"{name}.svg").write_text(pilot.app.export_screenshot(title="initlab-tui"))


def _lab(path: Path, data_dir: Path | None, demo: Comparison | None) -> LabApp:
    with Store.open(path) as store:
        app = LabApp(store, data_dir, demo=demo, warm=False)
    app.theme = "textual-dark"
    return app


async def _training(path: Path, data_dir: Path | None) -> None:
    app = _lab(path, data_dir, COMPARISON)

    def share() -> float:
        runs = app.lab.runs
        return sum(run.step / run.total_steps for run in runs if run.total_steps) / max(1, len(runs))

    async with app.run_test(size=(120, 36)) as pilot:
        await _until(pilot, lambda: share() >= TRAINED_SHARE)
        await _save(pilot, "lab")
        await _until(pilot, lambda: bool(app.lab.runs) and not app.lab.active)
        await pilot.press("c")
        await _save(pilot, "chart")
        await pilot.press("escape", "question_mark")
        await _save(pilot, "help")
    app.close()


async def _layers(path: Path) -> None:
    app = _lab(path, None, DEEP)
    async with app.run_test(size=(120, 36)) as pilot:
        await _until(pilot, lambda: bool(app.lab.runs) and not app.lab.active)
        await pilot.press("2", "end", "l")
        await pilot.pause(1.0)
        await pilot.press("m", "m", "down", "down")
        await _save(pilot, "layers")
    app.close()


async def _small(path: Path) -> None:
    app = _lab(path, None, None)
    async with app.run_test(size=(80, 24)) as pilot:
        await _until(pilot, lambda: bool(app.lab.runs))
        await pilot.press("3")
        await _save(pilot, "lab-80x24")
    app.close()


def main() -> None:
    """Train the comparison and draw every picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, help="a folder with mnist.npz")
    data_dir = parser.parse_args().data_dir
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lab.db"
        asyncio.run(_training(path, data_dir))
        asyncio.run(_small(path))
        asyncio.run(_layers(Path(folder) / "deep.db"))


if __name__ == "__main__":
    main()
