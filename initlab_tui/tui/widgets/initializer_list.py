"""The list of initializers to select, each with its parameters editable in place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.text import Text
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Label, ListItem, ListView, Static

from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.initializer import Initializer
from initlab_tui.reports.escape import plain
from initlab_tui.tui.keys import PARAMETER, SETUP, bindings
from initlab_tui.tui.messages import TYPING_SECONDS
from initlab_tui.tui.widgets.field import FieldInput
from initlab_tui.tui.widgets.initializer_line import OWN, PATH, Line, lines


class ParameterInput(FieldInput):
    """The text of one parameter, under its initializer in the list."""

    BINDINGS = bindings(PARAMETER)

    # These take effect before the next key is read, and so do not wait for a message.

    def action_next_parameter(self) -> None:
        """Go to the next parameter; from the last one, close the editor."""
        inputs = list(self._item.query(ParameterInput))
        following = inputs[inputs.index(self) + 1 :]
        if following:
            self.screen.set_focus(following[0])
        else:
            self._leave()

    def action_leave(self) -> None:
        """Restore the old values and close the editor."""
        self._item.restore()
        self._leave()

    @property
    def _item(self) -> InitializerItem:
        return self.query_ancestor(InitializerItem)

    def _leave(self) -> None:
        self.query_ancestor(InitializerList).leave()


class InitializerItem(ListItem):
    """A line of the list, with its parameters under it while they are edited. It draws its first line itself."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self.line = line
        self._before: Line | None = None
        self._is_restored = False
        self._complaint: Timer | None = None

    def on_mount(self) -> None:
        self.show()

    def render(self) -> Text:
        mark = "☒" if self.line.ticked else "☐"
        return Text(plain(f"{mark} {self.line.shown}"), "bold" if self.line.ticked else "")

    def show(self, *, is_typing: bool = False) -> None:
        """Show the current state of the line; with `is_typing`, why it is invalid only after a pause."""
        if self._complaint:
            self._complaint.stop()
        trouble = self.line.trouble if self.line.ticked or self.is_open else ""
        self.refresh()
        if trouble and is_typing and not self.has_class("-wrong"):
            self._complaint = self.set_timer(TYPING_SECONDS, self.show)
            return
        self.set_class(bool(trouble), "-wrong")
        text = Text(f"✗ {plain(trouble)}" if trouble else "")
        shown = self.query(".reason").results(Static)
        reason = next(iter(shown), None)
        if reason:
            reason.update(text)
        elif trouble:
            self.mount(Static(text, classes="reason"))
        self._leave_room()

    def _leave_room(self) -> None:
        """Keep the first line free above the parameters and the reason."""
        for number, child in enumerate(self.children):
            child.styles.margin = (0 if number else 1, 0, 0, 0)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, super().get_content_height(container, viewport, width))

    @property
    def is_open(self) -> bool:
        """Whether the parameters are being edited."""
        return self._before is not None

    async def open(self) -> None:
        """Show the parameters and focus the first."""
        if not self.is_open:
            self._before = replace(self.line, values=dict(self.line.values))
            self._is_restored = False
            editor = Vertical(*(_parameter(self.line.name, key, value) for key, value in self.line.values.items()))
            editor.add_class("editor")
            await self.mount(editor, before=0 if self.children else None)
            self._leave_room()
            self.call_after_refresh(self.scroll_visible, animate=False)
        self.screen.set_focus(self.query(ParameterInput).first())

    def restore(self) -> None:
        """Undo what was edited since the parameters were shown."""
        if self._before:
            self.line, self._is_restored = self._before, True
            self.post_message(InitializerList.Changed())

    async def close(self) -> None:
        """Hide the parameters."""
        self._before = None
        await self.query(".editor").remove()
        self.show()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Set the parameter to what was typed, unless the old values were restored since."""
        event.stop()
        if not event.input.name or self._is_restored:
            return
        self.line.values[event.input.name] = event.value.strip()
        if self.line.name == OWN and event.value:
            self.line.ticked = True  # naming an initializer selects it
        self.show(is_typing=True)
        self.post_message(InitializerList.Changed())


def _parameter(name: str, key: str, value: str) -> Horizontal:
    entry = CATALOGUE.get(name)
    parameter = entry.parameter(key) if entry else None
    shown = "σ stddev" if key == "stddev" else key
    box = ParameterInput(value, name=key, placeholder="package.module.Name" if name == OWN else "")
    if parameter:
        box.tooltip = f"{parameter.meaning}; {parameter.allowed}"
    return Horizontal(Label(f"    {shown}", markup=False), box)


class InitializerList(ListView, can_focus_children=True):
    """The initializers of the catalogue, each possibly several times, and custom ones."""

    DEFAULT_CSS = """
    InitializerList { height: 1fr; min-height: 4; background: transparent; scrollbar-size-vertical: 1; }
    InitializerItem { height: auto; background: transparent; text-wrap: nowrap; text-overflow: ellipsis; }
    InitializerList:ansi:focus > InitializerItem.-highlight { text-style: bold underline; }
    InitializerItem .reason { color: $text-error; height: auto; display: none; padding-left: 2; }
    InitializerItem.-wrong .reason { display: block; }
    InitializerItem Vertical { height: auto; }
    InitializerItem Horizontal { height: 1; }
    InitializerItem Label { width: 20; color: $text-muted; }
    InitializerItem Input { width: 1fr; }
    """
    BINDINGS = [
        *bindings(SETUP),
        Binding("home", "to_line(0)", show=False),
        Binding("end", "to_line(-1)", show=False),
    ]

    class Changed(Message):
        """The selection or a parameter was edited."""

    def __init__(self, lines: Iterable[Line], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(*(InitializerItem(line) for line in lines), id=id)

    def watch_has_focus(self, has_focus: bool) -> None:  # noqa: ARG002
        """Restyle the list and the line with the cursor; Textual restyles all lines, of which no other changes."""
        item = self._current
        changed = [self, *(item.walk_children(with_self=True) if item else ())]
        self.app.stylesheet.update_nodes(changed)

    @property
    def items(self) -> list[InitializerItem]:
        return list(self.query(InitializerItem))

    @property
    def ticked(self) -> list[Line]:
        """The selected lines, from the top."""
        return [item.line for item in self.items if item.line.ticked]

    @property
    def wrong(self) -> InitializerItem | None:
        """The first selected line that is invalid."""
        return next((item for item in self.items if item.line.ticked and item.line.trouble), None)

    @property
    def _current(self) -> InitializerItem | None:
        item = self.highlighted_child
        return item if isinstance(item, InitializerItem) else None

    def action_to_line(self, number: int) -> None:
        """Move the cursor to the first line, or with -1 to the last, as in the tables."""
        self.index = number % len(self.items)

    def action_tick(self) -> None:
        if self._current:
            self._tick(self._current)

    def _tick(self, item: InitializerItem) -> None:
        item.line.ticked = not item.line.ticked
        item.show()
        self.post_message(self.Changed())
        if item.line.ticked and item.line.name == OWN and not item.line.values[PATH]:
            self.run_worker(item.open())

    def on_list_view_selected(self, event: ListView.Selected) -> None:
        # By a click: enter edits the parameters.
        event.stop()
        if isinstance(event.item, InitializerItem):
            self._tick(event.item)

    async def action_edit(self) -> None:
        item = self._current
        if item is None:
            return
        if item.line.values:
            await item.open()
        else:
            self._tick(item)

    async def action_another(self) -> None:
        item = self._current
        if item and item.line.values:
            line = Line(item.line.name, dict(item.line.values), ticked=True, added=True)
            index = (self.index or 0) + 1
            await self.insert(index, [InitializerItem(line)])
            self.index = index
            await self.items[index].open()
            self.post_message(self.Changed())

    def action_fields(self) -> None:
        """Focus the first field of the form."""
        self.screen.query("TextField, ChoiceField").first().focus()

    async def action_remove(self) -> None:
        if self._current and self._current.line.added and self.index is not None:
            await self.pop(self.index)
            self.post_message(self.Changed())

    def leave(self) -> None:
        """Close the parameters and go back to the list."""
        for item in self.items:
            if item.is_open:
                self.run_worker(item.close())
        self.screen.set_focus(self)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Disable the list's keys while a parameter is edited."""
        return self.has_focus or action not in [key.action for key in SETUP]

    def on_resize(self) -> None:
        """Keep the line under the cursor visible."""
        if self._current:
            self.call_after_refresh(self._current.scroll_visible, animate=False)

    async def put(self, initializers: Sequence[Initializer]) -> None:
        """Select exactly these initializers, with their parameters."""
        await self.clear()
        await self.extend(InitializerItem(line) for line in lines(initializers))
        self.index = 0

    def point_to(self, item: InitializerItem) -> None:
        """Move the cursor to a line."""
        self.index = self.items.index(item)
        self.focus()
