"""What the app tells itself."""

from __future__ import annotations

from textual.message import Message

from initlab_tui.tui.store_monitor import StoreSnapshot


class StoreChanged(Message):
    """The store was looked at, and something is new."""

    def __init__(self, view: StoreSnapshot) -> None:
        super().__init__()
        self.view = view
