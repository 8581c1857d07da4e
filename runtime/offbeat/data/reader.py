"""Reads csv, JSON Lines, npz, Parquet and Arrow files into a Dataset."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.column_selection import ColumnSelection
from offbeat.data.column_words import read_words
from offbeat.data.dataset import Dataset
from offbeat.data.formats import format_of, refuse_unread
from offbeat.data.missing import fill_missing
from offbeat.data.npz_archive import read_npz, read_npz_words
from offbeat.data.place import place_of
from offbeat.data.row_stream import read_stream
from offbeat.data.table import Columns, Table, read_csv, read_parquet
from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray

_WINDOW_FEATURE = ("value",)
_NO_WORDS = ("", "nan", "nat", "none")


def read_dataset(path: str | os.PathLike[str], selection: ColumnSelection | None = None) -> Dataset:
    """Reads a csv, JSON Lines, npz, Parquet or Arrow file; the ending says which, as `format_of` does.

    Missing values are filled as the selection's policy says, and the data set tells how many. Raises DataError, naming the
    file and the column, for what is missing, unreadable, not a number or not finite; MissingExtraError where csv or
    Parquet needs pyarrow and it is not installed.
    """
    file, selection = _existing(path), selection or ColumnSelection()
    table = read_npz(file, selection) if format_of(file) == "npz" else _read_columns(file, selection)
    values, n_filled = _filled(file, table, selection)
    if table.classes is not None:
        _require_words(file, table.classes, selection, "class")
    return Dataset(
        name=file.name,
        values=values,
        feature_names=table.feature_names,
        timestamps=table.timestamps,
        labels=None if table.labels is None else _is_anomalous(file, table.labels, selection),
        classes=table.classes,
        sha256=file_sha256(file),
        n_filled=n_filled,
    )


def read_labels(path: str | os.PathLike[str], selection: ColumnSelection) -> BoolArray:
    """True where the column or array `label_column` differs from `normal_label` [line]; nothing else of the file is read.

    The column may be left unnamed where it is the only one beside time stamps. Raises as `read_dataset` does.
    """
    file, name = _existing(path), selection.label_column
    words = read_npz_words(file, name) if format_of(file) == "npz" else read_words(file, name, selection.delimiter)
    return _is_anomalous(file, words, selection)


def _existing(path: str | os.PathLike[str]) -> Path:
    file = Path(path)
    if not file.is_file():
        raise DataError(f"{file}: {_instead_of_a_file(file)}")
    refuse_unread(file)
    return file


def _instead_of_a_file(path: Path) -> str:
    if path == Path("-"):
        return "standard input is not read here; expected a file, which can be read as a whole and told by its SHA-256"
    if path.exists():
        return f"{'a folder' if path.is_dir() else 'a pipe or a device'}; expected a file"
    return "no such file"


def file_sha256(file: Path) -> str:
    """The digest that names the very bytes a data set came from."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_columns(file: Path, selection: ColumnSelection) -> Table:
    is_windows = selection.layout == "windows"
    # A model of windows calls their one feature `value`; their columns are the steps.
    features = () if is_windows and selection.features == _WINDOW_FEATURE else selection.features
    columns = Columns(
        features=features,
        timestamp=selection.timestamp_column,
        label=selection.label_column,
        class_=selection.class_column,
    )
    table = _read_table(file, columns, selection.delimiter)
    if not is_windows:
        return table
    return msgspec.structs.replace(table, values=table.values[:, :, None], feature_names=_WINDOW_FEATURE)


def _read_table(file: Path, columns: Columns, delimiter: str | None) -> Table:
    format_ = format_of(file)
    if format_ == "csv":
        return read_csv(file, columns, delimiter)
    return read_parquet(file, columns) if format_ == "parquet" else read_stream(file, format_, columns)


def _filled(file: Path, table: Table, selection: ColumnSelection) -> tuple[FloatArray, int]:
    values, n_filled = fill_missing(table.values, selection.missing)
    left, infinite = np.isnan(values), np.isinf(values)
    if left.any():
        is_refused = selection.missing == "reject"
        gaps = f"one before it, for {selection.missing}"
        needed = "numbers, or a policy for gaps: --missing, in Python missing=" if is_refused else gaps
        raise DataError(f"{file}: {_first(file, table, left, 'missing', selection)}; expected {needed}")
    if infinite.any():
        found = _first(file, table, infinite, "infinite", selection)
        raise DataError(f"{file}: {found}; expected finite numbers within float32")
    return values, n_filled


def _first(file: Path, table: Table, is_bad: BoolArray, word: str, selection: ColumnSelection) -> str:
    first, *step, feature = (int(index) for index in np.argwhere(is_bad)[0])
    where = place_of(file, first, selection.delimiter, noun="window" if step else "row")
    steps = "".join(f", step {each}" for each in step)
    return (
        f"{int(is_bad.sum()):,} {word} value(s), the first in {where}{steps}, column {table.feature_names[feature]!r}"
    )


def _is_anomalous(file: Path, labels: NDArray[np.str_], selection: ColumnSelection) -> BoolArray:
    """True where a label is not the normal one; numbers are compared as numbers, so that 1, 1.0 and True agree."""
    _require_words(file, labels, selection, "label")
    distinct, positions = np.unique(labels, return_inverse=True)
    normal = _canonical(selection.normal_label)
    return np.array([_canonical(str(label)) != normal for label in distinct], dtype=np.bool_)[positions]


def _require_words(file: Path, words: NDArray[np.str_], selection: ColumnSelection, noun: str) -> None:
    for word, row in zip(*np.unique(words, return_index=True), strict=True):
        if word.lower() in _NO_WORDS:
            where = place_of(file, int(row), selection.delimiter)
            raise DataError(f"{file}: {where} has no {noun}; expected one in every row")


def _canonical(label: str) -> float | str:
    words = {"true": 1.0, "false": 0.0}
    try:
        return float(label)
    except ValueError:
        return words.get(label.lower(), label)
