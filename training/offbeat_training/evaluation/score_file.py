"""Reads the csv that `offbeat score` writes."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray

# Rows of a series and ready-made or sliding windows of one; samples are rows of a table, in no order.
Unit = Literal["row", "window", "sample"]

# What stands for an infinite error, which absurd values have: no finite error is larger, and it can be drawn.
LARGEST_ERROR = float(np.finfo(np.float32).max)


class ScoreFile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was scored, line by line: `errors`, flags and time stamps [line], a line being what `unit` says.

    Errors are at most the largest float32. `anomaly_scores` [line] are None where they were not read.
    """

    name: str
    unit: Unit
    errors: FloatArray
    is_flagged: BoolArray
    timestamps: NDArray[np.str_] | None
    anomaly_scores: FloatArray | None = None


def read_scores(path: Path, flag_column: str = "is_anomaly") -> ScoreFile:
    """Reads and checks the file; `flag_column` may be `alarm` where that was written.

    An infinite error is taken for the largest float32. Raises DataError, naming the file and the line, for NaN and for
    anything else that `offbeat score` does not write.
    """
    columns = _columns(path)
    unit = next(iter(columns), "")
    if unit not in get_args(Unit):
        words = ", ".join(map(repr, get_args(Unit)))
        raise DataError(f"{path}: the first column is {unit!r}; expected one of {words}, as offbeat score writes it")
    for name in ("reconstruction_error", "anomaly_score", flag_column):
        if name not in columns:
            raise DataError(f"{path}: no column {name!r}; it has {', '.join(columns)}")
    timestamps = np.asarray(columns.get("timestamp", ()), dtype=np.str_)
    return ScoreFile(
        name=path.name,
        unit=unit,  # type: ignore[arg-type]
        errors=_numbers(path, "reconstruction_error", columns),
        is_flagged=_numbers(path, flag_column, columns) != 0,
        timestamps=timestamps if timestamps.size and bool((timestamps != "").all()) else None,
        anomaly_scores=_numbers(path, "anomaly_score", columns),
    )


def _columns(path: Path) -> dict[str, tuple[str, ...]]:
    """The words of each column."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            lines = [_cells(path, cells, len(header), reader.line_num) for cells in reader]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: not a csv file that offbeat score wrote: {error}") from error
    if not lines:
        raise DataError(
            f"{path}: holds no scores; expected a heading and a line for each, as offbeat score writes them"
        )
    return dict(zip(header, zip(*lines, strict=True), strict=True))


def _cells(path: Path, cells: list[str], n_columns: int, line: int) -> list[str]:
    if len(cells) != n_columns:
        raise DataError(f"{path}: line {line} has {len(cells)} cells; expected {n_columns}, as in the heading")
    return cells


def _numbers(path: Path, name: str, columns: dict[str, tuple[str, ...]]) -> FloatArray:
    numbers = np.fromiter(_floats(path, name, columns[name]), np.float64, len(columns[name]))
    return np.minimum(numbers, LARGEST_ERROR).astype(np.float32)


def _floats(path: Path, name: str, words: Iterable[str]) -> Iterable[float]:
    for line, word in enumerate(words, 2):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not number >= 0:
            raise DataError(f"{path}: line {line}: {name} is {word!r}; expected a number from 0 up, or inf")
        yield number
