"""The store and the data folder that a command uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store import paths
from initlab_tui.store.database import Store


@dataclass(frozen=True)
class GlobalOptions:
    """The options that are allowed before and after the command."""

    store: Path | None = None
    data_dir: Path | None = None


def chosen_store(context: typer.Context, store: Path | None) -> Path:
    """Return the path given after the command or before it, or the default."""
    given: GlobalOptions = context.obj
    return store or given.store or paths.default_store()


def chosen_data_dir(context: typer.Context, data_dir: Path | None) -> Path | None:
    """Return the folder of datasets given after the command or before it, if any.

    Raises:
        InvalidInputError: if it is not a readable folder.
    """
    given: GlobalOptions = context.obj
    folder = data_dir or given.data_dir
    try:
        is_usable = folder is None or folder.is_dir()
    except OSError:  # the name is too long, or access is denied
        is_usable = False
    if not is_usable:
        raise InvalidInputError.of("data_dir", f"--data-dir {folder} must be a folder that exists and can be read")
    return folder


def open_store(context: typer.Context, store: Path | None) -> Store:
    """Open the chosen store.

    Raises:
        InvalidInputError: if there is none, or it cannot be used.
    """
    path = chosen_store(context, store)
    opened = Store.open_existing(path)
    if opened is None:
        raise InvalidInputError.of("store", f"there is no store {path} yet, so there are no runs")
    return opened
