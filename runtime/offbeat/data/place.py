"""Where a row is, in the words of a message."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from offbeat.data.csv_head import read_head
from offbeat.data.formats import format_of, is_text


def place_of(file: Path, row: int, delimiter: str | None = None, *, noun: str = "row") -> str:
    """`row 5`, and of a text file `line 7 (row 5)`: rows count from 0, as in the scores, and lines from 1, as in an editor.

    `noun` is what a line of the data is. Blank lines are no rows, but lines. For messages: the file is read again.
    """
    words = f"{noun} {row}"
    if not is_text(file):
        return words
    n_before = read_head(file, delimiter).has_header if format_of(file) == "csv" else 0
    line = line_of(file, row + n_before)
    return words if line is None else f"line {line} ({words})"


def line_of(file: Path, index: int) -> int | None:
    """The number, from 1, of the line that is the `index`-th from 0 of those that are not empty; None past the end."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        filled = (number for number, line in enumerate(lines, 1) if line != "\n")
        return next(islice(filled, index, None), None)
