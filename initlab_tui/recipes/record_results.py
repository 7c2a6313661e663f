"""Writes the results of recipe runs into the packaged recipe files, from which `initlab-tui recipe table` prints them.

initlab-tui recipe run --all --json > all.json && python -m initlab_tui.recipes.record_results all.json
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from initlab_tui.domain.claims.recipe_toml import parse

FOLDER = Path(__file__).parent
HEADER = "[measured]"


def main() -> None:
    """Record the results in the JSON documents that are named on the command line."""
    for name in sys.argv[1:]:
        document = json.loads(Path(name).read_text(encoding="utf-8"))
        for result in document.get("recipes", [document]):
            record(FOLDER / f"{result['recipe']}.toml", result)


def record(path: Path, document: Mapping[str, Any]) -> None:
    """Replace the measured figures in the recipe file at `path` by those in the document of a run.

    Raises:
        InvalidInputError: if the results do not fit the recipe; nothing is written.
    """
    before = path.read_text(encoding="utf-8").partition(f"\n{HEADER}\n")[0].rstrip()
    text = "\n".join([before, "", *_measured(document), ""])
    parse(text, path.stem, str(path))
    path.write_text(text, encoding="utf-8")


def _measured(document: Mapping[str, Any]) -> Iterable[str]:
    run = document["comparisons"][0]["runs"][0]
    versions = " ".join(f"{name} {version}" for name, version in run["record"]["versions"].items())
    yield from (HEADER, f"date = {datetime.date.today()}", f'data = "{_data(document)}"', f'versions = "{versions}"')
    for claim in document["claims"]:
        observed = claim["observed"]
        yield from ("", "[[measured.figures]]", f'observed = "{observed["text"]}"', f"n = {observed['n']}")
        yield f'verdict = "{claim["verdict"]}"'


def _data(document: Mapping[str, Any]) -> str:
    """Return the dataset, such as `mnist [906f94]`, and the dataset that it replaces, if any."""
    row = document["comparisons"][0]["leaderboard"][0]
    instead = f" instead of {' '.join(document['instead_of'])}" if document["instead_of"] else ""
    return f"{' '.join(document['datasets'])} [{row['data_fingerprint'][:6]}]{instead}"


if __name__ == "__main__":
    main()
