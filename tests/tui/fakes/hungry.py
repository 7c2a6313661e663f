"""Claims a run, then takes more and more memory, slowly enough for its monitor to see it."""

from __future__ import annotations

import os
import time

from tests.tui.fakes.claiming import claim

PIECE_BYTES, PIECE_SECONDS = 8_000_000, 0.2

if __name__ == "__main__":
    claim()
    pieces = []
    while True:
        pieces.append(os.urandom(PIECE_BYTES))
        time.sleep(PIECE_SECONDS)
