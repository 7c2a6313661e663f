"""The commands that look: leaderboard, runs, show, initializers, datasets, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from initlab_tui.cli import context as here
from initlab_tui.cli import options
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.errors import InvalidInputError, unknown
from initlab_tui.execution import supervisor
from initlab_tui.reports import catalogue, documents, run_page, tables
from initlab_tui.store.database import Store
from initlab_tui.store.runs import Run, find_run, list_comparison_runs, list_runs


def _runs(context: typer.Context, store: Path | None, comparison: int | None = None) -> list[Run]:
    path = here.store_path(context, store)
    opened = Store.open_existing(path)
    if opened is None:
        here.hint(f"no runs yet: there is no store {path}")
        return []
    with opened:
        supervisor.reap(opened)
        if comparison is None:
            found = list_runs(opened)
        else:
            found = list_comparison_runs(opened, comparison)
            if not found:
                raise InvalidInputError.of("comparison", f"no comparison {comparison} in {path}")
        waiting = [run.id for run in found if run.status == "queued"]
        if waiting and supervisor.needed_again(opened, waiting):
            here.hint(f"{len(waiting)} runs are queued and no worker is alive for them: initlab-tui resume --all")
    return found


def leaderboard(
    context: typer.Context,
    comparison: Annotated[
        int | None,
        typer.Option(
            "--comparison", metavar="ID", min=1, max=options.MAX_ID, help="Only this comparison's runs (see show)."
        ),
    ] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Rank all that was trained, grouped over seeds, one ranking for each dataset."""
    rows = documents.rows(_runs(context, store, comparison))
    here.report(
        lambda width: tables.leaderboard_tables(rows, width),
        lambda: {"leaderboard": [documents.row_document(row) for row in rows]},
        as_json,
    )


def runs(
    context: typer.Context,
    last: Annotated[
        int | None, typer.Option("--last", metavar="N", min=1, max=options.MAX_ID, help="Only the newest N.")
    ] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """List the runs, oldest first; wide terminals show more of each."""
    found = _runs(context, store)[-(last or 0) :]
    if found or as_json:
        here.report(
            lambda width: tables.runs_table(found, width),
            lambda: {"runs": [documents.run_document(run) for run in found]},
            as_json,
        )


def show(
    context: typer.Context,
    run_id: options.Id,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Show all that is known of one run."""
    with here.open_store(context, store) as opened:
        supervisor.reap(opened)
        found = find_run(opened, run_id)
        if found is None:
            raise InvalidInputError.of("id", f"no run {run_id} in {opened.path}: see initlab-tui runs")
        here.report(
            lambda _: run_page.run_page(opened, found),
            lambda: documents.show_document(opened, found),
            as_json,
        )


def initializers(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One in full, with its source.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the starts there are, what they draw and when to use them."""
    if name is not None and name not in CATALOGUE:
        raise InvalidInputError.of("name", unknown("initializer", name, CATALOGUE))
    entries = [CATALOGUE[name]] if name else list(CATALOGUE.values())
    here.report(
        lambda _: catalogue.initializer_page(entries[0]) if name else catalogue.initializers_table(),
        lambda: {"initializers": [documents.entry_document(entry) for entry in entries]},
        as_json,
    )


def datasets(context: typer.Context, data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """List the datasets, and which are at hand."""
    from initlab_tui.cli import doctor as examination

    folder = here.data_dir(context, data_dir)
    described = examination.datasets(folder)
    here.report(lambda _: examination.datasets_table(described, folder), lambda: {"datasets": described}, as_json)


def doctor(
    context: typer.Context,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    as_json: options.Json = False,
) -> None:
    """Check versions, devices, XLA, datasets, the store and the terminal; 1 when something is amiss."""
    from initlab_tui.cli import doctor as examination

    folder = here.data_dir(context, data_dir)
    found = examination.examine(here.store_path(context, store), folder, Console())
    here.report(lambda _: examination.page(found, folder), lambda: found, as_json)
    raise typer.Exit(1 if found["amiss"] else 0)
