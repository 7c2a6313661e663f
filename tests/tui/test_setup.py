"""The form: errors are shown at their field, and a valid form describes the comparison that r would run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from textual.events import Key

from initlab_tui.domain.comparison import Comparison
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs
from initlab_tui.tui.widgets.choice_list import ChoiceList
from initlab_tui.tui.widgets.field import LABEL_WIDTH, FieldInput, FormField
from tests.database import execute
from tests.tui.conftest import (
    ESCAPED,
    HOSTILE,
    NARROW,
    VERY_WIDE,
    Bench,
    Lab,
    by_initializer,
    comparison,
    flat,
    open_lab,
)

pytestmark = pytest.mark.asyncio

DEFAULT = ["random_normal:stddev=0.05", "glorot_uniform", "he_normal"]


def described(lab: Lab) -> Comparison:
    """Return the comparison that r would run."""
    found = lab.app.lab.setup.comparison
    assert found is not None, lab.setup
    return found


def ticked(lab: Lab) -> list[str]:
    return [str(initializer) for initializer in described(lab).initializers]


async def test_a_new_store_opens_with_the_digits_comparison_ticked_and_predicted(store: Store) -> None:
    async with open_lab(store) as lab:
        assert ticked(lab) == DEFAULT
        assert described(lab).base.dataset == "digits"
        assert "9 runs: 3 initializers × 3 seeds, about" in lab.setup
        assert "▽ vanishing forward" in lab.setup
        assert "✓ healthy" in lab.setup
        assert "☒ random_normal σ=0.05" in lab.setup
        assert "Nothing is training yet. Press r" in lab.training
        assert "No results yet. Each initializer gets a line here" in lab.results


INVALID = {
    "network": ("rsnet", "unknown network 'rsnet': did you mean resnet?"),
    "hidden": ("256,x", "hidden must be whole numbers >= 1"),
    "batch_size": ("0", "batch_size must be a whole number >= 1"),
    "epochs": ("", "epochs must be a whole number >= 1"),
    "seeds": ("2 from x", "seed must be a whole number >= 0"),
}


async def test_an_error_is_shown_at_its_field_and_r_focuses_it(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        for name, (words, reason) in INVALID.items():
            await refuse_and_correct(lab, lab.field(name), words, reason)
            assert ticked(lab) == DEFAULT
        assert list_runs(store) == []
        for words in ("0", "1 0"):
            await lab.set_field("learning_rate", words)
            await lab.until(lambda: lab.setup.count("learning_rate must be a finite number > 0, got 0") == 1)
            assert lab.field("learning_rate").is_wrong


async def refuse_and_correct(lab: Lab, field: FormField, words: str, reason: str) -> None:
    right = field.value
    await lab.set_field(field.name or "", words)
    await lab.until(lambda: reason in flat(lab.text_of(field)))
    await lab.until(lambda: "not ready to run: see the marked field" in lab.setup)
    await lab.press("escape", "r")
    assert lab.app.focused is field
    assert "Not queued" in lab.notifications
    await lab.set_field(field.name or "", right)
    assert not field.is_wrong


async def test_every_field_of_the_form_is_part_of_the_comparison(store: Store) -> None:
    async with open_lab(store) as lab:
        await lab.choose("activation", "tanh")
        await lab.choose("optimizer", "momentum")
        await lab.choose("execution", "graph")
        typed = {"hidden": "8 9x3", "learning_rate": "1 .1", "batch_size": "64", "epochs": "2", "eval_every": "5"}
        for field, words in {**typed, "seeds": "2 from 7"}.items():
            await lab.set_field(field, words)
        await lab.until(lambda: "24 runs: 3 initializers × 4 settings × 2 seeds" in lab.setup)
        wanted = described(lab)
        base = wanted.base
        assert (wanted.hidden, wanted.learning_rates) == (((8,), (9, 9, 9)), (1.0, 0.1))
        assert (base.batch_size, base.epochs, wanted.seeds, base.eval_every) == (64, 2, (7, 8), 5)
        assert (base.activation, base.optimizer, base.execution) == ("tanh", "momentum", "graph")


async def test_initializers_are_ticked_edited_in_place_duplicated_and_removed(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        await lab.point_to("ones")
        await lab.press("up", "space", "space", "space")
        await lab.point_to("glorot_uniform")
        await lab.press("space")
        assert ticked(lab) == ["zeros", DEFAULT[0], DEFAULT[2]]
        await lab.point_to("random_normal")
        await lab.press("enter")
        assert "σ stddev" in lab.setup
        await lab.retype("-1")
        await lab.until(lambda: "✗ random_normal: stddev must be a number > 0" in lab.setup)
        await lab.press("ctrl+r")
        assert lab.initializers.has_focus
        assert lab.initializers.highlighted_child is lab.initializers.wrong
        await lab.press("enter")
        await lab.retype("1")
        await lab.press("enter", "enter")
        assert lab.initializers.has_focus
        await lab.until(lambda: "☒ random_normal σ=1.0" in lab.setup)
        await lab.press("plus")
        await lab.retype("0.5")
        await lab.press("enter", "enter")
        assert ticked(lab) == ["zeros", "random_normal:stddev=1.0", "random_normal:stddev=0.5", "he_normal"]
        await lab.press("minus")
        assert ticked(lab) == ["zeros", "random_normal:stddev=1.0", "he_normal"]
        await lab.press("minus")
        assert len(ticked(lab)) == 3


async def test_enter_goes_to_the_next_parameter_and_from_the_last_back_to_the_list(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        await lab.point_to("random_uniform")
        await lab.press("space", "enter")
        await lab.retype("-0.2")
        await lab.press("enter")
        await lab.retype("0.3")
        assert lab.initializers.has_focus_within
        await lab.press("enter", "plus")
        await lab.retype("-0.5")
        await lab.press("enter", "enter")
        assert lab.initializers.has_focus
        assert not lab.initializers.query("ParameterInput")
        first, second = "random_uniform:minval=-0.2,maxval=0.3", "random_uniform:minval=-0.5,maxval=0.3"
        assert ticked(lab) == [DEFAULT[0], first, second, DEFAULT[1], DEFAULT[2]]


async def test_a_number_is_marked_invalid_only_after_a_pause_in_typing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        shown: list[str] = []
        show = lab.app.lab.setup.show_summary

        def recorded(text: str, *, wrong: bool = False) -> None:
            shown.append(text)
            show(text, wrong=wrong)

        monkeypatch.setattr(lab.app.lab.setup, "show_summary", recorded)
        await lab.type_into("learning_rate", "0.05")
        await lab.point_to("random_normal")
        await lab.press("enter")
        await lab.retype("0.02")
        assert ticked(lab)[0] == "random_normal:stddev=0.02"
        assert "✗" not in "".join(shown)
        await lab.retype("0.")
        assert lab.app.lab.setup.comparison is None
        await lab.until(lambda: "✗ random_normal: stddev must be a number > 0" in lab.setup)
        await lab.until("not ready to run")


async def test_escape_restores_all_parameters_of_the_initializer(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        await lab.point_to("random_normal")
        before = ticked(lab)
        await lab.press("enter")
        await lab.retype("-9")
        await lab.press("escape", "space", "space")
        assert lab.initializers.has_focus
        assert ticked(lab) == before
        assert described(lab)
        await lab.press("enter")
        assert [box.value for box in lab.initializers.query(FieldInput)] == ["0.05", "0.0"]


async def test_the_same_initializer_twice_or_none_at_all_is_refused_with_the_reason(store: Store) -> None:
    async with open_lab(store) as lab:
        await lab.point_to("random_normal")
        await lab.press("plus", "escape")
        assert lab.app.lab.setup.comparison is None
        assert "initializers must differ from each other" in lab.setup
        await lab.press("minus")
        for name in ("random_normal", "glorot_uniform", "he_normal"):
            await lab.point_to(name)
            await lab.press("space")
        assert "tick at least one initializer" in lab.setup
        await lab.press("r")
        assert "Not queued" in lab.notifications
        assert lab.initializers.has_focus


async def test_a_custom_initializer_is_typed_and_stays_visible(store: Store) -> None:
    async with open_lab(store) as lab:
        await lab.press("end", "space")
        assert "import must have a value" in lab.setup
        await lab.press(*"a.B", "enter")
        assert "☒ your own: a.B" in lab.setup
        await lab.press("home", "space")
        assert ticked(lab) == ["zeros", *DEFAULT, "import:a.B"]


async def test_a_custom_dataset_has_a_field_for_its_path_and_shows_errors_there(store: Store, tmp_path: Path) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        assert not lab.field("file").display
        await lab.set_field("dataset", "npz:")
        box = lab.field("file")
        await lab.until(lambda: lab.app.focused is box)
        await lab.until(lambda: "✗ type the path of an npz file" in lab.setup)
        await lab.press("ctrl+r")
        assert "Not queued" in lab.notifications
        box.put(str(tmp_path / "gone.npz"))
        await lab.until(lambda: lab.app.lab.setup.comparison)
        await lab.press("ctrl+r")
        await lab.until(lambda: "gone.npz" in lab.notifications)
        assert lab.field("file").is_wrong
        assert list_runs(store) == []
        images = np.arange(8 * 4, dtype=np.uint8).reshape(8, 2, 2)
        labels = np.arange(8) % 2
        np.savez(tmp_path / "custom.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
        box.put(str(tmp_path / "custom.npz"))
        await lab.until(lambda: not lab.field("file").is_wrong)
        assert described(lab).base.dataset == f"npz:{tmp_path}/custom.npz"


async def test_the_form_opens_with_the_last_comparison(bench: Bench) -> None:
    wanted = Comparison(
        base=comparison("zeros", optimizer="sgd", l2=0.001, batch_size=16, activation="tanh").base,
        initializers=comparison("random_normal:stddev=2", "random_normal:stddev=0.5", "import:a.B").initializers,
        seeds=(4, 5),
        hidden=((8,), (4, 4, 4)),
        learning_rates=(0.1, 0.5),
    )
    bench.train(comparison("he_normal", seeds=1), by_initializer)
    bench.queue(wanted)
    async with open_lab(bench.store, VERY_WIDE) as lab:
        assert list(described(lab).runs()) == list(wanted.runs())
        assert "24 runs: 3 initializers × 4 settings × 2 seeds" in lab.setup
        await lab.until(lambda: "scaled from run 1" in lab.setup)


async def test_a_comparison_over_several_activations_and_optimizers_opens_with_all_of_them(bench: Bench) -> None:
    wanted = Comparison(
        base=comparison("zeros", hidden=(8,)).base,
        initializers=comparison("zeros", "he_normal").initializers,
        seeds=(0, 1),
        activations=("tanh", "relu"),
        optimizers=("sgd", "adam", "rmsprop"),
    )
    bench.queue(wanted)
    async with open_lab(bench.store) as lab:
        assert list(described(lab).runs()) == list(wanted.runs())
        assert "Activation tanh, relu ▼" in lab.setup
        assert "Optimizer sgd, adam, rmsprop ▼" in lab.setup
        assert "24 runs: 2 initializers × 6 settings × 2 seeds" in lab.setup
        assert "Predicted before training of 8 tanh, the first of 2 networks" in lab.setup


def ticked_values(lab: Lab) -> list[str]:
    """Return the ticked values in the open list of a field."""
    prompts = [str(option.prompt) for choices in lab.app.screen.query(ChoiceList) for option in choices.options]
    return [prompt.removeprefix("☒ ") for prompt in prompts if prompt.startswith("☒")]


async def test_several_values_are_ticked_in_the_list_of_a_field(store: Store) -> None:
    async with open_lab(store) as lab:
        lab.field("activation").focus()
        await lab.press("enter")
        assert ticked_values(lab) == ["relu"]
        await lab.press("down", "space", *"sof", "space")
        assert ticked_values(lab) == ["relu", "tanh", "softplus"]
        assert "Activation relu, tanh, softplus ▼" in lab.setup
        assert "27 runs: 3 initializers × 3 settings × 3 seeds" in lab.setup
        await lab.press("up", "enter")
        assert ticked_values(lab) == []
        assert described(lab).activations == ("relu", "tanh", "softplus")
        await lab.press("enter", "space", "escape")
        assert described(lab).activations == ("relu", "tanh", "softplus")
        # The arrows replace one value by another, but never several values by one.
        await lab.press("right")
        assert ticked_values(lab) == ["relu", "tanh", "softplus"]
        await lab.press("space", "down", "space", "enter", "right")
        assert described(lab).base.activation == "linear"


async def test_a_field_whose_values_do_not_fit_shows_how_many_there_are(store: Store) -> None:
    async with open_lab(store, NARROW) as lab:
        await lab.set_field("activation", "relu tanh sigmoid elu")
        assert "Activation 4: relu, tanh, s… ▼" in lab.setup


async def test_a_field_without_a_choice_is_invalid(store: Store) -> None:
    async with open_lab(store) as lab:
        lab.field("optimizer").focus()
        await lab.press("enter", "space", "enter")
        assert lab.app.lab.setup.comparison is None
        assert "✗ tick at least one optimizer" in lab.setup
        assert "not ready to run" in lab.setup


async def test_one_value_is_chosen_with_the_arrows_with_letters_or_with_the_mouse(store: Store) -> None:
    async with open_lab(store) as lab:
        field = lab.field("execution")
        field.focus()
        await lab.press("left", "right", "right", "right")
        assert described(lab).base.execution == "eager"
        await lab.press("enter", "up", "space")
        assert described(lab).base.execution == "graph"
        await lab.press("down", "x", "enter")
        assert described(lab).base.execution == "xla"
        await lab.press("enter", "e", "escape")
        assert described(lab).base.execution == "xla"
        await lab.click(field, (LABEL_WIDTH, 0))
        choices = field.query_one(ChoiceList)
        await lab.click(choices, (3, 3))
        assert described(lab).base.execution == "graph"
        assert not field.children
        await lab.click(field, (LABEL_WIDTH, 0))
        await lab.click(field, (LABEL_WIDTH, 0))
        assert not field.children


async def test_the_list_of_a_field_closes_when_the_focus_goes_elsewhere(store: Store) -> None:
    async with open_lab(store) as lab:
        lab.field("optimizer").focus()
        await lab.press("enter", "space", "down", "space", "tab")
        assert lab.field("learning_rate").has_focus
        assert not lab.field("optimizer").children
        assert described(lab).base.optimizer == "adamw"


async def test_keys_of_a_choice_take_effect_in_the_order_in_which_they_were_typed(store: Store) -> None:
    async with open_lab(store) as lab:
        lab.field("activation").focus()
        await lab.pilot.pause()
        for key in ("enter", *"tan", "enter", "tab", "enter", *"mom", "enter", "tab", *"1"):
            lab.app.post_message(Key(key, key if len(key) == 1 else None))
        chosen = ("activation", "tanh"), ("optimizer", "momentum"), ("learning_rate", "1")
        await lab.until(lambda: all(lab.field(name).value == value for name, value in chosen))


async def test_a_network_is_predicted_and_one_that_does_not_fit_the_data_is_refused(store: Store) -> None:
    async with open_lab(store, VERY_WIDE) as lab:
        await lab.set_field("network", "residual_mlp:blocks=4,norm=layer mlp")
        await lab.until(lambda: "18 runs: 3 initializers × 2 settings × 3 seeds" in lab.setup)
        assert "of residual_mlp:blocks=4,norm=layer relu, the first of 2 networks" in lab.setup
        assert [str(network) for network in described(lab).networks] == ["residual_mlp:blocks=4,norm=layer", "mlp"]
        await lab.set_field("network", "convnet:pool,pool,pool,pool")
        await lab.until(lambda: "a pooling of 2x2 does not fit into 1x1" in lab.setup)
        assert lab.field("network").is_wrong
        await lab.set_field("network", "resnet:depth=8,norm=none")
        await lab.until(lambda: "9 runs: 3 initializers × 3 seeds" in lab.setup)
        assert not lab.field("network").is_wrong


async def test_a_file_that_was_not_read_yet_has_no_prediction(store: Store, tmp_path: Path) -> None:
    async with open_lab(store) as lab:
        assert "Predicted before training" in lab.setup
        await lab.set_field("dataset", "npz:")
        await lab.set_field("file", str(tmp_path / "custom.npz"))
        await lab.until(lambda: "duration unknown until the file is read" in lab.setup)
        assert "Predicted before training" not in lab.setup


async def test_tab_visits_every_field_and_scrolls_it_into_view(store: Store) -> None:
    async with open_lab(store, NARROW) as lab:
        seen = []
        await lab.press("tab")
        while not lab.initializers.has_focus:
            field = next((field for field in lab.app.lab.setup.fields if field.has_focus), None)
            if field:
                seen.append(field.name)
                assert field.region.height and lab.app.lab.setup.region.contains_region(field.region), field.name
            await lab.press("tab")
        shown = [field.name for field in lab.app.lab.setup.fields if field.display]
        assert seen == shown


async def test_hostile_names_of_files_and_custom_initializers_are_escaped_in_the_form(bench: Bench) -> None:
    bench.queue(comparison(f"import:a.B:[red]={HOSTILE}", seeds=1, dataset=f"npz:/{HOSTILE}.npz"))
    execute(bench.store, "UPDATE runs SET status = 'stopped'")
    async with open_lab(bench.store, VERY_WIDE) as lab:
        assert f"☒ your own: a.B:[red]={ESCAPED}" in lab.setup
        await lab.press("r")
        await lab.until(lambda: f"import:a.B:[red]={ESCAPED}: no module named 'a' in" in lab.notifications)
        await lab.until(lambda: f"✗ import:a.B:[red]={ESCAPED}" in lab.setup)


async def test_a_hostile_file_name_is_escaped_in_its_error(bench: Bench) -> None:
    bench.queue(comparison("he_normal", seeds=1, dataset=f"npz:/{HOSTILE}.npz"))
    execute(bench.store, "UPDATE runs SET status = 'stopped'")
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.press("r")
        await lab.until(lambda: f"/{ESCAPED}.npz does not exist" in lab.notifications)
        await lab.until(lambda: f"✗ /{ESCAPED}.npz does not exist" in lab.setup)


async def test_a_field_shows_no_control_characters(bench: Bench) -> None:
    bench.queue(comparison(f"import:a.B:note={HOSTILE}", seeds=1, dataset=f"npz:/{HOSTILE}.npz"))
    async with open_lab(bench.store, VERY_WIDE) as lab:
        await lab.point_to("import:a.B")
        await lab.press("enter")
        assert lab.text_of("#setup").count("[red]x[/red]") >= 2
        assert lab.control_characters == set()


def styles_of(lab: Lab, text: str) -> set[str]:
    """Return the styles, without colours, in which a text is drawn."""
    strips = lab.app.screen._compositor.render_strips()
    found = [segment.style for strip in strips for segment in strip if text in segment.text and segment.style]
    names = ("bold", "underline", "reverse")
    return {name for style in found for name in names if getattr(style, name)}


async def test_the_cursor_is_visible_without_colours(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_lab(store) as lab:
        await lab.point_to("glorot_uniform")
        assert "underline" in styles_of(lab, "☒ glorot_uniform")
        assert "underline" not in styles_of(lab, "☒ he_normal")
        lab.field("activation").focus()
        await lab.pilot.pause()
        assert styles_of(lab, "Activation") == {"bold"}
        assert "reverse" in styles_of(lab, "relu")
        await lab.press("enter", "down")
        assert "underline" in styles_of(lab, "☐ tanh")
        assert "underline" not in styles_of(lab, "☒ relu")
