"""Where recipes lie: those that come with the program, and a person's own files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from initlab_tui.data.locate import absolute
from initlab_tui.domain.claims.recipe import Recipe
from initlab_tui.domain.claims.recipe_toml import parse
from initlab_tui.domain.errors import InvalidInputError, unknown

SUFFIX = ".toml"
MOST_BYTES = 1_000_000  # a recipe has some thousands
# In the order in which they teach.
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
    """Every recipe that comes with the program."""
    return [read(name) for name in PACKAGED]


def read(wanted: str) -> Recipe:
    """The recipe of that name, or the one in a file, which is known by its `.toml`.

    Raises:
        InvalidInputError: when there is none, or naming all that is wrong with it.
    """
    if wanted.endswith(SUFFIX):
        return parse(text(wanted), Path(wanted).stem, wanted).on(absolute)
    return parse(text(wanted), wanted, f"{wanted}{SUFFIX}")


def text(wanted: str) -> str:
    """The TOML of a recipe.

    Raises:
        InvalidInputError: when there is none.
    """
    if wanted.endswith(SUFFIX):
        return _own(Path(wanted))
    if wanted not in PACKAGED:
        raise InvalidInputError.of("name", f"{unknown('recipe', wanted, PACKAGED)}, or a path that ends in {SUFFIX}")
    file = resources.files("initlab_tui.recipes") / f"{wanted}{SUFFIX}"
    return file.read_text(encoding="utf-8")


def _own(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InvalidInputError.of("recipe", f"{path} is larger than {MOST_BYTES:,} bytes: no recipe")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInputError.of("recipe", f"recipe {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInputError.of("recipe", f"recipe {path} is not text in UTF-8") from None
