"""The common parts of all commands: the chosen store and data folder, and output to stdout and stderr."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console, RenderableType

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.reports.escape import plain
from initlab_tui.store import paths
from initlab_tui.store.database import Store

WIDTH_WITHOUT_TERMINAL = 160


@dataclass(frozen=True)
class Places:
    """The options that are allowed before and after the command."""

    store: Path | None = None
    data_dir: Path | None = None


def store_path(context: typer.Context, here: Path | None) -> Path:
    """Return the path given after the command or before it, or the default."""
    places: Places = context.obj
    return here or places.store or paths.default_store()


def data_dir(context: typer.Context, here: Path | None) -> Path | None:
    """Return the folder of datasets given after the command or before it, if any.

    Raises:
        InvalidInputError: if it is not a readable folder.
    """
    places: Places = context.obj
    folder = here or places.data_dir
    try:
        is_usable = folder is None or folder.is_dir()
    except OSError:  # the name is too long, or access is denied
        is_usable = False
    if not is_usable:
        raise InvalidInputError.of("data_dir", f"--data-dir {folder} must be a folder that exists and can be read")
    return folder


def open_store(context: typer.Context, here: Path | None) -> Store:
    """Open the chosen store.

    Raises:
        InvalidInputError: if there is none, or it cannot be used.
    """
    path = store_path(context, here)
    store = Store.open_existing(path)
    if store is None:
        raise InvalidInputError.of("store", f"there is no store {path} yet, so there are no runs")
    return store


def out() -> Console:
    """Return a console on stdout, which is wide if stdout is not a terminal."""
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH_WITHOUT_TERMINAL
    return console


def err() -> Console:
    """Return a console on stderr."""
    return Console(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    """Print a sentence on stdout."""
    out().print(plain(text), markup=False)


def hint(text: str) -> None:
    """Print a note on stderr, which is neither data nor an error."""
    err().print(plain(text), style="dim", markup=False)


def complain(message: str) -> None:
    """Print an error on stderr."""
    console = err()
    # In a terminal, errors wrap between words; elsewhere each error is one line.
    console.print(f"initlab-tui: {plain(message)}", markup=False, soft_wrap=not console.is_terminal)


Page = Callable[[int | None], RenderableType]  # makes a page for the width of a terminal, or None for no limit


def print_page(page: Page) -> None:
    """Print a page that fits the terminal; in a pipe or a file nothing is cut."""
    from initlab_tui.reports import tables  # this and similar imports take a while, and `--help` needs none of them

    console = out()
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
