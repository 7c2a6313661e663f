"""The commands that steer what trains: stop, pause, resume."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from initlab_tui.cli import context as here
from initlab_tui.cli import options
from initlab_tui.domain.errors import InvalidInputError
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.execution import supervisor
from initlab_tui.store import queue
from initlab_tui.store.database import Store
from initlab_tui.store.runs import list_runs


def _open(context: typer.Context, here_store: Path | None, ids: list[int] | None, everything: bool) -> Store:
    if bool(ids) == everything:
        raise InvalidInputError.of("id", "give the numbers of runs, or --all, and not both")
    return here.open_store(context, here_store)


def _wanted(store: Store, ids: list[int] | None, statuses: Collection[RunStatus]) -> list[int]:
    supervisor.reap(store)
    return list(ids or ()) or [run.id for run in list_runs(store) if run.status in statuses]


def _tell(store: Store, wanted: Sequence[int], done: Collection[int], doing: str) -> None:
    statuses = {run.id: run.status for run in list_runs(store, wanted)}
    for run_id in wanted:
        print(f"run {run_id}: {doing if run_id in done else f'nothing to do, it is {statuses[run_id]}'}")
    if not wanted:
        here.hint("there is no such run")


def stop(
    context: typer.Context,
    ids: options.SomeIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is running, queued or paused.")] = False,
    store: options.Store = None,
) -> None:
    """End runs; what they recorded is kept."""
    with _open(context, store, ids, everything) as opened:
        wanted = _wanted(opened, ids, [status for status in RunStatus if status.is_active])
        _tell(opened, wanted, queue.stop(opened, wanted), "stopping")


def pause(
    context: typer.Context,
    ids: options.SomeIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is running or queued.")] = False,
    store: options.Store = None,
) -> None:
    """Set runs aside with a checkpoint; their worker goes on with others."""
    with _open(context, store, ids, everything) as opened:
        wanted = _wanted(opened, ids, (RunStatus.RUNNING, RunStatus.QUEUED))
        _tell(opened, wanted, queue.pause(opened, wanted), "pausing")


def resume(
    context: typer.Context,
    ids: options.SomeIds = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is paused, or queued without a worker.")] = False,
    store: options.Store = None,
) -> None:
    """Let paused runs go on from where they were, and see to a worker for queued ones that have none."""
    with _open(context, store, ids, everything) as opened:
        wanted = _wanted(opened, ids, (RunStatus.PAUSED, RunStatus.QUEUED))
        resumed = set(queue.resume(opened, wanted))
        orphans = [run.id for run in list_runs(opened, wanted) if run.status is RunStatus.QUEUED]
        for plan in supervisor.needed_again(opened, orphans):
            supervisor.start_workers(opened, plan)
            resumed |= set(orphans)
        _tell(opened, wanted, resumed, "resumed")
