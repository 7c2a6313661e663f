"""Messages between the app and its screens."""

from __future__ import annotations

from textual.message import Message

from initlab_tui.tui.store_monitor import StoreSnapshot


class StoreChanged(Message):
    """The store was polled, and something changed."""

    def __init__(self, snapshot: StoreSnapshot) -> None:
        super().__init__()
        self.snapshot = snapshot
