"""No command loads TensorFlow, checked in `sys.modules` of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import WarmStore, command_environment

PROBE = """
import json, sys
sys.argv = ["initlab-tui", *{arguments!r}]
try:
    from initlab_tui.cli.app import main
    code = main()
except SystemExit as end:
    code = end.code
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--help"], ["runs"], ["leaderboard"], ["initializers"], ["datasets"], ["doctor"], ["recipe"]),
        *(["run", "--initializer", "he_norml"], ["inspect", "--initializer", "zeros"]),
        ["compare", "--initializer", "zeros", "--seeds", "1", "--hidden", "8", "--workers", "1", "--threads", "1"],
    ],
)
def test_no_command_loads_tensorflow(tmp_path: Path, warm_store: WarmStore, arguments: list[str]) -> None:
    probe = PROBE.format(arguments=arguments)
    environment = command_environment(tmp_path)
    if arguments[0] == "compare":
        warm_store.open().close()
        environment["INITLAB_STORE"] = str(warm_store.path)
    result = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    code, modules = json.loads(result.stderr.splitlines()[-1])
    assert code == (2 if "he_norml" in arguments else 0), result.stderr
    loaded = {name.partition(".")[0] for name in modules}
    assert not loaded & {"tensorflow", "keras", "textual", "sklearn"}
    if arguments[0] in ("--help", "runs"):
        assert not loaded & {"numpy", "scipy"}
    if arguments[0] == "--help":
        assert not loaded & {"pydantic", "psutil"}
