"""Columns that say of every row whether it is anomalous."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offbeat.data.place import place_of
from offbeat.errors import DataError
from offbeat.result import BoolArray


def zeros_and_ones(file: Path, name: str, column: NDArray[np.number]) -> BoolArray:
    """True where a column [row] is 1. Raises DataError, naming file, row and column, for what is neither 0 nor 1."""
    is_one = column == 1
    if (other := np.flatnonzero(~is_one & (column != 0))).size:
        row = int(other[0])
        raise DataError(f"{file}: {place_of(file, row)}, column {name!r} is {column[row]:g}; expected 0 or 1")
    return np.asarray(is_one, dtype=np.bool_)
