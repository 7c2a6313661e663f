"""First on PYTHONPATH, replaces every worker process by the fake that INITLAB_TEST_WORKER names.

The process monitor starts `python -m initlab_tui.execution.worker STORE ID` as always; the product is unchanged.
"""

from __future__ import annotations

import os
import sys

FAKE = os.environ.get("INITLAB_TEST_WORKER")
if FAKE and sys.orig_argv[1:3] == ["-m", "initlab_tui.execution.worker"]:
    os.execv(  # noqa: S606 - no shell is needed
        sys.executable, [sys.executable, "-m", f"tests.tui.fakes.{FAKE}", *sys.orig_argv[3:]]
    )
