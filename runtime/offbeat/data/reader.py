"""Reads csv, npz and Parquet files into a Dataset."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data.dataset import Dataset, Layout
from offbeat.data.table import Columns, read_csv, read_parquet
from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray


class ColumnSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which parts of a file mean what.

    `features` are column names, all numeric columns where none are given. `timestamp_column` and `label_column` are
    names; a column of time stamps is recognised by itself where none is named. A label other than `normal_label` marks
    an anomaly. `delimiter` of a csv file is recognised where none is given. `key` names the array of an npz file, and
    `label_column` its array of labels. `layout` says what a row of a two-dimensional array or table is: one step or
    sample (`rows`), or one window of a single feature (`windows`).
    """

    features: tuple[str, ...] = ()
    timestamp_column: str | None = None
    label_column: str | None = None
    normal_label: str = "0"
    delimiter: str | None = None
    key: str | None = None
    layout: Layout = "rows"


def read_dataset(path: str | os.PathLike[str], selection: ColumnSelection | None = None) -> Dataset:
    """Reads a csv, npz or Parquet file; the ending says which (`.npz`, `.parquet`, anything else is csv).

    Raises DataError, naming the file and the column, for what is missing, unreadable, not a number or not finite;
    MissingExtraError where csv or Parquet needs pyarrow and it is not installed.
    """
    file, selection = Path(path), selection or ColumnSelection()
    if not file.is_file():
        raise DataError(f"{file}: no such file")
    if file.suffix == ".npz":
        return _read_npz(file, selection)
    columns = _choose(selection)
    table = (
        read_parquet(file, columns)
        if file.suffix in (".parquet", ".pq")
        else read_csv(file, columns, selection.delimiter)
    )
    values, names = _laid_out(table.values, table.feature_names, selection.layout)
    labels = None if table.labels is None else _is_anomalous(table.labels, selection.normal_label)
    return Dataset(
        name=file.name,
        values=values,
        feature_names=names,
        timestamps=table.timestamps,
        labels=labels,
        sha256=_sha256(file),
    )


def _choose(selection: ColumnSelection) -> Columns:
    return Columns(features=selection.features, timestamp=selection.timestamp_column, label=selection.label_column)


def _laid_out(values: FloatArray, names: tuple[str, ...], layout: Layout) -> tuple[FloatArray, tuple[str, ...]]:
    return (values[:, :, None], ("value",)) if layout == "windows" and values.ndim == 2 else (values, names)


def _is_anomalous(labels: NDArray[np.str_], normal_label: str) -> BoolArray:
    """True where a label is not the normal one; numbers are compared as numbers, so that 1, 1.0 and True agree."""
    distinct, positions = np.unique(labels, return_inverse=True)
    normal = _canonical(normal_label)
    return np.array([_canonical(str(label)) != normal for label in distinct], dtype=np.bool_)[positions]


def _canonical(label: str) -> float | str:
    words = {"true": 1.0, "false": 0.0}
    try:
        return float(label)
    except ValueError:
        return words.get(label.lower(), label)


def _read_npz(file: Path, selection: ColumnSelection) -> Dataset:
    try:
        with np.load(file, allow_pickle=False) as archive:
            key = _choose_key(file, archive.files, selection)
            values = _numbers(file, key, archive[key])
            labels = _npz_labels(file, archive, selection)
            stored_names = tuple(map(str, archive["feature_names"])) if "feature_names" in archive.files else ()
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise DataError(f"{file}: not a readable npz archive: {error}") from error
    values, names = _laid_out(values, stored_names, selection.layout)
    names, values = _choose_features(file, names, values, selection.features)
    return Dataset(name=file.name, values=values, feature_names=names, labels=labels, sha256=_sha256(file))


def _choose_key(file: Path, keys: Sequence[str], selection: ColumnSelection) -> str:
    if selection.key is not None:
        if selection.key not in keys:
            raise DataError(f"{file}: no array {selection.key!r}; it holds {', '.join(keys)}")
        return selection.key
    candidates = [key for key in keys if key not in (selection.label_column, "feature_names")]
    if len(candidates) != 1:
        raise DataError(f"{file}: holds {', '.join(keys) or 'nothing'}; name one of them as the key")
    return candidates[0]


def _numbers(file: Path, key: str, array: NDArray[np.generic]) -> FloatArray:
    if array.dtype.kind not in "fiub" or array.ndim not in (1, 2, 3):
        raise DataError(
            f"{file}: {key} is {array.dtype} {array.shape}; expected numbers [row, feature] or [window, time, feature]"
        )
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array.reshape(-1, 1) if array.ndim == 1 else array, dtype=np.float32)


def _npz_labels(file: Path, archive: np.lib.npyio.NpzFile, selection: ColumnSelection) -> BoolArray | None:
    if selection.label_column is None:
        return None
    if selection.label_column not in archive.files:
        raise DataError(f"{file}: no array {selection.label_column!r}; it holds {', '.join(archive.files)}")
    return _is_anomalous(archive[selection.label_column].ravel().astype(np.str_), selection.normal_label)


def _choose_features(
    file: Path, names: tuple[str, ...], values: FloatArray, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], FloatArray]:
    """An array without names takes the wanted ones in order; one with names gives the wanted ones out of them."""
    if not names:
        names = wanted or tuple(f"feature_{index}" for index in range(values.shape[-1]))
    if len(names) != values.shape[-1]:
        raise DataError(f"{file}: {values.shape[-1]} features; expected {len(names)}: {', '.join(names)}")
    if absent := [name for name in wanted if name not in names]:
        raise DataError(f"{file}: no feature {', '.join(absent)}; it has {', '.join(names)}")
    if not wanted or wanted == names:
        return names, values
    return wanted, np.ascontiguousarray(values[..., [names.index(name) for name in wanted]])


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
