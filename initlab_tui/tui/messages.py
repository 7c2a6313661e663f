"""How long messages stay on the screen, or wait until they are shown."""

from __future__ import annotations

TYPING_SECONDS = 0.7  # without a key, before what is being typed is called invalid
NOTICE_SECONDS = 15.0  # that a notification with something to read stays
