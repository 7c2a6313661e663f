"""Keys: bound as the tables say, no duplicates, none with Alt; footer, help and palette agree with the tables."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual.binding import Binding
from textual.command import CommandList
from textual.dom import DOMNode

from initlab_tui.store.database import Store
from initlab_tui.tui.app import LabApp
from initlab_tui.tui.keys import (
    CHART,
    CHOICE,
    CLAIMS,
    DETAILS,
    EVERYWHERE,
    FIELD,
    HELP,
    LAB,
    LAYERS,
    PARAMETER,
    RESULTS,
    SECTIONS,
    SETUP,
    TRAINING,
    Key,
)
from initlab_tui.tui.panes.results import Results
from initlab_tui.tui.panes.training import Training
from initlab_tui.tui.screens.chart import ChartScreen
from initlab_tui.tui.screens.claims import ClaimsScreen
from initlab_tui.tui.screens.details import DetailsScreen
from initlab_tui.tui.screens.help import HelpScreen
from initlab_tui.tui.screens.lab import LabScreen
from initlab_tui.tui.screens.layers import LayersScreen
from initlab_tui.tui.widgets.field import ChoiceField, FieldInput
from initlab_tui.tui.widgets.footer import KeyFooter
from initlab_tui.tui.widgets.initializer_list import InitializerList, ParameterInput
from initlab_tui.tui.widgets.table import Table
from tests.tui.conftest import VERY_WIDE, Bench, Lab, Result, by_initializer, comparison, flat, open_lab

OWNERS: list[tuple[type[DOMNode], Sequence[Key]]] = [
    (LabScreen, LAB),
    (LabApp, EVERYWHERE),
    (InitializerList, SETUP),
    (FieldInput, FIELD),
    (ChoiceField, CHOICE),
    (ParameterInput, PARAMETER),
    (Training, TRAINING),
    (Results, RESULTS),
    (ChartScreen, CHART),
    (DetailsScreen, DETAILS),
    (LayersScreen, LAYERS),
    (ClaimsScreen, CLAIMS),
    (HelpScreen, HELP),
]
OWNER_IDS = [owner.__name__ for owner, _ in OWNERS]


def bindings_of(owner: type[DOMNode]) -> dict[str, list[Binding]]:
    """Return the bindings of a widget or screen, including inherited ones."""
    bindings = owner._merged_bindings
    assert bindings is not None
    return bindings.key_to_bindings


def names(keys: Sequence[Key]) -> list[str]:
    return [name for key in keys for name in key.keys.split(",")]


def test_the_help_has_a_section_for_every_table_of_keys() -> None:
    assert [id(keys) for _, keys in SECTIONS] == [
        id(keys)
        for keys in (
            LAB,
            EVERYWHERE,
            SETUP,
            FIELD,
            CHOICE,
            PARAMETER,
            TRAINING,
            RESULTS,
            CHART,
            DETAILS,
            LAYERS,
            CLAIMS,
            HELP,
        )
    ]


@pytest.mark.parametrize(("owner", "keys"), OWNERS, ids=OWNER_IDS)
def test_every_key_is_bound_where_its_table_says(owner: type[DOMNode], keys: Sequence[Key]) -> None:
    for key in keys:
        for name in key.keys.split(","):
            assert [binding.action for binding in bindings_of(owner)[name]] == [key.action], name


def test_every_key_has_an_action_method() -> None:
    for owner, keys in OWNERS:
        for key in keys:
            target, _, action = key.action.partition("(")[0].rpartition(".")
            target_class = {"": owner, "app": LabApp, "screen": LabScreen}[target]
            assert hasattr(target_class, f"action_{action}"), key.action


@pytest.mark.parametrize("keys", [keys for _, keys in OWNERS], ids=OWNER_IDS)
def test_no_table_has_a_key_twice(keys: Sequence[Key]) -> None:
    assert len(names(keys)) == len(set(names(keys)))


@pytest.mark.parametrize("keys", [SETUP, TRAINING, RESULTS])
def test_no_pane_overrides_a_key_of_the_lab_or_of_its_table(keys: Sequence[Key]) -> None:
    others = {*names(LAB), *names(EVERYWHERE), *(bindings_of(Table) if keys is not SETUP else ())}
    assert not others & set(names(keys))


@pytest.mark.parametrize("keys", [keys for _, keys in OWNERS], ids=OWNER_IDS)
def test_every_key_has_a_label_and_a_help_text(keys: Sequence[Key]) -> None:
    assert all(key.label and key.help for key in keys)


@pytest.mark.parametrize("keys", [keys for _, keys in OWNERS], ids=OWNER_IDS)
def test_no_key_uses_alt(keys: Sequence[Key]) -> None:
    assert not [name for name in names(keys) if "alt" in name or "meta" in name]


def parts(keys: Sequence[Key]) -> list[str]:
    """Return the footer's texts for the keys of a table that it shows."""
    return [f"{key.shown.split(',')[0]} {key.label}" for key in keys if key.show]


@pytest.mark.asyncio
async def test_the_footer_shows_the_keys_that_work_in_the_focused_pane(bench: Bench) -> None:
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.until("q Quit")
        assert all(part in lab.footer for part in (*parts(SETUP), "r Run", "? Help"))
        assert not [part for part in ("p Pause", "x Stop", "c Chart") if part in lab.footer]
        await lab.press("p", "x", "X", "c")
        assert lab.is_at_home
        assert lab.notifications == ""
        bench.queue(comparison("zeros", seeds=1))
        await lab.until("p Pause")
        assert "x Stop" in lab.footer
        assert "c Chart" in lab.footer
        await lab.press("2")
        assert all(part in lab.footer for part in parts(TRAINING))
        await lab.press("3")
        assert "s Sort" in lab.footer
        assert "esc Clear" not in lab.footer
        await lab.press("space")
        assert "esc Clear" in lab.footer
        await lab.press("2", "X")
        await lab.until(lambda: "p Pause" not in lab.footer)
        await lab.until(lambda: "k Skip" not in lab.footer)


@pytest.mark.asyncio
async def test_a_text_field_takes_letters_and_the_footer_shows_the_remaining_keys(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        await lab.type_into("epochs", "rqxs1?")
        assert lab.is_at_home
        assert lab.field("epochs").value == "rqxs1?"
        assert "s Sort" not in lab.footer
        assert "^r Run" in lab.footer
        await lab.press("ctrl+r")
        assert "Not queued" in lab.notifications


async def pages(lab: Lab) -> str:
    """Return the text of all pages of a scrolling screen."""
    seen = [lab.text]
    while True:
        await lab.press("pagedown")
        if lab.text == seen[-1]:
            return flat("\n".join(seen))
        seen.append(lab.text)


@pytest.mark.asyncio
async def test_the_help_has_every_key_of_every_table(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        await lab.press("question_mark")
        assert isinstance(lab.app.screen, HelpScreen)
        text = await pages(lab)
        for title, keys in SECTIONS:
            assert title in text
            for key in keys:
                assert f"{key.shown} {' '.join(key.help.split()[:4])}" in text
        await lab.press("question_mark")
        assert lab.is_at_home
        await lab.press("f1")
        assert isinstance(lab.app.screen, HelpScreen)
        await lab.press("f1")
        assert lab.is_at_home


@pytest.mark.asyncio
async def test_the_palette_lists_every_action_and_runs_it(bench: Bench) -> None:
    bench.train(comparison("he_normal", "zeros"), by_initializer)
    async with open_lab(bench.store) as lab:
        await lab.press("ctrl+p")
        await lab.until(
            lambda: lab.app.screen.query(CommandList) and lab.app.screen.query_one(CommandList).option_count > 30
        )
        found = lab.app.screen.query_one(CommandList)
        titles = [str(option.prompt) for option in (found.get_option_at_index(n) for n in range(found.option_count))]
        for prefix, keys in (("", LAB), ("Setup: ", SETUP), ("Training: ", TRAINING), ("Results: ", RESULTS)):
            for key in keys:
                assert any(title.startswith(f"{prefix}{key.label}") for title in titles), key.label
        await lab.type("only last")
        await lab.until(lambda: found.option_count == 1)
        await lab.press("enter")
        await lab.until(lambda: "comparison 1 only" in lab.results)
        await lab.press("ctrl+p", *"theme")
        await lab.until(lambda: "Theme" in lab.text)
        await lab.press("enter")
        await lab.until("textual-light")
        await lab.type("textual-light")
        await lab.press("enter")
        await lab.until(lambda: lab.app.theme == "textual-light")
        assert "1 he_normal" in flat(lab.results)


@pytest.mark.asyncio
async def test_the_footer_drops_the_last_keys_in_a_narrow_terminal_but_keeps_help_and_quit(bench: Bench) -> None:
    bench.train(comparison("he_normal", "zeros"), by_initializer)
    bench.queue(comparison("ones"))
    async with open_lab(bench.store, (60, 24)) as lab:
        await lab.press("3", "space")
        await lab.until("? Help q Quit")
        assert lab.footer == "enter Open space Mark s Sort / Filter ? Help q Quit"
        await lab.pilot.resize_terminal(20, 24)
        await lab.until(lambda: lab.footer == "? Help q Quit")
        await lab.pilot.resize_terminal(8, 24)
        await lab.until(lambda: lab.footer == "? Help")


@pytest.mark.asyncio
async def test_clicking_a_key_in_the_footer_runs_its_action(bench: Bench) -> None:
    bench.train(comparison("he_normal", "zeros"), by_initializer)
    async with open_lab(bench.store) as lab:
        await lab.press("3")
        footer = lab.app.screen.query_one(KeyFooter)
        await lab.pilot.hover(footer, offset=(lab.footer.index("Mark"), 0))
        assert footer.tooltip == "mark for chart, delete, rename and tag"
        await lab.click(footer, (lab.footer.index("Mark"), 0))
        await lab.until("1 marked")
        await lab.click(footer, (lab.footer.index("? Help"), 0))
        assert isinstance(lab.app.screen, HelpScreen)
        await lab.press("escape")
        await lab.click(footer, (119, 0))
        assert lab.is_at_home


@pytest.mark.asyncio
async def test_the_footer_is_repainted_only_if_it_changes(store: Store) -> None:
    async with open_lab(store) as lab:
        await lab.type_into("epochs", "3")
        footer = lab.app.screen.query_one(KeyFooter)
        painted: list[object] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(footer, "refresh", lambda *_, **__: painted.append(1))
            await lab.press("tab", "tab")
            assert not painted
            await lab.press("escape")
            assert painted


@pytest.mark.asyncio
async def test_the_footer_is_updated_after_a_dialog_during_which_the_runs_ended(bench: Bench) -> None:
    bench.queue(comparison("zeros", seeds=1))
    run = bench.begin()
    async with open_lab(bench.store) as lab:
        await lab.press("3")
        await lab.until("x Stop")
        await lab.press("s")
        bench.end(run, Result())
        await lab.until(lambda: not lab.app.lab.active)
        await lab.press("escape")
        await lab.until(lambda: "x Stop" not in lab.footer and "s Sort" in lab.footer)
