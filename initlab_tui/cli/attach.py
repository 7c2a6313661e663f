"""The command that follows runs which another command or lab has started: attach."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from initlab_tui.cli import interrupts, options, output
from initlab_tui.cli.context import open_store
from initlab_tui.store.database import Store

if TYPE_CHECKING:
    from initlab_tui.store.runs import Run


def attach(
    context: typer.Context,
    run_id: Annotated[
        int | None,
        typer.Argument(metavar="ID", help="Follow the comparison of this run (default: all active runs).", min=1),
    ] = None,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Follow runs that train in the background until they end; Ctrl+C leaves, and they keep running."""
    from initlab_tui.cli import follow_runs
    from initlab_tui.services import stored_runs

    interrupts.raise_interrupt()
    with open_store(context, store) as opened:
        ids = stored_runs.followable(opened, run_id)
        followed = follow_runs.attach(opened, ids, output.stderr())
        document = _document(opened, followed.runs, run_id) if as_json else None
    if document is not None:
        output.print_json(document)
    elif followed.runs:
        follow_runs.print_results(followed.runs, only_with_results=followed.interrupted)
    if followed.interrupted:
        remaining = sum(run.status.is_active for run in followed.runs)
        output.hint(f"{remaining} of {len(ids)} runs keep running; follow them again with: initlab-tui attach")
    elif not ids:
        output.hint("no run is queued or running")
    raise typer.Exit(follow_runs.exit_code(followed, divergence_is_expected=True))


def _document(store: Store, runs: Sequence[Run], run_id: int | None) -> dict[str, Any]:
    """Return the document of the comparison of a run, as `compare` prints it, or a list of those of all runs."""
    from initlab_tui.reports import documents
    from initlab_tui.store.comparisons import read_comparison

    ordered = sorted(runs, key=lambda run: (run.comparison_id or 0, run.id))
    made = []
    for number, group in itertools.groupby(ordered, lambda run: run.comparison_id):
        comparison = read_comparison(store, number) if number is not None else None
        made.append(documents.comparison_document(number, comparison, list(group)))
    return made[0] if run_id is not None else {"comparisons": made}
