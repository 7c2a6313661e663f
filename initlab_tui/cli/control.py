"""The commands that control runs: stop, pause, resume, retry."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from initlab_tui.cli import options, output
from initlab_tui.cli.context import open_store
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.store.database import Store

if TYPE_CHECKING:
    from initlab_tui.services.control_runs import Controlled

AllowImport = Annotated[
    bool, options.flag("--allow-import", "Let runs that somebody else queued run custom initializers.")
]


def stop(
    context: typer.Context,
    ids: options.SomeIds = None,
    everything: Annotated[bool, options.flag("--all", "All runs that are running, queued or paused.")] = False,
    store: options.Store = None,
) -> None:
    """Stop runs; recorded metrics and a checkpoint are kept, so that they can be resumed."""
    from initlab_tui.execution.stop_escalation import KILL_SECONDS
    from initlab_tui.services import control_runs

    with _open(context, store, ids, everything) as opened:
        stopped = control_runs.stop(opened, ids)
        _print(stopped, "stopping")
        waited = control_runs.without_monitor(opened, stopped.changed)
        if waited:
            runs = ", ".join(map(str, waited))
            output.hint(
                f"Nothing monitors the worker of run {runs}: waiting for it to stop. A worker that is silent is ended "
                f"after {KILL_SECONDS:.0f} s."
            )
            control_runs.wait_until_stopped(opened, waited)


def pause(
    context: typer.Context,
    ids: options.SomeIds = None,
    everything: Annotated[bool, options.flag("--all", "All runs that are running or queued.")] = False,
    store: options.Store = None,
) -> None:
    """Pause runs with a checkpoint; their workers continue with other runs."""
    from initlab_tui.services import control_runs

    with _open(context, store, ids, everything) as opened:
        _print(control_runs.pause(opened, ids), "pausing")


def resume(
    context: typer.Context,
    ids: options.SomeIds = None,
    everything: Annotated[bool, options.flag("--all", "All runs that are paused, or queued without a worker.")] = False,
    allow_import: AllowImport = False,
    store: options.Store = None,
) -> None:
    """Continue paused, stopped, crashed and failed runs from their last checkpoint, or from step 0 if they have none.

    On a CPU the results are those of a run without an interruption. Missing workers for queued runs are started.
    """
    from initlab_tui.services import control_runs

    with _open(context, store, ids, everything) as opened:
        _print(control_runs.resume(opened, ids, allow_import=allow_import), "resumed")


def retry(
    context: typer.Context, ids: options.Ids, allow_import: AllowImport = False, store: options.Store = None
) -> None:
    """Queue failed, crashed or stopped runs again in their comparison, and print the ids of the new runs."""
    from initlab_tui.services import control_runs

    with open_store(context, store) as opened:
        queued = control_runs.retry(opened, ids, allow_import=allow_import)
    if queued:
        print("\n".join(map(str, queued)))
        output.hint("Training in the background. Show the runs with: initlab-tui runs")
    else:
        output.hint("nothing queued: a retry of these runs is still active")


def _open(context: typer.Context, store: Path | None, ids: list[int] | None, everything: bool) -> Store:
    if bool(ids) == everything:
        raise InvalidInputError.of("id", "give either the ids of runs or --all")
    return open_store(context, store)


def _print(done: Controlled, doing: str) -> None:
    lines = dict.fromkeys(done.changed, doing)
    lines |= {run_id: f"nothing to do, it is {status}" for run_id, status in done.unchanged.items()}
    for run_id in sorted(lines):
        print(f"run {run_id}: {lines[run_id]}")
    if not lines:
        output.hint("there are no such runs")
