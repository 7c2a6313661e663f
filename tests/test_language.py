"""The project's text has none of the quaint words that its style rules out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHECKED = ("README.md", "pyproject.toml", "initlab_tui", "screenshots", "tests")
TEXT = frozenset({".md", ".py", ".sh", ".tcss", ".toml", ".txt"})

# Each is a regular expression of whole words. A space stands for any break between two words: a line break, the
# beginning of the next comment line or string, or the underscore in a name.
QUAINT = (
    "foretold|foretells?|foretelling",
    "told|tells",
    "(?:what )?came of|comes? of(?! age)",
    "gravest",
    "ill(?!-)|illness(?:es)?",
    "bury|buries|buried",
    "in vain|for want of|borne out|to be had|set aside|in any case|where it stands",
    "all that is known of",
    "of (?:its|their) own accord|by itself|by themselves",
    "let (?:it |them )?go on|goes? on(?! (?:a|an|the) )|went on",
    "speaks? for it",
    "beside|amiss|blanks",
    "thither|whither|hither|hitherto|anew|albeit|lest|naught|nought|whilst|thereof|therein|whereof|wherein",
    "(?:how )?manieth",
    "sees? to it|saw to it",
    "begins? from|began from",
    "holds? against|held against",
    "judged?|judges|judging",
    "persons own|person's own",
    "save (?:for|that)",
    "checkups?",
    "a start(?! of)",
    "so far as it goes|whose(?= ?[=:)])",
)
_BREAK = r"""[\s_#"']+"""
_EDGE = r"(?<![a-z0-9])", r"(?![a-z0-9])"
_PATTERN = re.compile(f"{_EDGE[0]}(?:{'|'.join(QUAINT)}){_EDGE[1]}".replace(" ", _BREAK), re.IGNORECASE)


def quaint_words(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line, counted from 1, and the text of each quaint expression."""
    for match in _PATTERN.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, " ".join(match[0].split())


def checked_files() -> list[Path]:
    """Return the files with text that people write: source, documents and settings, without snapshots and data."""
    files = [
        file for name in CHECKED for file in ((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
    ]
    return sorted(file for file in files if file.suffix in TEXT and file != Path(__file__))


def test_no_file_has_quaint_words() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {words}"
        for file in checked_files()
        for line, words in quaint_words(file.read_text(encoding="utf-8"))
    ]
    assert not found, "write these in plain modern English:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "the gravest first",
        "def test_what_came_of_it():",
        "# perhaps for want\n    # of memory",
        '"it goes "\n    "on for long"',
        "Told of twice",
        "is_ill = True",
    ],
)
def test_a_quaint_word_is_found(text: str) -> None:
    assert list(quaint_words(text))


@pytest.mark.parametrize("text", ["besides", "ill-conditioned", "it goes on the screen", "to restart", "still untold_"])
def test_a_plain_word_is_not_mistaken_for_a_quaint_one(text: str) -> None:
    assert not list(quaint_words(text))


def test_the_line_of_a_quaint_word_is_reported() -> None:
    assert list(quaint_words("one\ntwo in\nvain")) == [(2, "in vain")]
