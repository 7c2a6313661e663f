"""The setup pane: the form of a comparison, its validation, and what is predicted before training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from initlab_tui.data.locate import absolute
from initlab_tui.domain.catalog.datasets import NPZ_PREFIX
from initlab_tui.domain.comparison import Comparison
from initlab_tui.domain.errors import InvalidInputError, Problem
from initlab_tui.domain.initializer import Initializer
from initlab_tui.domain.spec import RunSpec
from initlab_tui.reports.diagnosis import forecast
from initlab_tui.reports.escape import plain
from initlab_tui.tui.messages import TYPING_SECONDS
from initlab_tui.tui.panes.setup_fields import SEVERAL, field_name, form_fields, form_texts, parse_form
from initlab_tui.tui.widgets.field import Field, FieldInput, Form, FormField
from initlab_tui.tui.widgets.initializer_line import lines
from initlab_tui.tui.widgets.initializer_list import InitializerList

FIRST = Comparison(
    base=RunSpec(hidden=(64,) * 10, batch_size=32, epochs=5),
    initializers=tuple(map(Initializer.parse, ("random_normal", "glorot_uniform", "he_normal"))),
    seeds=(0, 1, 2),
)
AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """The first content of the form: a comparison, and the device that it was trained on."""

    comparison: Comparison = FIRST
    device: str = AUTO


class Setup(Vertical):
    """The form of a comparison; `devices` are the devices that can be chosen."""

    DEFAULT_CSS = """
    Setup > Horizontal { height: 1fr; }
    Setup #fields { padding: 0 1; height: 1fr; scrollbar-size-vertical: 1; }
    Setup #choice { padding: 0 0 0 1; height: 1fr; }
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
        texts = form_texts(settings.comparison, settings.device)
        self._fields = {field.name or "": field for field in form_fields(texts, (AUTO, *devices))}
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
                yield InitializerList(lines(self._settings.comparison.initializers), id="initializers")
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
            return  # half of the form still belongs to the previous comparison
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
        texts = {name: field.value.strip() for name, field in self._fields.items()}
        # The problem of an initializer is shown under it.
        valid = [line.words for line in ticked if not line.trouble]
        problems = [Problem("initializer", line.trouble) for line in ticked if line.trouble]
        if not ticked:
            problems = [Problem("initializer", "tick at least one initializer")]
        problems += [Problem(name, f"tick at least one {name}") for name in SEVERAL if not texts[name]]
        try:
            comparison = parse_form(texts, self._dataset, valid or ["glorot_uniform"])
        except InvalidInputError as error:
            raise InvalidInputError([*error.problems, *problems]) from None
        if problems:
            raise InvalidInputError(problems)
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
            name = field_name(problem)
            name = "file" if name == "dataset" and self._field("file").display else name
            said.setdefault(name, problem.message)
        for name, field in self._fields.items():
            field.complain(said.pop(name, ""))
        if self._problems:
            self.clear_preview()
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
        initializers = self.query_one(InitializerList)
        if field:
            field.focus()
        elif initializers.wrong:
            initializers.point_to(initializers.wrong)
        else:
            initializers.focus()

    @work(exclusive=True, group="settings")
    async def put(self, settings: Settings) -> None:
        """Fill the form with a comparison."""
        texts = form_texts(settings.comparison, settings.device)
        self._is_filling = True
        with self.app.batch_update():
            for name, field in self._fields.items():
                field.put(texts[name])
            self._show_l2(settings)
            await self.query_one(InitializerList).put(settings.comparison.initializers)
        self._is_filling = False
        self.check()

    def clear_preview(self) -> None:
        """Show no prediction."""
        self.query_one("#preview", Static).update("")

    def show_preview(self, comparison: Comparison, shape: Sequence[int], classes: int, mean_square: float) -> None:
        """Show the prediction for each selected initializer; `mean_square` is E[x²] of the data."""
        graph = next(comparison.runs()).graph(shape, classes)
        shown = [forecast(initializer, graph, mean_square) for initializer in comparison.initializers]
        title = Text(f"Predicted before training{_first_of_several(comparison)}: σ, signal", style="dim")
        self.query_one("#preview", Static).update(Text("\n").join([title, *shown]))


def _first_of_several(comparison: Comparison) -> str:
    """Return which network the predictions are for, if the comparison has several."""
    networks = len(comparison.sized_networks()) * max(1, len(comparison.activations))
    first = next(comparison.runs())
    if networks > 1:
        return f" of {first.network_text}, the first of {networks} networks"
    return "" if first.network.is_mlp else f" of {first.network_text}"
