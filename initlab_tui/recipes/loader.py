"""Loads packaged recipes and custom recipe files."""

from __future__ import annotations

import stat
from importlib import resources
from pathlib import Path

from initlab_tui.data.locate import absolute
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.claims.recipe_toml import parse
from initlab_tui.domain.errors import InvalidInputError, unknown

SUFFIX = ".toml"
MAX_BYTES = 1_000_000  # recipes have a few thousand
# In the order of a course.
PACKAGED = (
    "lecture-xavier",
    "lecture-xavier-sigma",
    "he-vs-xavier-deep",
    "zero-symmetry",
    "sigmoid-sqrt-n",
    "ladder",
    "deep-tanh",
    "glorot-2010",
    "orthogonal-depth",
)


def packaged() -> list[Recipe]:
    """Return every packaged recipe."""
    return [read(name) for name in PACKAGED]


def is_file(name_or_path: str) -> bool:
    """Return whether this is the path of a recipe file, and not the name of a packaged recipe."""
    return name_or_path.endswith(SUFFIX)


def read(name_or_path: str) -> Recipe:
    """Return the packaged recipe of that name, or the recipe in a file that ends in `.toml`.

    Raises:
        InvalidInputError: if there is none, or naming every mistake in it.
    """
    if is_file(name_or_path):
        return parse(text(name_or_path), Path(name_or_path).stem, name_or_path).with_datasets(absolute)
    return parse(text(name_or_path), name_or_path, f"{name_or_path}{SUFFIX}")


def text(name_or_path: str) -> str:
    """Return the TOML of a recipe.

    Raises:
        InvalidInputError: if there is none.
    """
    if is_file(name_or_path):
        return _file_text(Path(name_or_path))
    if name_or_path not in PACKAGED:
        message = f"{unknown('recipe', name_or_path, PACKAGED)}, or a path that ends in {SUFFIX}"
        raise InvalidInputError.of("name", message)
    file = resources.files("initlab_tui.recipes") / f"{name_or_path}{SUFFIX}"
    return file.read_text(encoding="utf-8")


def _file_text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # reading a pipe would wait for its writer
            raise InvalidInputError.of("recipe", f"recipe {path} is not a regular file")
        if status.st_size > MAX_BYTES:
            raise InvalidInputError.of("recipe", f"{path} is larger than {MAX_BYTES:,} bytes, so it is not a recipe")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError.of("recipe", f"recipe {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInputError.of("recipe", f"recipe {path} is not UTF-8 text") from None
