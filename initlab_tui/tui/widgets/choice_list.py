"""The list of choices that opens below a choice field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from initlab_tui.reports.escape import plain


class Choosable(Protocol):
    """What the list needs of its field."""

    choices: Sequence[tuple[str, str]]
    several: bool
    chosen: list[str]

    @property
    def value(self) -> str: ...

    def put(self, value: str) -> None: ...

    def toggle(self, value: str) -> None: ...

    def close(self) -> None: ...


class ChoiceList(OptionList, can_focus=False):
    """The choices of `field`, which keeps the focus and passes the keys on, so that they take effect in order."""

    DEFAULT_CSS = """
    ChoiceList {
        overlay: screen; constrain: none inside; offset: 0 1; width: 100%; height: auto; max-height: 14;
        border: round $border; padding: 0; border-subtitle-color: $text-muted;
        & > .option-list--option-highlighted {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
        &:ansi > .option-list--option-highlighted { text-style: bold underline; }
    }
    """

    def __init__(self, field: Choosable) -> None:
        super().__init__()
        self._field, self._before, self._ticked, self._typed = field, field.value, False, ""
        self._values = [value for value, _ in field.choices]
        self.add_options(Option(self._prompt(number)) for number in range(len(self._values)))
        chosen = field.chosen[:1]
        self.highlighted = self._values.index(chosen[0]) if chosen and chosen[0] in self._values else 0
        if field.several:
            self.border_subtitle = "space ticks"

    def _prompt(self, number: int) -> Text:
        value, shown = self._field.choices[number]
        mark = ("☒ " if value in self._field.chosen else "☐ ") if self._field.several else ""
        return Text(mark + plain(shown))

    def move(self, step: int) -> None:
        """Move the cursor up or down."""
        self._typed = ""
        self.highlighted = ((self.highlighted or 0) + step) % len(self._values)

    def choose(self) -> None:
        """Close the list with the value under the cursor chosen alone, or with what is ticked if anything was."""
        several_stay = self._ticked or len(self._field.chosen) > 1
        if not several_stay:
            self._field.put(self._values[self.highlighted or 0])
        self._field.close()

    def tick(self) -> None:
        """Tick the value under the cursor or take its tick away; where only one can be chosen, choose it."""
        if not self._field.several:
            self.choose()
            return
        self._ticked = True
        number = self.highlighted or 0
        self._field.toggle(self._values[number])
        self.replace_option_prompt_at_index(number, self._prompt(number))

    def cancel(self) -> None:
        """Close the list and restore what was chosen before."""
        self._field.put(self._before)
        self._field.close()

    def search(self, letter: str) -> None:
        """Move the cursor to the next choice that begins with the letters typed so far."""
        for typed in (self._typed + letter, letter):
            number = self._next_beginning_with(typed)
            if number is not None:
                self._typed, self.highlighted = typed, number
                return

    def _next_beginning_with(self, typed: str) -> int | None:
        count, here = len(self._values), self.highlighted or 0
        # A longer word may stay where it is; a letter typed again goes to the next choice.
        first = here if len(typed) > 1 else here + 1
        order = [number % count for number in range(first, first + count)]
        return next((n for n in order if self._field.choices[n][1].lower().startswith(typed.lower())), None)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take a click; enter is the field's key."""
        event.stop()
        self.tick()
