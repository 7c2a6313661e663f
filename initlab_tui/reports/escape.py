"""Escapes text that comes from outside, so that it cannot control the terminal."""

from __future__ import annotations

import unicodedata

from rich.text import Text


def plain(text: str) -> str:
    """Return `text` with every control and formatting character escaped, so that it cannot control the terminal.

    Everything that comes from outside (names, files, stores, native code) is printed through this function. Line feeds
    are kept.
    """
    return "".join(
        character
        if character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else f"\\x{ord(character):02x}"
        if ord(character) < 256
        else f"\\u{ord(character):04x}"
        for character in text
    )


def cell(text: object, style: str = "") -> Text:
    """Return text for a Rich table, without interpreting markup or escape sequences."""
    return Text(plain(str(text)), style=style)
