"""Output of commands: data on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

import os
from collections.abc import Callable

from rich.console import Console, RenderableType

from initlab_tui.reports.escape import plain

WIDTH_WITHOUT_TERMINAL = 160


def stdout() -> Console:
    """Return a console on stdout, which is wide if stdout is not a terminal."""
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def stderr() -> Console:
    """Return a console on stderr."""
    return Console(stderr=True, highlight=False, emoji=False)


def print_text(sentence: str) -> None:
    """Print a sentence on stdout."""
    stdout().print(plain(sentence), markup=False)


def hint(text: str) -> None:
    """Print a note on stderr, which is neither data nor an error."""
    stderr().print(plain(text), style="dim", markup=False)


def error(message: str) -> None:
    """Print an error on stderr."""
    console = stderr()
    # In a terminal, errors wrap between words; elsewhere each error is one line.
    console.print(f"initlab-tui: {plain(message)}", markup=False, soft_wrap=not console.is_terminal)


Page = Callable[[int | None], RenderableType]  # makes a page for the width of a terminal, or None for no limit


def print_page(page: Page) -> None:
    """Print a page that fits the terminal; in a pipe or a file nothing is cut."""
    from initlab_tui.reports import tables  # this and similar imports take a while, and `--help` needs none of them

    console = stdout()
    if console.is_terminal:
        console.print(page(console.width))
        return
    made = page(None)
    console.width = max(console.width, tables.uncut_width(made))
    console.print(made)


def report(page: Page, document: Callable[[], object], as_json: bool) -> None:
    """Print a page, or the document as JSON."""
    if as_json:
        print_json(document())
    else:
        print_page(page)


def print_json(document: object) -> None:
    """Print a document as JSON on stdout."""
    from initlab_tui.reports import documents

    print(documents.dump(document))
