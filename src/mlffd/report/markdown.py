"""Markdown out of text that anybody may have written."""

import re
from collections.abc import Iterable, Sequence

from mlffd.report.text import printable

_MARKS = re.compile(r"[\\`*\[\]<>|#~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def plain_text(text: str) -> str:
    """The text as it is, whatever marks or tags it holds, on one line."""
    return _MARKS.sub(r"\\\g<0>", " ".join(printable(text).split()))


def code(text: str) -> str:
    """The text in code style, on one line."""
    return "`" + " ".join(printable(text).split()).replace("`", "'").replace("|", "\\|") + "`"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers_from: int = 1) -> str:
    """A table of cells that are Markdown already.

    Args:
        headings: of the columns.
        rows: as many cells each.
        numbers_from: the first column that is aligned to the right.
    """
    rule = ["---" if column < numbers_from else "---:" for column in range(len(headings))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headings, rule, *rows))
