"""Messages between the app and its screens."""

from __future__ import annotations

from textual.message import Message

from initlab_tui.tui.store_monitor import StoreSnapshot

TYPING_SECONDS = 0.7  # without a key, before what is being typed is called invalid
NOTICE_SECONDS = 15.0  # that a notification with something to read stays


class StoreChanged(Message):
    """The store was polled, and something changed."""

    def __init__(self, snapshot: StoreSnapshot) -> None:
        super().__init__()
        self.snapshot = snapshot
