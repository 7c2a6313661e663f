"""Where custom code comes from: a module in the folder of the user, or an installed package.

Python's own modules are refused: their functions can do anything with the parameters in a recipe file, such as
`import:subprocess.Popen:args=...`. Code for a recipe needs consent, because a recipe may come from somebody else.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from initlab_tui.domain.errors import quoted, shown
from initlab_tui.domain.initializer import IMPORT_PREFIX, Initializer


@dataclass(frozen=True)
class CodeSource:
    """The top-level module that `import:` names: a file or folder in the import folder, or an installed package.

    `file` is None for an installed package.
    """

    module: str
    file: Path | None


@dataclass(frozen=True)
class Consent:
    """The custom code that a recipe may run: what is in the import folder, and installed packages by name."""

    folder: bool = False
    packages: frozenset[str] = frozenset()

    def covers(self, source: CodeSource) -> bool:
        return self.folder if source.file else source.module in self.packages


def top_module(initializer: Initializer) -> str:
    """Return the name of the top-level module of a custom initializer.

    Raises:
        ValueError: if it is one of Python's own modules.
    """
    top = initializer.name.removeprefix(IMPORT_PREFIX).partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        raise ValueError(
            f"{shown(initializer)}: {quoted(top)} is a module of Python; only your own modules and installed packages "
            "are imported"
        )
    return top


def locate(initializer: Initializer, folder: Path) -> CodeSource:
    """Find the module of a custom initializer as a worker will, without importing it.

    Raises:
        ValueError: if there is no such module, or it is one of Python's own.
    """
    top = top_module(initializer)
    importlib.invalidate_caches()  # the file may have been created just now
    installed = [path for path in sys.path if path and Path(path).resolve() != folder.resolve()]
    if importlib.machinery.PathFinder.find_spec(top, installed):
        return CodeSource(top, None)
    own = importlib.machinery.PathFinder.find_spec(top, [str(folder)])
    if own:
        places = [own.origin] if own.origin else list(own.submodule_search_locations or ())
        return CodeSource(top, Path(places[0]))
    if importlib.util.find_spec(top) is None:
        raise ValueError(
            f"{shown(initializer)}: no module named {quoted(top)} in {folder} or among the installed packages"
        )
    return CodeSource(top, None)  # found by a hook, as packages are that are installed for editing


def sources(initializers: Iterable[Initializer], folder: Path) -> dict[Initializer, CodeSource]:
    """Return where each custom initializer comes from; those of the catalogue are left out.

    Raises:
        ValueError: as `locate` does.
    """
    return {each: locate(each, folder) for each in initializers if each.is_imported}
