"""The commands that show something: leaderboard, runs, show, initializers, networks, datasets, doctor."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from initlab_tui.cli import interrupts, options, output
from initlab_tui.cli.context import chosen_data_dir, chosen_store, open_store
from initlab_tui.domain.catalog.datasets import DATASETS
from initlab_tui.domain.catalog.initializers import CATALOGUE
from initlab_tui.domain.errors import InvalidInputError, unknown
from initlab_tui.store.database import Store

if TYPE_CHECKING:
    from initlab_tui.services.stored_runs import StoredRuns


def leaderboard(
    context: typer.Context,
    comparison: Annotated[
        int | None, options.option("--comparison", "ID", "Only the runs of this comparison (see show).", min=1)
    ] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Rank all trained runs, grouped over seeds, with one ranking for each dataset."""
    from initlab_tui.reports import documents, tables
    from initlab_tui.reports.format import unreadable_message

    found = _runs(context, store, comparison)
    if found.unreadable:
        output.hint(unreadable_message(found.unreadable))
    rows = documents.rows(found.runs)
    output.report(
        lambda width: tables.leaderboard_tables(rows, width),
        lambda: {
            "leaderboard": [documents.row_document(row) for row in rows],
            "unreadable": [documents.unreadable_document(run) for run in found.unreadable],
        },
        as_json,
    )


def runs(
    context: typer.Context,
    last: Annotated[int | None, options.option("--last", "N", "Only the last N runs.", min=1)] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """List the runs, oldest first; a wide terminal shows more columns."""
    from initlab_tui.reports import documents, tables

    stored = _runs(context, store)
    found, unreadable = stored.runs[-(last or 0) :], stored.unreadable[-(last or 0) :]
    if found or unreadable or as_json:
        output.report(
            lambda width: tables.runs_page(found, unreadable, width),
            lambda: {
                "runs": [documents.run_document(run) for run in found],
                "unreadable": [documents.unreadable_document(run) for run in unreadable],
            },
            as_json,
        )


def _runs(context: typer.Context, store: Path | None, comparison: int | None = None) -> StoredRuns:
    from initlab_tui.services import stored_runs

    path = chosen_store(context, store)
    opened = Store.open_existing(path)
    if opened is None:
        output.hint(f"no runs yet: there is no store {path}")
        return stored_runs.StoredRuns(())
    with opened:
        found = stored_runs.read_runs(opened, comparison)
    if found.held:
        from initlab_tui.reports.format import held_message

        output.hint(held_message(found.held))
    if not found.has_room:
        output.hint(f"the disk of {path} is full: workers wait, and continue when there is room")
    if found.without_worker:
        from initlab_tui.reports.format import without_worker_message

        output.hint(without_worker_message(found.without_worker))
    if found.waiting:
        waiting = "1 run is queued" if found.waiting == 1 else f"{found.waiting} runs are queued"
        output.hint(f"{waiting}, but no worker is running. Start workers with: initlab-tui resume --all")
    return found


def show(
    context: typer.Context,
    run_id: options.Id,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Show everything about one run."""
    from initlab_tui.reports import documents, run_page
    from initlab_tui.services import stored_runs

    with open_store(context, store) as opened:
        found = stored_runs.read_details(opened, run_id)
    output.report(lambda _: run_page.run_page(found), lambda: documents.show_document(found), as_json)


def initializers(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show all details of one initializer.")] = None,
    as_json: options.Json = False,
) -> None:
    """List the initializers, what they draw and when to use them."""
    if name is not None and name not in CATALOGUE:
        raise InvalidInputError.of("name", unknown("initializer", name, CATALOGUE))
    from initlab_tui.reports import catalogue, documents

    entries = [CATALOGUE[name]] if name else list(CATALOGUE.values())
    output.report(
        lambda _: catalogue.initializer_page(entries[0]) if name else catalogue.initializers_table(),
        lambda: {"initializers": [documents.entry_document(entry) for entry in entries]},
        as_json,
    )


def networks(
    text: Annotated[
        str | None,
        typer.Argument(metavar="NETWORK", help="Show one network and its layers, such as resnet:depth=20,norm=none."),
    ] = None,
    dataset: Annotated[
        str, options.option("--dataset", "NAME", "The dataset of the layers' shapes.", names=DATASETS)
    ] = "mnist",
    as_json: options.Json = False,
) -> None:
    """List the networks and when to use them, or the layers of one."""
    from initlab_tui.domain.spec import RunSpec
    from initlab_tui.reports import catalogue, documents

    if text is None:
        output.report(
            lambda _: catalogue.networks_table(), lambda: {"networks": documents.network_documents()}, as_json
        )
        return
    spec = RunSpec.checked(network=text, dataset=dataset)
    if dataset not in DATASETS:
        raise InvalidInputError.of("dataset", unknown("dataset", dataset, DATASETS))
    entry = DATASETS[dataset]
    graph = spec.graph(entry.shape, entry.classes)
    output.report(
        lambda _: catalogue.network_page(spec, graph, entry.name),
        lambda: {"network": spec.network_text, "dataset": entry.name, **documents.graph_document(graph)},
        as_json,
    )


def datasets(context: typer.Context, data_dir: options.DataDir = None, as_json: options.Json = False) -> None:
    """List the datasets, and which are on this machine."""
    from initlab_tui.data.locate import folders
    from initlab_tui.reports import doctor as report
    from initlab_tui.services import doctor as service

    folder = chosen_data_dir(context, data_dir)
    found = service.datasets(folder)
    output.report(
        lambda _: report.datasets_table(found, folders(folder)),
        lambda: {"datasets": report.dataset_documents(found)},
        as_json,
    )


def doctor(
    context: typer.Context,
    store: options.Store = None,
    data_dir: options.DataDir = None,
    repair: Annotated[
        bool,
        options.flag("--repair", "Save what can be read of a damaged store into a new file, and keep the damaged one."),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Check versions, devices, XLA, datasets, the store and the terminal; exits 1 if there is a problem."""
    from initlab_tui.reports import doctor as report
    from initlab_tui.services import doctor as service

    interrupts.raise_interrupt()
    repaired = service.repair_store(chosen_store(context, store)) if repair else None
    if repair:
        output.hint(report.repair_sentence(repaired))
    found = service.examine(chosen_store(context, store), chosen_data_dir(context, data_dir))
    console = Console()
    terminal = report.Terminal(
        columns=console.width,
        rows=console.height,
        is_terminal=console.is_terminal,
        colours=console.color_system or "none",
        term=os.environ.get("TERM", ""),
        no_color="NO_COLOR" in os.environ,
    )
    output.report(
        lambda _: report.doctor_page(found, terminal),
        lambda: (
            report.doctor_document(found, terminal) | ({"repair": report.repair_document(repaired)} if repair else {})
        ),
        as_json,
    )
    raise typer.Exit(1 if found.problems else 0)
