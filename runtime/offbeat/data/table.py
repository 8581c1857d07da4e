"""Tables with named columns: csv and Parquet, read by pyarrow."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.csv_head import CsvHead, is_number, read_head
from offbeat.data.place import place_of
from offbeat.errors import DataError, MissingExtraError
from offbeat.result import FloatArray
from offbeat.telling import listed

_TIMESTAMP_NAMES = ("timestamp", "datetime", "date", "time")


class Columns(msgspec.Struct, frozen=True, kw_only=True):
    """The columns wanted, by name; `features` empty takes every column that is neither time stamp nor label."""

    features: tuple[str, ...]
    timestamp: str | None
    label: str | None
    class_: str | None = None
    series: str | None = None

    @property
    def words(self) -> list[str]:
        """The columns that are no numbers."""
        return [name for name in self.word_fields.values() if name]

    @property
    def word_fields(self) -> dict[str, str | None]:
        """The columns that are no numbers, by the field of a Table that takes each."""
        return {"timestamps": self.timestamp, "labels": self.label, "classes": self.class_, "series": self.series}


class Table(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Parts of a file: `values` [row, feature] or [window, time, feature], NaN where missing, and the words of the time
    stamps, labels, classes and names of series [row] or [window].
    """

    values: FloatArray
    feature_names: tuple[str, ...]
    timestamps: NDArray[np.str_] | None
    labels: NDArray[np.str_] | None
    classes: NDArray[np.str_] | None = None
    series: NDArray[np.str_] | None = None


def read_csv(file: Path, columns: Columns, delimiter: str | None) -> Table:
    """Reads a csv file; `read_head` says how its delimiter and names are found, and a column of time stamps is recognised.

    Raises DataError, and ConfigurationError for a delimiter that is none.
    """
    head = read_head(file, delimiter)
    columns, types = csv_columns(file, head, columns)
    return gather(typed_csv(file, head, types), columns)


def csv_columns(file: Path | str, head: CsvHead, columns: Columns) -> tuple[Columns, dict[str, str]]:
    """The columns of a file with that head, and the types they are read as. Raises DataError."""
    chosen = resolved(file, columns, head.names, head.samples)
    return chosen, {**dict.fromkeys(chosen.features, "float64"), **dict.fromkeys(chosen.words, "string")}


def csv_options(head: CsvHead, types: dict[str, str]) -> dict[str, Any]:
    """How pyarrow is to read a csv file with that head."""
    csv = pyarrow_module("csv")
    return {
        "read_options": csv.ReadOptions(column_names=head.names, skip_rows=int(head.has_header), use_threads=False),
        "parse_options": csv.ParseOptions(delimiter=head.delimiter),
        "convert_options": csv.ConvertOptions(include_columns=list(types), column_types=types),
    }


def typed_csv(file: Path, head: CsvHead, types: dict[str, str]) -> Any:
    """The columns `types` of a csv file as an Arrow table. Raises DataError."""
    try:
        return pyarrow_module("csv").read_csv(file, **csv_options(head, types))
    except pyarrow_module().ArrowException as error:
        raise csv_error(str(file), error, head, lambda row: place_of(file, row, head.delimiter)) from error


def csv_error(name: str, error: Exception, head: CsvHead, place: Callable[[int], str]) -> DataError:
    """What pyarrow says of a csv file, in words of the file; `place` tells where a row is.

    pyarrow counts columns, and lines without the empty ones; whoever reads the message knows the columns by name, and
    may leave out those of words.
    """
    message = re.sub(r"In CSV column #(\d+)", lambda found: f"column {head.names[int(found[1])]!r}", str(error))
    message = re.sub(r"Row #(\d+)", lambda found: place(int(found[1]) - 1 - head.has_header), message)
    expected = "; expected a number, or other columns chosen by name" if "conversion error" in message else ""
    return DataError(f"{name}: {message}{expected}")


def read_parquet(file: Path, columns: Columns) -> Table:
    """Reads a Parquet file; time stamps are written as ISO 8601. Raises DataError."""
    parquet = pyarrow_module("parquet")
    try:
        schema = parquet.read_schema(file)
        columns = resolved(file, columns, schema.names, timestamp_samples(schema))
        table = parquet.read_table(file, columns=[*columns.features, *columns.words], use_threads=False)
        return gather(table, columns)
    except (pyarrow_module().ArrowException, OSError) as error:
        raise DataError(f"{file}: {error}; expected numbers, or other columns chosen by name") from error


def pyarrow_module(module: str = "") -> Any:
    """pyarrow, or a part of it. Raises MissingExtraError."""
    import importlib

    try:
        return importlib.import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ImportError as error:
        raise MissingExtraError("reading csv, Parquet and Arrow needs pyarrow; pip install 'offbeat[data]'") from error


def resolved(file: Path | str, columns: Columns, names: list[str], samples: dict[str, str]) -> Columns:
    """Fills in what was not named, and checks what was. Raises DataError, naming the file.

    `samples` are the first values of columns, as words.
    """
    for name in (*columns.features, *columns.words):
        if name not in names:
            raise DataError(f"{file}: no column {name!r}; it has {listed(names)}")
    timestamp = columns.timestamp or next((name for name in names if is_timestamp(name, samples.get(name, ""))), None)
    if timestamp in columns.features:
        timestamp = None
    features = columns.features or tuple(name for name in names if name not in (timestamp, *columns.words))
    if not features or len(set(names)) != len(names):
        raise DataError(f"{file}: columns {listed(names)}; expected distinct names and at least one feature")
    if "" in features:
        raise DataError(
            f"{file}: a column without a name, such as an index that was written along; choose columns by name"
        )
    return msgspec.structs.replace(columns, features=features, timestamp=timestamp)


def is_timestamp(name: str, sample: str) -> bool:
    """A column named like one; or one whose first value is an ISO 8601 time and not a number."""
    if name.lower() in _TIMESTAMP_NAMES:
        return True
    try:
        datetime.fromisoformat(sample)
    except ValueError:
        return False
    return not is_number(sample)


def timestamp_samples(schema: Any) -> dict[str, str]:
    """A stand-in for the first value of each column whose type is a date or a time."""
    types = pyarrow_module("types")
    return {field.name: "1970-01-01" for field in schema if types.is_timestamp(field.type) or types.is_date(field.type)}


def gather(table: Any, columns: Columns) -> Table:
    """The columns of an Arrow table. Raises pyarrow's errors."""
    numbers = [_numeric(table.column(name), name) for name in columns.features]
    return Table(
        values=np.ascontiguousarray(np.stack(numbers, axis=1)),
        feature_names=columns.features,
        **{
            field: None if name is None else words_of_column(table.column(name))
            for field, name in columns.word_fields.items()
        },
    )


def _numeric(column: Any, name: str) -> FloatArray:
    """As float32; a missing value becomes NaN, which Dataset refuses with its row. Raises pyarrow's errors, with the name."""
    try:
        doubles = column.cast("float64")
    except pyarrow_module().ArrowException as error:
        raise pyarrow_module().ArrowInvalid(f"column {name!r}: {error}") from error
    with np.errstate(over="ignore"):
        numbers: FloatArray = doubles.to_numpy().astype(np.float32)
    return numbers


def words_of_column(column: Any) -> NDArray[np.str_]:
    """An Arrow column as words; a missing one is empty. Raises pyarrow's errors."""
    return np.asarray(column.cast("string").fill_null("").to_pylist(), dtype=np.str_)
