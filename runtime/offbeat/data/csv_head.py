"""How a csv file begins: its delimiter, and whether its first line names the columns."""

from __future__ import annotations

import codecs
import csv
from pathlib import Path

import msgspec

from offbeat.errors import ConfigurationError, DataError

# In the order of preference; a blank comes last, since names often hold one.
DELIMITERS = ",;\t| "
_SPELT = {"\\t": "\t", "tab": "\t"}
NULLS = ("", "na", "n/a", "#n/a", "null")
HEAD_BYTES = 64 * 1024
_N_JUDGED_LINES = 20


class CsvHead(msgspec.Struct, frozen=True, kw_only=True):
    """`names` of the columns, in order; `has_header` says whether a line is spent on them; `first_row` is data."""

    delimiter: str
    names: list[str]
    has_header: bool
    first_row: list[str]

    @property
    def samples(self) -> dict[str, str]:
        """The first value of each column."""
        return dict(zip(self.names, self.first_row, strict=False))


def read_head(file: Path, delimiter: str | None) -> CsvHead:
    """Reads the first lines. Where the first is numbers alone, the columns are named by their places, `0`, `1`, ….

    Such a line is data itself, unless there is a word under one of its numbers: then it only numbers the columns.
    Raises DataError for a file that is empty or not UTF-8, ConfigurationError for a delimiter that is none.
    """
    with file.open("rb") as stream:
        return head_of(str(file), stream.read(HEAD_BYTES), delimiter)


def head_of(name: str, content: bytes, delimiter: str | None) -> CsvHead:
    """The same of the first 64 KiB of a file, called `name` in errors."""
    lines = _head_lines(name, content)
    chosen = _recognised(lines) if delimiter is None else checked_delimiter(delimiter)
    header, below = _split(lines[0], chosen), _split(lines[1] if len(lines) > 1 else "", chosen)
    has_names = not all(map(is_number, header))
    has_header = has_names or any(cell.lower() not in NULLS and not is_number(cell) for cell in below)
    return CsvHead(
        delimiter=chosen,
        names=header if has_names else [str(index) for index in range(len(header))],
        has_header=has_header,
        first_row=below if has_header else header,
    )


def checked_delimiter(delimiter: str) -> str:
    """One character; a tab may be written as `\\t`. Raises ConfigurationError."""
    chosen = _SPELT.get(delimiter, delimiter)
    if len(chosen) != 1 or chosen in '"\r\n' or ord(chosen) > 127:
        raise ConfigurationError(rf"delimiter is {delimiter!r}; expected one character, or \t for a tab")
    return chosen


def is_number(text: str) -> bool:
    """Whether the text is a number, `nan` and `inf` included."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _head_lines(file: str, content: bytes) -> list[str]:
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(content, final=len(content) < HEAD_BYTES)
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 at byte {error.start}; expected a csv file in UTF-8") from error
    if "\0" in text:
        raise DataError(f"{file}: holds NUL characters, as a file in UTF-16 does; expected a csv file in UTF-8")
    lines = text.splitlines()
    if not lines:
        raise DataError(f"{file}: empty; expected a line of column names or of numbers")
    if len(lines) == 1 and len(content) >= HEAD_BYTES:
        raise DataError(
            f"{file}: the first line has more than {HEAD_BYTES:,} bytes; expected names or numbers in fewer"
        )
    if not lines[0].strip():
        raise DataError(f"{file}: the first line is blank; expected column names or numbers")
    return lines


def _recognised(lines: list[str]) -> str:
    """The delimiter that cuts the first lines into the same number of cells, and into two at least."""
    judged = [line for line in lines[:_N_JUDGED_LINES] if line.strip()]
    if len(judged) > 1 and len(lines) <= _N_JUDGED_LINES:
        # The last line read may be cut off.
        judged = judged[:-1] if len(judged) > 2 else judged
    for delimiter in DELIMITERS:
        widths = {len(_split(line, delimiter)) for line in judged}
        if len(widths) == 1 and widths != {1}:
            return delimiter
    return next((delimiter for delimiter in DELIMITERS[:-1] if delimiter in lines[0]), DELIMITERS[0])


def _split(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
