"""The setup pane: the form of a comparison, its validation, and what is predicted before training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from initlab_tui.data.locate import absolute
from initlab_tui.domain import parse_comparison
from initlab_tui.domain.catalog.choices import ACTIVATIONS, EXECUTIONS, OPTIMIZERS
from initlab_tui.domain.catalog.datasets import DATASETS, NPZ_PREFIX
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.fields import hidden_text
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from initlab_tui.reports.diagnosis import forecast
from initlab_tui.reports.escape import plain
from initlab_tui.tui.messages import TYPING_SECONDS
from initlab_tui.tui.widgets.field import ChoiceField, Field, FieldInput, Form, FormField, TextField
from initlab_tui.tui.widgets.initializer_list import InitializerList, lines

FIRST = Comparison(
    base=RunSpec(hidden=(64,) * 10, batch_size=32, epochs=5),
    initializers=tuple(map(Initializer.parse, ("random_normal", "glorot_uniform", "he_normal"))),
    seeds=(0, 1, 2),
)
AUTO = "auto"
# The form's field for the problems of fields that the form does not have.
FIELDS = {
    "seed": "seeds",
    "initializers": "initializer",
    "activations": "activation",
    "optimizers": "optimizer",
    "learning_rates": "learning_rate",
}


@dataclass(frozen=True)
class Settings:
    """The first content of the form: a comparison, and the device that it was trained on."""

    comparison: Comparison = FIRST
    device: str = AUTO


class Setup(Vertical):
    """The form of a comparison; `devices` are the devices that can be chosen."""

    DEFAULT_CSS = """
    Setup > Horizontal { height: 1fr; }
    Setup #fields, Setup #choice { padding: 0 1; height: 1fr; scrollbar-size-vertical: 1; }
    Setup #summary { height: auto; color: $text; padding: 0 1; }
    Setup #predictions { height: auto; max-height: 9; scrollbar-size-vertical: 1; }
    Setup #preview { height: auto; }
    Setup .title { text-style: bold; color: $text-muted; height: 1; }
    """

    class Edited(Message):
        """The form was edited; of several such messages in a row only the last is handled."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Setup.Edited)

    def __init__(self, settings: Settings, devices: Sequence[str]) -> None:
        super().__init__(id="setup")
        self.border_title = "1 Setup"
        self._settings = settings
        self._fields = {field.name or "": field for field in _fields(_words(settings), devices)}
        self._comparison: Comparison | None = None
        self._refused: tuple[Problem, ...] = ()
        self._problems: tuple[Problem, ...] = ()
        self._complaint: Timer | None = None
        self._is_complaining = False
        self._is_filling = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Form(id="fields", can_focus=False):
                yield from self._fields.values()
            with Vertical(id="choice"):
                yield Static("Initializers: space selects, + copies", classes="title")
                yield InitializerList(lines(self._settings.comparison.initializers), id="starts")
                with VerticalScroll(id="predictions", can_focus=False):
                    yield Static("", id="preview")
        yield Static("", id="summary")

    def on_mount(self) -> None:
        self._show_l2(self._settings)
        self.check()

    def _show_l2(self, settings: Settings) -> None:
        """Show the L2 field only if the comparison uses it; most do not."""
        self._field("l2").display = settings.comparison.base.l2 > 0

    @property
    def comparison(self) -> Comparison | None:
        """The form's comparison, or None while a field is invalid."""
        return self._comparison

    @property
    def device(self) -> str | None:
        chosen = self._field("device").value
        return None if chosen == AUTO else chosen

    @property
    def fields(self) -> Sequence[FormField]:
        return list(self._fields.values())

    def _field(self, name: str) -> FormField:
        return self._fields[name]

    @property
    def _dataset(self) -> str:
        chosen = self._field("dataset").value
        if chosen != NPZ_PREFIX:
            return chosen
        path = self._field("file").value.strip()
        if not path:
            raise InvalidInputError.of("dataset", "type the path of an npz file")
        return absolute(NPZ_PREFIX + path)

    @on(Field.Edited)
    @on(InitializerList.Changed)
    def _edited(self, event: Message) -> None:
        event.stop()
        if self._is_filling:
            return  # half of the form is still that of the comparison before
        self._refused = ()
        self.check(is_typing=isinstance(self.screen.focused, FieldInput))
        file = self._field("file")
        if file.display and not file.value and not file.has_focus:
            file.focus()

    @on(FieldInput.Left)
    def _left(self, event: Message) -> None:
        event.stop()
        self.query_one(InitializerList).leave()

    def check(self, *, is_typing: bool = False) -> None:
        """Validate the form: show the problem of each field, or the comparison's summary.

        With `is_typing`, a new problem is shown only after a pause: "0." may become "0.01".
        """
        self._field("file").display = self._field("dataset").value == NPZ_PREFIX
        problems: Sequence[Problem] = ()
        try:
            self._comparison = self._read()
        except InvalidInputError as error:
            self._comparison, problems = None, error.problems
        self._problems = (*problems, *self._refused)
        if self._complaint:
            self._complaint.stop()
        if self._problems and is_typing and not self._is_complaining:
            self._complaint = self.set_timer(TYPING_SECONDS, self._complain)
        else:
            self._complain()
        self.post_message(self.Edited())

    def _read(self) -> Comparison:
        ticked = self.query_one(InitializerList).ticked
        value = {name: field.value.strip() for name, field in self._fields.items()}
        count, _, first = value["seeds"].partition(" from ")
        # The problem of an initializer is shown under it.
        sound = [line.words for line in ticked if not line.trouble]
        unsound = [Problem("initializer", line.trouble) for line in ticked if line.trouble]
        if not ticked:
            unsound = [Problem("initializer", "tick at least one initializer")]
        try:
            comparison = parse_comparison.comparison(
                initializers=sound or ["glorot_uniform"],
                hidden=value["hidden"].split() or [""],
                activations=value["activation"].split() or [""],
                optimizers=value["optimizer"].split() or [""],
                learning_rates=value["learning_rate"].split() or [""],
                seed=first.strip() or "0",
                seeds=count.strip(),
                dataset=self._dataset,
                l2=value["l2"],
                batch_size=value["batch_size"],
                epochs=value["epochs"],
                eval_every=value["eval_every"],
                execution=value["execution"],
            )
        except InvalidInputError as error:
            raise InvalidInputError([*error.problems, *unsound]) from None
        if unsound:
            raise InvalidInputError(unsound)
        return comparison

    @property
    def is_refused(self) -> bool:
        """Whether the comparison was refused, for reasons that are on the screen, and has not been edited since."""
        return bool(self._refused)

    def refuse(self, problems: Sequence[Problem]) -> None:
        """Show why the comparison cannot be queued, for problems that the form alone cannot find."""
        self._refused = tuple(problems)
        self.check()

    def _complain(self) -> None:
        self._is_complaining = bool(self._problems)
        said: dict[str, str] = {}
        for problem in self._problems:
            name = FIELDS.get(problem.field, problem.field)
            name = "file" if name == "dataset" and self._field("file").display else name
            said.setdefault(name, problem.message)
        for name, field in self._fields.items():
            field.complain(said.pop(name, ""))
        if self._problems:
            self.query_one("#preview", Static).update("")
            others = [
                message for name, message in said.items() if name != "initializer" or not self._has_wrong_initializer
            ]
            self.show_summary(f"✗ {(others or ['not ready to run: see the marked field'])[0]}", wrong=True)

    @property
    def _has_wrong_initializer(self) -> bool:
        return self.query_one(InitializerList).wrong is not None

    def show_summary(self, text: str, *, wrong: bool = False) -> None:
        """Show the line under the form: what would run, or why it cannot."""
        summary = self.query_one("#summary", Static)
        summary.update(Text(plain(text), style="bold red" if wrong else ""))

    def focus_first_wrong(self) -> None:
        """Focus the first field or initializer that is invalid."""
        self._complain()
        field = next((field for field in self.fields if field.is_wrong), None)
        starts = self.query_one(InitializerList)
        if field:
            field.focus()
        elif starts.wrong:
            starts.point_to(starts.wrong)
        else:
            starts.focus()

    @work(exclusive=True, group="settings")
    async def put(self, settings: Settings) -> None:
        """Fill the form with a comparison."""
        words = _words(settings)
        self._is_filling = True
        with self.app.batch_update():
            for name, field in self._fields.items():
                field.put(words[name])
            self._show_l2(settings)
            await self.query_one(InitializerList).put(settings.comparison.initializers)
        self._is_filling = False
        self.check()

    def show_preview(self, comparison: Comparison, shape: Sequence[int], classes: int, mean_square: float) -> None:
        """Show the prediction for each selected initializer; `mean_square` is E[x²] of the data."""
        kernels = comparison.base.layer_shapes(shape, classes)
        activation = (comparison.activations or (comparison.base.activation,))[0]
        shown = [forecast(initializer, kernels, activation, mean_square) for initializer in comparison.initializers]
        title = Text(f"Predicted before training{_first_of_several(comparison)}: σ, signal", style="dim")
        self.query_one("#preview", Static).update(Text("\n").join([title, *shown]))


def _first_of_several(comparison: Comparison) -> str:
    """Return which network the predictions are for, if the comparison has several."""
    networks = max(1, len(comparison.hidden)) * max(1, len(comparison.activations))
    if networks == 1:
        return ""
    activation = f" {comparison.activations[0]}" if len(comparison.activations) > 1 else ""
    return f" of {hidden_text(comparison.base.hidden)}{activation}, the first of {networks} networks"


def _fields(words: Mapping[str, str], devices: Sequence[str]) -> Iterator[FormField]:
    """Make the fields of the form with the values in `words`."""
    datasets = [*((name, name) for name in DATASETS), (NPZ_PREFIX, "your own npz file")]
    yield ChoiceField("dataset", "Dataset", datasets, words["dataset"])
    yield TextField("file", "File", words["file"], "path/to.npz")
    yield TextField("hidden", "Hidden widths", words["hidden"], "256,256 or 100x30")
    yield ChoiceField("activation", "Activation", _plain(ACTIVATIONS), words["activation"], several=True)
    yield ChoiceField("optimizer", "Optimizer", _plain(OPTIMIZERS), words["optimizer"], several=True)
    yield TextField("learning_rate", "Learning rate", words["learning_rate"])
    yield TextField("l2", "L2", words["l2"], "0: none")
    yield TextField("batch_size", "Batch size", words["batch_size"])
    yield TextField("epochs", "Epochs", words["epochs"])
    yield TextField("seeds", "Seeds", words["seeds"], "3, or 3 from 10")
    yield TextField("eval_every", "Test every", words["eval_every"], "steps; 0: each epoch")
    yield ChoiceField("execution", "Execution", _plain(EXECUTIONS), words["execution"])
    yield ChoiceField("device", "Device", _plain((AUTO, *devices)), words["device"])


def _plain(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def _digits(value: float) -> str:
    """Return the shortest text that reads back as the same number."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _words(settings: Settings) -> dict[str, str]:
    """Return the texts of the form's fields for a comparison."""
    comparison, base = settings.comparison, settings.comparison.base
    first, count = comparison.seeds[0], len(comparison.seeds)
    own = base.dataset.startswith(NPZ_PREFIX)
    return {
        "dataset": NPZ_PREFIX if own else base.dataset,
        "file": base.dataset.removeprefix(NPZ_PREFIX) if own else "",
        "hidden": " ".join(hidden_text(widths) for widths in comparison.hidden or (base.hidden,)),
        "activation": " ".join(comparison.activations or (base.activation,)),
        "optimizer": " ".join(comparison.optimizers or (base.optimizer,)),
        "learning_rate": " ".join(map(_digits, comparison.learning_rates or (base.learning_rate,))),
        "l2": _digits(base.l2),
        "batch_size": str(base.batch_size),
        "epochs": str(base.epochs),
        "seeds": f"{count} from {first}" if first else str(count),
        "eval_every": str(base.eval_every),
        "execution": base.execution,
        "device": settings.device,
    }
