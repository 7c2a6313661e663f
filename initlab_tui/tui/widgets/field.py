"""The fields of a form: a label, an editor, and under them the reason if the value is invalid."""

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
    """A text input that shows control characters as dots, so that none reaches the terminal."""

    @property
    def _value(self) -> Text:
        text = super()._value
        # One character for one, so that the cursor stays where it belongs.
        shown = "".join(character if plain(character) == character else "·" for character in text.plain)
        return Text(shown, no_wrap=True, overflow="ignore", end="")


class FieldInput(SafeInput):
    """A text input of a form, with the keys that work while typing."""

    BINDINGS = bindings(FIELD)

    class Left(Message):
        """The user wants to go back to the list of initializers."""

    def __init__(self, value: str, *, placeholder: str = "", name: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, name=name, compact=True, select_on_focus=True)

    def action_leave(self) -> None:
        self.post_message(self.Left())


class Field(Vertical):
    """A named field of a form; subclasses compose the editor."""

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
        """The value was edited."""

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
        """The value, written as on the command line."""
        raise NotImplementedError

    def complain(self, reason: str) -> None:
        """Show why the value is invalid, or nothing for an empty reason."""
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
    """A field with a text input."""

    def __init__(self, name: str, label: str, value: str, placeholder: str = "") -> None:
        super().__init__(name, label)
        self._value, self._placeholder = value, placeholder

    def editor(self) -> ComposeResult:
        yield FieldInput(self._value, placeholder=self._placeholder)

    @property
    def value(self) -> str:
        return self.query_one(Input).value.strip()

    def put(self, value: str) -> None:
        """Set the value."""
        self.query_one(Input).value = value

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())


class ChoiceField(Field):
    """A field with a list of choices."""

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
        """Set the chosen value."""
        self._select.value = value

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        self.post_message(self.Changed())
