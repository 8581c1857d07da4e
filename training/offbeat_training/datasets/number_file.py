"""Text files that hold numbers and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError


def read_numbers(file: Path, delimiter: str | None = None) -> NDArray[np.float64]:
    """All numbers of a file: float64 [line, column], without empty lines.

    Columns stand apart by `delimiter`, by white space where it is None. Raises DataError, naming the file, the line and the
    column, for what is not a finite number and for a line of another length than the first.
    """
    text = read_text(file)
    try:
        numbers = np.loadtxt(text.splitlines(), delimiter=delimiter, ndmin=2, comments=None)
    except ValueError:
        numbers = None
    if numbers is None or not numbers.size or not np.isfinite(numbers).all():
        raise _fault(file, text, delimiter)
    return numbers


def read_text(file: Path) -> str:
    """The text of a file that is not empty. Raises DataError."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: byte {error.start} is not text; expected lines of numbers") from error
    if not text.strip():
        raise DataError(f"{file}: empty; expected lines of numbers")
    return text


def _fault(file: Path, text: str, delimiter: str | None) -> DataError:
    """The first thing that is wrong, found slowly, once it is known that something is."""
    n_columns = 0
    for number, line in enumerate(text.splitlines(), start=1):
        cells = line.split(delimiter) if line.strip() else []
        n_columns = n_columns or len(cells)
        if cells and len(cells) != n_columns:
            return DataError(f"{file}: line {number} has {len(cells)} columns; expected {n_columns}, as before it")
        for column, cell in enumerate(cells, start=1):
            if not _is_finite(cell):
                return DataError(
                    f"{file}: line {number}, column {column} is {cell.strip()!r}; expected a finite number"
                )
    return DataError(f"{file}: not read as numbers; expected {n_columns} in each line")


def _is_finite(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False
