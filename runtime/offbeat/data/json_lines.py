"""JSON Lines: an object a line, one row each, as csv rows with the names beside the values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.table import Columns, Table, resolved
from offbeat.errors import DataError

# A line without an end would fill the memory.
MAX_LINE_BYTES = 2**20
_ROWS_AT_ONCE = 16_384
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def stream_json_lines(name: str, stream: BinaryIO, columns: Columns) -> Iterator[Table]:
    """Tables of up to 16,384 rows each. The first line's names are the columns where none are chosen; null, and a name
    that a later line leaves out, is a missing value; blank lines are no rows.

    Raises DataError, naming the line, for what is no object, no number where one is wanted, or longer than 1 MiB.
    """
    chosen: Columns | None = None
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, row in read_objects(name, stream):
        if chosen is None:
            chosen = resolved(name, columns, list(row), {key: str(value) for key, value in row.items()})
        rows.append(row)
        lines.append(number)
        if len(rows) == _ROWS_AT_ONCE:
            yield _table(name, rows, lines, chosen)
            rows, lines = [], []
    if rows and chosen is not None:
        yield _table(name, rows, lines, chosen)


def read_objects(name: str, stream: BinaryIO) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line's number, from 1, and its object; blank lines are left out. Raises DataError."""
    return ((number, decode_line(f"{name}: line {number}", line)) for number, line in _lines(name, stream))


def decode_line(where: str, line: bytes) -> dict[str, Any]:
    """The object of a line. Raises DataError."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(f'{where}: {error}; expected a JSON object of one row, such as {{"cpu": 0.5}}') from error


def number_of(value: object) -> float:
    """A JSON number; NaN where it is null or, as a word, `NaN`; else ValueError: a word that looks like a number is none."""
    if value is None:
        return float("nan")
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?(nan|inf|infinity)", value, re.IGNORECASE):
        return float(value)
    raise ValueError(f"{value!r} is no number")


def _lines(name: str, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise DataError(f"{name}: line {number} is longer than {MAX_LINE_BYTES:,} bytes; expected one row a line")
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if line.strip():
            yield number, line


def _table(name: str, rows: list[dict[str, Any]], lines: list[int], columns: Columns) -> Table:
    values = np.stack([_numbers(name, rows, lines, feature) for feature in columns.features], axis=1)
    with np.errstate(over="ignore"):
        return Table(
            values=np.ascontiguousarray(values, dtype=np.float32),
            feature_names=columns.features,
            **{
                field: None if column is None else words_of_objects(rows, column)
                for field, column in columns.word_fields.items()
            },
        )


def _numbers(name: str, rows: list[dict[str, Any]], lines: list[int], feature: str) -> Any:
    numbers = np.empty(len(rows))
    for index, row in enumerate(rows):
        try:
            numbers[index] = number_of(row.get(feature))
        except (ValueError, OverflowError) as error:
            raise DataError(f"{name}: line {lines[index]}, column {feature!r}: {error}; expected a number") from error
    return numbers


def words_of_objects(rows: list[dict[str, Any]], column: str) -> NDArray[np.str_]:
    """One value of each row as a word; what is null or left out is empty."""
    cells = (row.get(column) for row in rows)
    return np.asarray(["" if cell is None else str(cell) for cell in cells], dtype=np.str_)
