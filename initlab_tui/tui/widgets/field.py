"""One line of a form: a label, what is edited, and below it the reason when it is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Label, Select, Static

from initlab_tui.reports.format import plain
from initlab_tui.tui.keys import FIELD, bindings


class SafeInput(Input):
    """A line of text in which nothing that is pasted or kept acts on the terminal."""

    @property
    def _value(self) -> Text:
        text = super()._value
        # One character for one, so that the cursor stays where it belongs.
        shown = "".join(character if plain(character) == character else "·" for character in text.plain)
        return Text(shown, no_wrap=True, overflow="ignore", end="")


class FieldInput(SafeInput):
    """A line of text in a form: takes letters for itself, so what works here has its own keys."""

    BINDINGS = bindings(FIELD)

    class Left(Message):
        """It is to be left for the list of initializers."""

    def __init__(self, value: str, *, placeholder: str = "", name: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, name=name, compact=True, select_on_focus=True)

    def action_leave(self) -> None:
        self.post_message(self.Left())


class Field(Vertical):
    """A named field of a form; subclasses say what is edited."""

    DEFAULT_CSS = """
    Field { height: auto; }
    Field > Horizontal { height: 1; }
    Field Label { width: 14; color: $text-muted; }
    Field Input, Field Select { width: 1fr; }
    Field Label.-focused { color: $text; text-style: bold; }
    Field .reason { color: $text-error; height: auto; display: none; }
    Field.-wrong .reason { display: block; }
    Field.-wrong Label { color: $text-error; }
    """

    class Changed(Message):
        """Something was typed or chosen."""

    def __init__(self, name: str, label: str) -> None:
        super().__init__(name=name)
        self._label = label
        self._reason = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Label(self._label, markup=False)
            yield from self.editor()

    def on_descendant_focus(self) -> None:
        self.query_one(Label).add_class("-focused")

    def on_descendant_blur(self) -> None:
        self.query_one(Label).remove_class("-focused")

    def editor(self) -> ComposeResult:
        """Compose the widget that edits the value."""
        raise NotImplementedError

    @property
    def value(self) -> str:
        """What it holds, as on the command line."""
        raise NotImplementedError

    def complain(self, reason: str) -> None:
        """Show why it is wrong; nothing for an empty reason."""
        if reason != self._reason:
            self._reason = reason
            self.set_class(bool(reason), "-wrong")
            text = Text(f"✗ {plain(reason)}" if reason else "")
            for shown in self.query(".reason").results(Static):
                shown.update(text)
                return
            if reason:
                self.mount(Static(text, classes="reason"))

    @property
    def is_wrong(self) -> bool:
        return bool(self._reason)


class TextField(Field):
    """A field that is typed."""

    def __init__(self, name: str, label: str, value: str, placeholder: str = "") -> None:
        super().__init__(name, label)
        self._value, self._placeholder = value, placeholder

    def editor(self) -> ComposeResult:
        yield FieldInput(self._value, placeholder=self._placeholder)

    @property
    def value(self) -> str:
        return self.query_one(Input).value.strip()

    def put(self, value: str) -> None:
        """Set what it holds."""
        self.query_one(Input).value = value

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())


class ChoiceField(Field):
    """A field with a few allowed values."""

    def __init__(self, name: str, label: str, choices: Sequence[tuple[str, str]], value: str) -> None:
        super().__init__(name, label)
        self._choices, self._value = choices, value

    def editor(self) -> ComposeResult:
        options = [(Text(plain(shown)), value) for value, shown in self._choices]
        yield Select(options, value=self._value, allow_blank=False, compact=True)

    @property
    def value(self) -> str:
        return str(self._select.value)

    @property
    def _select(self) -> Select[Any]:
        return self.query_one(Select)

    def put(self, value: str) -> None:
        """Choose one of its values."""
        self._select.value = value

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())
