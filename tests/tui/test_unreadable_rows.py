"""The lab with rows in the store that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.store.database import Store
from tests.database import execute
from tests.hostile_store import old_store, spread
from tests.tui.conftest import WIDE, Bench, by_initializer, comparison, flat, open_lab


@pytest.mark.asyncio
async def test_the_lab_opens_a_store_with_every_hostile_value_in_every_column(tmp_path: Path) -> None:
    old_store(tmp_path / "lab.db")
    spread(tmp_path / "lab.db")
    with Store.open(tmp_path / "lab.db") as store:
        async with open_lab(store, WIDE) as lab:
            await lab.until("runs cannot be read and are left out")
            snapshot = lab.app.lab.snapshot
            assert snapshot is not None and len(snapshot.unreadable) > 400 and snapshot.runs
            for pane in ("2", "3"):
                await lab.press(pane)
                for key in ("enter", "l", "c", "v"):
                    await lab.press(key)
                    await lab.pilot.pause()
                    assert not lab.control_characters
                    while not lab.is_at_home:
                        await lab.press("escape")
                await lab.press("end", "pageup", "home", "down")
            assert lab.app.is_running and not lab.app.return_code


@pytest.mark.asyncio
async def test_a_run_that_becomes_unreadable_is_shown_with_the_reason_and_the_others_stay(bench: Bench) -> None:
    ids = bench.train(comparison("he_normal", "glorot_uniform", seeds=2), by_initializer)
    async with open_lab(bench.store, WIDE) as lab:
        await lab.until(lambda: "he_normal" in lab.results and "glorot_uniform" in lab.results)
        assert "cannot be read" not in lab.results
        bench.set(ids[0], spec="[1")
        execute(bench.store, "INSERT INTO events (run_id, at, kind) VALUES (?, 0, 'damaged')", (ids[0],))
        await lab.until(lambda: "1 run cannot be read and is left out: 1." in lab.results)
        assert "he_normal" in lab.results and "glorot_uniform" in lab.results
        await lab.press("2")
        await lab.until(lambda: "unreadable" in lab.training and "run 1 cannot be read" in lab.training)
        assert "Invalid JSON" in lab.training
        await lab.press("enter")
        await lab.until("run 1: unreadable: ")
        assert "The run is left out of the leaderboard." in flat(lab.text)
