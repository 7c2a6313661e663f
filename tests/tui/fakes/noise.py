"""Writes megabytes with escape sequences to both streams, and fails."""

from __future__ import annotations

import os
import sys

from tests.tui.fakes.claiming import claim
from tests.tui.fakes.garbage import GARBAGE

if __name__ == "__main__":
    claim()
    for _ in range(1_000):
        os.write(1, GARBAGE.encode() * 8)
        os.write(2, bytes(range(256)) * 2)
    os.write(2, f"\n{GARBAGE} the last words\n".encode())
    sys.exit(1)
