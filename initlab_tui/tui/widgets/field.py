"""The fields of a form. Each is a single widget that draws its label, its value and what is wrong with the value.

One widget for each field, and no style rules that depend on the focus within a form: moving the focus then restyles
two widgets, whatever the length of the form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.containers import VerticalScroll
from textual.events import Click, Key
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input

from initlab_tui.reports.escape import plain
from initlab_tui.tui.keys import CHOICE, FIELD, bindings

if TYPE_CHECKING:
    from initlab_tui.tui.widgets.choice_list import ChoiceList

    _Mixin = Widget
else:
    _Mixin = object  # Textual reads styles and bindings of the first base class alone: that is the widget

LABEL_WIDTH = 14


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
        super().__init__(value, placeholder=placeholder, name=name, compact=True, select_on_focus=True, validate_on=())

    def action_leave(self) -> None:
        self.post_message(self.Left())


class Form(VerticalScroll):
    """A column of fields. It holds the styles of their labels, so that no change of focus computes them again."""

    COMPONENT_CLASSES = {"form--label", "form--label-focused", "form--chosen", "form--reason"}
    DEFAULT_CSS = """
    Form > .form--label { color: $text-muted; }
    Form > .form--label-focused { text-style: bold; }
    Form > .form--chosen { color: $input-selection-foreground; background: $input-selection-background; }
    Form > .form--reason { color: $text-error; }
    Form:ansi > .form--chosen { color: ansi_default; background: ansi_default; text-style: reverse; }
    """

    def style(self, part: str) -> Style:
        """Return the style of a field's part: `label`, `label-focused`, `chosen` or `reason`."""
        return self.get_component_rich_style(f"form--{part}")


class Field(_Mixin):
    """The part that all fields share: the label in the padding on the left, and the reason below the value."""

    class Edited(Message):
        """The value was edited."""

    _label = ""
    _reason = ""
    _reason_lines: Sequence[str] = ()

    def complain(self, reason: str) -> None:
        """Show why the value is invalid, or nothing for an empty reason."""
        if reason != self._reason:
            self._reason = reason
            self._wrap_reason()
            self.refresh()

    @property
    def is_wrong(self) -> bool:
        return bool(self._reason)

    def on_resize(self) -> None:
        self._wrap_reason()

    def _wrap_reason(self) -> None:
        text = Text(f"✗ {plain(self._reason)}" if self._reason else "")
        width = self.size.width + LABEL_WIDTH if self.size else len(text)
        self._reason_lines = [line.plain.rstrip() for line in text.wrap(self.app.console, width)] if text else []
        self.styles.height = 1 + len(self._reason_lines)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the widget, with its label and its reason where the value leaves room for them."""
        strips = super().render_lines(crop)
        return [self._line(y, strip, crop) for y, strip in zip(crop.line_range, strips, strict=True)]

    def _line(self, y: int, value: Strip, crop: Region) -> Strip:
        if y == 0:
            label = self._drawn(self._label, LABEL_WIDTH, self._label_style)
            left, right = crop.column_span
            rest = value.crop(max(0, LABEL_WIDTH - left))
            return Strip.join([label.crop(left, min(right, LABEL_WIDTH)), rest]) if left < LABEL_WIDTH else value
        text = self._reason_lines[y - 1] if y <= len(self._reason_lines) else ""
        return self._drawn(text, self.region.width, self._form.style("reason")).crop(*crop.column_span)

    def _drawn(self, text: str, width: int, style: Style) -> Strip:
        background = self.background_colors[0]
        strip = Strip([Segment(text, style)]).adjust_cell_length(width, style)
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, background)
        return strip

    @property
    def _label_style(self) -> Style:
        if self._reason:
            return self._form.style("reason") + Style(bold=self.has_focus)
        return self._form.style("label-focused" if self.has_focus else "label")

    @property
    def _form(self) -> Form:
        return self.query_ancestor(Form)


class TextField(Field, FieldInput):
    """A field with a text input."""

    DEFAULT_CSS = f"TextField.-textual-compact {{ width: 1fr; padding: 0 0 0 {LABEL_WIDTH}; }}"

    def __init__(self, name: str, label: str, value: str, placeholder: str = "") -> None:
        super().__init__(value, placeholder=placeholder, name=name)
        self._label = label

    def put(self, value: str) -> None:
        """Set the value."""
        self.value = value

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Edited())


class ChoiceField(Field, Widget, can_focus=True):
    """A field with a list of choices, of which one is chosen, or several where `several` is true."""

    DEFAULT_CSS = f"""
    ChoiceField {{
        width: 1fr; height: 1; padding: 0 1 0 {LABEL_WIDTH}; background: $surface; color: $foreground; pointer: pointer;
    }}
    ChoiceField:focus {{ background-tint: $foreground 5%; }}
    ChoiceField:ansi {{ background: ansi_default; color: ansi_default; }}
    """
    BINDINGS = bindings(CHOICE)
    ALLOW_SELECT = False

    def __init__(
        self, name: str, label: str, choices: Sequence[tuple[str, str]], value: str, *, several: bool = False
    ) -> None:
        super().__init__(name=name)
        self._label = label
        self.choices, self.several = choices, several
        self.chosen = value.split()
        self._list: ChoiceList | None = None

    @property
    def value(self) -> str:
        """The chosen values, separated by spaces."""
        return " ".join(self.chosen)

    def put(self, value: str) -> None:
        """Set the chosen values, which are separated by spaces."""
        if value.split() != self.chosen:
            self.chosen = value.split()
            self.refresh()
            self.post_message(self.Edited())

    def toggle(self, value: str) -> None:
        """Add a value to the chosen ones, or remove it from them."""
        rest = [chosen for chosen in self.chosen if chosen != value]
        self.put(" ".join(rest if value in self.chosen else [*rest, value]))

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        style = self.rich_style
        if y:
            return Strip.blank(width, style)
        text = self._shown(width - 2)
        chosen = style + self._form.style("chosen") if self.has_focus else style
        value = Strip([Segment(text, chosen)]).adjust_cell_length(width - 1, style)
        return Strip.join([value, Strip([Segment("▼", style + Style(dim=True))])])

    def _shown(self, width: int) -> str:
        """Return the chosen values, after their number if they do not fit in `width` cells."""
        shown = dict(self.choices)
        text = plain(", ".join(shown.get(value, value) for value in self.chosen))
        if len(text) <= width:
            return text
        return f"{len(self.chosen)}: {text}"[: width - 1] + "…"

    async def on_key(self, event: Key) -> None:
        """Handle keys in the order in which they were typed; bindings run before the letters typed ahead of them."""
        bound = self._bindings.key_to_bindings.get(event.key)
        if bound:
            await self.run_action(bound[0].action)
        elif self._list and event.is_printable and event.character:
            self._list.search(event.character)
        else:
            return
        event.stop()
        event.prevent_default()

    async def action_choose(self) -> None:
        """Choose the value under the cursor, or open the list."""
        if self._list:
            self._list.choose()
        else:
            await self._open()

    async def action_tick(self) -> None:
        """Tick the value under the cursor, or open the list."""
        if self._list:
            self._list.tick()
        else:
            await self._open()

    async def action_move(self, step: int) -> None:
        """Move the cursor in the list, or open the list."""
        if self._list:
            self._list.move(step)
        else:
            await self._open()

    async def action_change(self, step: int) -> None:
        """Choose the next or the previous value; if several are chosen, open the list so that none is lost."""
        values = [value for value, _ in self.choices]
        if self._list:
            return
        if len(self.chosen) != 1 or self.chosen[0] not in values:
            await self._open()
        else:
            place = values.index(self.chosen[0]) + step
            self.put(values[max(0, min(place, len(values) - 1))])

    def action_leave(self) -> None:
        """Close the list and restore what was chosen, or go back to the list of initializers."""
        if self._list:
            self._list.cancel()
        else:
            self.post_message(FieldInput.Left())

    async def _open(self) -> None:
        from initlab_tui.tui.widgets.choice_list import ChoiceList  # not needed for the first paint

        self._list = ChoiceList(self)
        await self.mount(self._list)

    def close(self) -> None:
        """Close the list of choices."""
        if self._list:
            self._list.remove()
            self._list = None

    def on_blur(self) -> None:
        self.close()

    async def on_click(self, event: Click) -> None:
        if event.widget is not self:
            return  # a click on the list
        if self._list:
            self.close()
        else:
            await self._open()

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002
        """Take letters for the search while the list is open."""
        return self._list is not None and character is not None and character.isprintable()


FormField = TextField | ChoiceField
