"""Reads the tables that `offbeat score` writes."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.column_words import column_names
from offbeat.data.formats import format_of
from offbeat.data.place import place_of
from offbeat.data.row_stream import read_stream
from offbeat.data.table import Columns
from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray
from offbeat.telling import listed

# Rows of a series and ready-made or sliding windows of one; samples are rows of a table, in no order.
Unit = Literal["row", "window", "sample"]

# What stands for an infinite error, which absurd values have: no finite error is larger, and it can be drawn.
LARGEST_ERROR = float(np.finfo(np.float32).max)
_ERROR, _SCORE = "reconstruction_error", "anomaly_score"
# What stands in each column [line]: words, or numbers.
_Cells = Mapping[str, Sequence[str] | NDArray[Any]]


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
    """Reads and checks a csv, JSON Lines, Parquet or Arrow file; `flag_column` may be `alarm` where that was written.

    An infinite error is taken for the largest float32. Raises DataError, naming the file and the line, for NaN and for
    anything else that `offbeat score` does not write.
    """
    wanted = (_ERROR, _SCORE, flag_column)
    columns = _csv_columns(path) if format_of(path) == "csv" else _table_columns(path, wanted)
    timestamps = np.asarray(columns.get("timestamp", ()), dtype=np.str_)
    return ScoreFile(
        name=path.name,
        unit=_unit(path, list(columns), wanted),
        errors=_numbers(path, _ERROR, columns),
        is_flagged=_numbers(path, flag_column, columns) != 0,
        timestamps=timestamps if timestamps.size and bool((timestamps != "").all()) else None,
        anomaly_scores=_numbers(path, _SCORE, columns),
    )


def _unit(path: Path, names: Sequence[str], wanted: Sequence[str]) -> Unit:
    """What a line is. Raises DataError where the columns are not those that are wanted."""
    unit = next(iter(names), "")
    if unit not in get_args(Unit):
        words = ", ".join(map(repr, get_args(Unit)))
        raise DataError(f"{path}: the first column is {unit!r}; expected one of {words}, as offbeat score writes it")
    for name in wanted:
        if name not in names:
            raise DataError(f"{path}: no column {name!r}; it has {listed(names)}")
    return unit  # type: ignore[return-value]


def _csv_columns(path: Path) -> _Cells:
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


def _table_columns(path: Path, wanted: Sequence[str]) -> _Cells:
    """Of a file that is no csv, the columns that are wanted as numbers, NaN where there is none, and time stamps; of others the names."""
    format_ = format_of(path)
    if format_ == "npz":
        raise DataError(
            f"{path}: an npz file; expected csv, JSON Lines, Parquet or Arrow, as offbeat score writes them"
        )
    try:
        names = column_names(path)
        _unit(path, names, wanted)
        features = tuple(dict.fromkeys(wanted))
        table = read_stream(path, format_, Columns(features=features, timestamp=None, label=None))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    numbers = dict(zip(features, table.values.T, strict=True))
    if format_ == "jsonl":
        # JSON has no infinity. A line without a score has no anomaly_score either.
        numbers[_ERROR][np.isnan(numbers[_ERROR]) & (numbers[_SCORE] == 1)] = np.inf
    timestamps = table.timestamps if "timestamp" in names and table.timestamps is not None else ()
    return dict.fromkeys(names, ()) | {"timestamp": timestamps} | numbers


def _numbers(path: Path, name: str, columns: _Cells) -> FloatArray:
    cells = columns[name]
    numbers = cells if isinstance(cells, np.ndarray) else np.fromiter(map(_number, cells), np.float64, len(cells))
    wrong = np.flatnonzero(~(numbers >= 0))
    if wrong.size:
        line = int(wrong[0])
        cell = cells[line]
        where = place_of(path, line) if isinstance(cells, np.ndarray) else f"line {line + 2}"
        seen = repr(cell) if isinstance(cell, str) else "missing" if np.isnan(cell) else f"{cell:g}"
        raise DataError(f"{path}: {where}: {name} is {seen}; expected a number from 0 up, or inf")
    clipped: FloatArray = np.minimum(numbers, LARGEST_ERROR).astype(np.float32)
    return clipped


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return math.nan
