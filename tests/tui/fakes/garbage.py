"""Writes escape sequences, markup and line breaks into every text of a run's record."""

from __future__ import annotations

from initlab_tui.domain.events import Started
from initlab_tui.domain.run_status import RunStatus
from initlab_tui.store import progress
from initlab_tui.store.database import Store
from initlab_tui.store.files import log_name
from initlab_tui.store.runs import Run
from tests.tui.fakes.claiming import claim

# Clear screen, colours, a title, a C1 control, a query that the terminal answers as if typed, mouse reporting, a
# device control string, a right-to-left override, a carriage return, and unclosed markup.
GARBAGE = (
    "[red]LOUD[/nothing] \x1b[2J\x1b[38;2;1;2;3m\x1b]0;owned\x07 \x9b31m "
    "\x1b[6n\x1b[?1016h\x1bPq\x1b\\ \u202eback\r\n[b"
)
STARTED = Started(
    step=0,
    total_steps=10,
    steps_per_epoch=2,
    weights=1,
    device=GARBAGE,
    execution=GARBAGE,
    note=GARBAGE,
    compile_seconds=0.0,
    fingerprint=GARBAGE,
    versions={GARBAGE: GARBAGE},
)


def write_garbage(store: Store, run: Run) -> None:
    """Record a failed run with garbage in every text."""
    progress.record_started(store, run, STARTED, {"note": GARBAGE, "device": GARBAGE, "versions": STARTED.versions})
    assert run.worker_id is not None
    store.files.create(log_name(run.worker_id), (GARBAGE * 3).encode())
    progress.release(store, run, RunStatus.FAILED, GARBAGE)


if __name__ == "__main__":
    while True:
        write_garbage(*claim())
