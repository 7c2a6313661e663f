"""Dialogs: choose one of several answers, or enter a line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import plain
from initlab_tui.tui.widgets.field import SafeInput

T = TypeVar("T")


class Choose(ModalScreen[str | None]):
    """Choose one of several answers with the arrows and enter, or with a click; None if cancelled with esc."""

    DEFAULT_CSS = """
    Choose { align: center middle; }
    Choose > Vertical {
        width: 64; max-width: 95%; height: auto; max-height: 90%; padding: 0 1;
        border: round $primary; background: $surface;
    }
    Choose OptionList { height: auto; max-height: 14; border: none; padding: 0; background: $surface; }
    Choose.-roomy > Vertical { width: 96; }
    Choose.-roomy OptionList { text-wrap: nowrap; text-overflow: ellipsis; }
    Choose #hint { color: $text-muted; }
    """
    BINDINGS = [("escape,q", "dismiss(None)", "Cancel")]

    def __init__(self, question: str, answers: Sequence[tuple[str, str]], highlighted: str | None = None) -> None:
        super().__init__()
        self._question, self.answers = question, answers
        self._highlighted = next((n for n, (key, _) in enumerate(answers) if key == highlighted), 0)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(plain(self._question)))
            options = [Option(Text(plain(label)), id=key) for key, label in self.answers]
            yield OptionList(*options, compact=True)
            yield Static("enter Choose   esc Cancel", id="hint")

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = self._highlighted

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_id)


class Ask(ModalScreen[str | None]):
    """Enter a line of text; errors found by `check` are shown while typing. None if cancelled with esc."""

    DEFAULT_CSS = """
    Ask { align: center middle; }
    Ask > Vertical {
        width: 64; max-width: 95%; height: auto; padding: 0 1; border: round $primary; background: $surface;
    }
    Ask #problem { color: $text-error; height: auto; }
    Ask #hint { color: $text-muted; }
    """
    BINDINGS = [("escape", "dismiss(None)", "Cancel")]

    def __init__(self, question: str, value: str, check: Callable[[str], object], verb: str = "Save") -> None:
        super().__init__()
        self._question, self._value, self._check, self._verb = question, value, check, verb

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(plain(self._question)))
            yield SafeInput(self._value, compact=True, select_on_focus=False)
            yield Static("", id="problem")
            yield Static(f"enter {self._verb}   esc Cancel", id="hint")

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#problem", Static).update(Text(self._problem_with(event.value)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self._problem_with(event.value):
            self.dismiss(event.value)

    def _problem_with(self, value: str) -> str:
        try:
            self._check(value)
        except InvalidInputError as error:
            return plain(str(error))
        return ""
