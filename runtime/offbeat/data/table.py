"""Tables with named columns: csv and Parquet, read by pyarrow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError, MissingExtraError
from offbeat.result import FloatArray

_DELIMITERS = ",;\t| "
_TIMESTAMP_NAMES = ("timestamp", "datetime", "date", "time")
_NULLS = ("", "na", "n/a", "#n/a", "null")
_HEAD_BYTES = 64 * 1024


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns wanted, by name; `features` empty takes every column that is neither time stamp nor label."""

    features: tuple[str, ...]
    timestamp: str | None
    label: str | None


class Table(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Parts of a file: `values` [row, feature] or [window, time, feature], NaN where missing, and the words of the time
    stamps and labels [row] or [window].
    """

    values: FloatArray
    feature_names: tuple[str, ...]
    timestamps: NDArray[np.str_] | None
    labels: NDArray[np.str_] | None


def read_csv(file: Path, columns: Columns, delimiter: str | None) -> Table:
    """Reads a csv file. Where the first line is numbers alone, the columns are named by their places, `0`, `1`, ….

    Such a line is data itself, unless there is a word under one of its numbers: then it only numbers the columns.
    The delimiter and a column of time stamps are recognised where they are not given. Raises DataError.
    """
    csv = _pyarrow("csv")
    head = _head_lines(file)
    delimiter = delimiter or max(_DELIMITERS, key=head[0].count)
    header, first_row = _split(head[0], delimiter), _split(head[1] if len(head) > 1 else "", delimiter)
    has_names = not all(map(_is_number, header))
    has_header = has_names or any(cell.lower() not in _NULLS and not _is_number(cell) for cell in first_row)
    names = header if has_names else [str(index) for index in range(len(header))]
    columns = _resolved(file, columns, names, dict(zip(names, first_row if has_header else header, strict=False)))
    words = [name for name in (columns.timestamp, columns.label) if name]
    types = {**dict.fromkeys(columns.features, "float64"), **dict.fromkeys(words, "string")}
    try:
        table = csv.read_csv(
            file,
            read_options=csv.ReadOptions(column_names=names, skip_rows=int(has_header), use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(include_columns=list(types), column_types=types),
        )
    except _pyarrow("").ArrowException as error:
        raise DataError(f"{file}: {error}; choose the numeric columns with --features") from error
    return _gather(table, columns)


def read_parquet(file: Path, columns: Columns) -> Table:
    """Reads a Parquet file; time stamps are written as ISO 8601. Raises DataError."""
    parquet = _pyarrow("parquet")
    try:
        schema = parquet.read_schema(file)
        columns = _resolved(file, columns, schema.names, _timestamp_samples(schema))
        words = [name for name in (columns.timestamp, columns.label) if name]
        table = parquet.read_table(file, columns=[*columns.features, *words], use_threads=False)
        return _gather(table, columns)
    except (_pyarrow("").ArrowException, OSError) as error:
        raise DataError(f"{file}: {error}; choose the numeric columns with --features") from error


def _pyarrow(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        raise MissingExtraError("reading csv and Parquet needs pyarrow; pip install 'offbeat[data]'") from error


def _head_lines(file: Path) -> list[str]:
    with file.open("rb") as stream:
        lines = stream.read(_HEAD_BYTES).decode("utf-8-sig", errors="replace").splitlines()
    if not lines or not lines[0].strip():
        raise DataError(f"{file}: empty; expected a line of column names or of numbers")
    return lines


def _split(line: str, delimiter: str) -> list[str]:
    import csv

    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _resolved(file: Path, columns: Columns, names: list[str], samples: dict[str, str]) -> Columns:
    """Fills in what was not named, and checks what was."""
    for name in (*columns.features, columns.timestamp, columns.label):
        if name is not None and name not in names:
            raise DataError(f"{file}: no column {name!r}; it has {', '.join(names)}")
    timestamp = columns.timestamp or next((name for name in names if _is_timestamp(name, samples.get(name, ""))), None)
    if timestamp in columns.features:
        timestamp = None
    features = columns.features or tuple(name for name in names if name not in (timestamp, columns.label))
    if not features or len(set(names)) != len(names):
        raise DataError(f"{file}: columns {', '.join(names)}; expected distinct names and at least one feature")
    return Columns(features=features, timestamp=timestamp, label=columns.label)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_timestamp(name: str, sample: str) -> bool:
    """A column named like one; or one whose first value is an ISO 8601 time and not a number."""
    if name.lower() in _TIMESTAMP_NAMES:
        return True
    try:
        datetime.fromisoformat(sample)
    except ValueError:
        return False
    return not _is_number(sample)


def _timestamp_samples(schema: Any) -> dict[str, str]:
    """A stand-in for the first value of each column whose type is a date or a time."""
    types = _pyarrow("types")
    return {field.name: "1970-01-01" for field in schema if types.is_timestamp(field.type) or types.is_date(field.type)}


def _gather(table: Any, columns: Columns) -> Table:
    numbers = [_numeric(table.column(name)) for name in columns.features]
    return Table(
        values=np.ascontiguousarray(np.stack(numbers, axis=1)),
        feature_names=columns.features,
        timestamps=None if columns.timestamp is None else _words(table.column(columns.timestamp)),
        labels=None if columns.label is None else _words(table.column(columns.label)),
    )


def _numeric(column: Any) -> FloatArray:
    """As float32; a missing value becomes NaN, which Dataset refuses with its row."""
    with np.errstate(over="ignore"):
        numbers: FloatArray = column.cast("float64").to_numpy().astype(np.float32)
    return numbers


def _words(column: Any) -> NDArray[np.str_]:
    return np.asarray(column.cast("string").fill_null("").to_pylist(), dtype=np.str_)
