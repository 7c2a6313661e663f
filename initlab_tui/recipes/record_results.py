"""Write what recipes came to into their own files, from where the README's table of claims is made.

initlab-tui recipe run --all --json > all.json && python -m initlab_tui.recipes.record_results all.json
initlab-tui recipe table
"""

from __future__ import annotations

import datetime
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from initlab_tui.recipes import loader

FOLDER = Path(__file__).parent
HEADER = "[measured]"


def main() -> None:
    for name in sys.argv[1:]:
        document = json.loads(Path(name).read_text())
        for one in document.get("recipes", [document]):
            _write(FOLDER / f"{one['recipe']}.toml", one)


def _write(path: Path, document: Mapping[str, Any]) -> None:
    before = path.read_text().partition(f"\n{HEADER}\n")[0].rstrip()
    path.write_text("\n".join([before, "", *_measured(document), ""]))
    loader.read(path.stem)  # it has to be readable still


def _measured(document: Mapping[str, Any]) -> Iterable[str]:
    run = document["comparisons"][0]["runs"][0]
    versions = " ".join(f"{name} {version}" for name, version in run["record"]["versions"].items())
    yield from (HEADER, f"date = {datetime.date.today()}", f'data = "{_data(document)}"', f'versions = "{versions}"')
    for claim in document["expectations"]:
        seen = claim["observed"]
        yield from ("", "[[measured.figures]]", f'observed = "{seen["text"]}"', f"n = {seen['n']}")
        yield f'verdict = "{claim["verdict"]}"'


def _data(document: Mapping[str, Any]) -> str:
    """`mnist [906f94]`, and what it stands in for."""
    row = document["comparisons"][0]["leaderboard"][0]
    instead = f" instead of {' '.join(document['instead_of'])}" if document["instead_of"] else ""
    return f"{' '.join(document['datasets'])} [{row['data_fingerprint'][:6]}]{instead}"


if __name__ == "__main__":
    main()
