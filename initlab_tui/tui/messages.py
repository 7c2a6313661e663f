"""What the app tells itself."""

from __future__ import annotations

from textual.message import Message

from initlab_tui.tui.store_monitor import View


class Looked(Message):
    """The store was looked at, and something is new."""

    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
