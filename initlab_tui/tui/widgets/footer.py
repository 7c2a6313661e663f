"""The footer: the keys that work where the focus is.

Textual's own footer has a widget for each key and builds all of them again at every change of focus: about 60 ms,
where drawing this one takes less than 1 ms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

GAP = 1  # empty cells between two keys
# Actions that are shown in a terminal of any width, if they are bound.
ALWAYS = ("help", "quit", "close", "dismiss(None)")


@dataclass(frozen=True)
class FooterKey:
    """A key in the footer: the name that Textual gives it, how it is written, its label and its tooltip."""

    name: str
    shown: str
    label: str
    tooltip: str
    is_always_shown: bool

    @property
    def width(self) -> int:
        """The cells that it needs."""
        return cell_len(f"{self.shown} {self.label}")


class KeyFooter(Widget):
    """A line of keys and labels; a click on one presses the key."""

    DEFAULT_CSS = """
    KeyFooter {
        dock: bottom; width: 100%; height: 1; color: $footer-foreground; background: $footer-background;
        & > .key-footer--key { color: $footer-key-foreground; text-style: bold; }
        & > .key-footer--label { color: $footer-description-foreground; }
        & > .key-footer--hovered { color: $footer-key-foreground; background: $block-hover-background; }
    }
    """
    COMPONENT_CLASSES = {"key-footer--key", "key-footer--label", "key-footer--hovered"}
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[FooterKey, ...] = ()
        self._hovered: FooterKey | None = None

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)
        self.call_after_refresh(self._bindings_changed, self.screen)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        # While the terminal's window is inactive, no widget has the focus.
        if not self.app.app_focus:
            return
        keys = tuple(_active_keys(screen))
        if keys != self._keys:
            self._keys, self._hovered = keys, None
            self.refresh()

    def _places(self) -> Iterator[tuple[int, FooterKey]]:
        """Yield the left edge of each key that is shown."""
        left = 0
        for key in fitting(self._keys, self.size.width):
            yield left, key
            left += key.width + GAP

    def render_line(self, y: int) -> Strip:  # noqa: ARG002
        """Draw the keys that fit."""
        hovered = self.get_component_rich_style("key-footer--hovered")
        segments: list[Segment] = []
        for left, key in self._places():
            segments.append(Segment(" " * GAP if left else ""))
            of_key = [(key.shown, "key"), (f" {key.label}", "label")]
            for text, part in of_key:
                style = hovered if key is self._hovered else self.get_component_rich_style(f"key-footer--{part}")
                segments.append(Segment(text, style))
        strip = Strip(segments).apply_style(self.rich_style)
        return strip.adjust_cell_length(self.size.width, self.rich_style)

    def _key_at(self, x: int) -> FooterKey | None:
        return next((key for left, key in self._places() if left <= x < left + key.width), None)

    def _hover(self, key: FooterKey | None) -> None:
        if key is not self._hovered:
            self._hovered = key
            self.tooltip = key.tooltip if key else None
            self.refresh()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._hover(self._key_at(event.x))

    def on_leave(self) -> None:
        self._hover(None)

    def on_click(self, event: events.Click) -> None:
        key = self._key_at(event.x)
        if key:
            self.app.simulate_key(key.name)


def _active_keys(screen: Screen[object]) -> Iterator[FooterKey]:
    """Yield a key for each action that works now, in the order from the focused widget to the app."""
    actions = set()
    for _, binding, is_enabled, tooltip in screen.active_bindings.values():
        if binding.show and is_enabled and binding.action not in actions:
            actions.add(binding.action)
            shown = screen.app.get_key_display(binding)
            is_always_shown = binding.action.rpartition("app.")[2] in ALWAYS
            yield FooterKey(binding.key, shown, binding.description, tooltip, is_always_shown)


def fitting(keys: Sequence[FooterKey], width: int) -> list[FooterKey]:
    """Return the keys that fit into `width` cells; the last ones are left out first, help and quit at the very end."""
    shown = list(keys)
    while shown and sum(key.width + GAP for key in shown) - GAP > width:
        shown.remove(next((key for key in reversed(shown) if not key.is_always_shown), shown[-1]))
    return shown
