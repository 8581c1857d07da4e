"""Labels for an evaluation: from a column, an array, or the Numenta benchmark's windows."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import ColumnSelection
from offbeat.data.reader import read_labels as data_labels
from offbeat.errors import DataError
from offbeat.result import BoolArray

MAX_JSON_BYTES = 64 * 2**20


class LabelSelection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the labels lie in their file.

    `label_column` names a column of a csv or Parquet file, or an array of an npz file; it may be left out where there is
    only one beside time stamps. A label other than `normal_label` marks an anomaly, numbers being compared as numbers, as
    everywhere. `series` is a key of NAB's `combined_windows.json`.
    """

    label_column: str | None = None
    normal_label: str = "0"
    delimiter: str | None = None
    series: str | None = None


def read_labels(path: Path, selection: LabelSelection, timestamps: NDArray[np.str_] | None) -> BoolArray:
    """True where the data are anomalous, one for each line of the scores.

    `timestamps` [line] are those of the scores; a json file of time windows needs them. Raises DataError, naming the file.
    """
    if path.suffix == ".json":
        return _inside_windows(path, selection.series, timestamps)
    columns = ColumnSelection(
        label_column=selection.label_column, normal_label=selection.normal_label, delimiter=selection.delimiter
    )
    return data_labels(path, columns)


def _inside_windows(path: Path, series: str | None, timestamps: NDArray[np.str_] | None) -> BoolArray:
    """True from the first to the last time of each window, both included, as NAB defines them."""
    if timestamps is None:
        raise DataError(f"{path}: holds time windows, and the scores have no time stamps; expected a timestamp column")
    windows = _read_windows(path)
    if series is None or series not in windows:
        raise DataError(f"{path}: no series {series!r}; name one with --series: {', '.join(windows)}")
    try:
        times = timestamps.astype("datetime64[us]")
        bounds = np.array(windows[series], dtype="datetime64[us]").reshape(-1, 2)
    except ValueError as error:
        raise DataError(f"{path}: time stamps that cannot be compared: {error}") from error
    return np.asarray(((times[:, None] >= bounds[:, 0]) & (times[:, None] <= bounds[:, 1])).any(axis=1))


def _read_windows(path: Path) -> dict[str, list[tuple[str, str]]]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise DataError(f"{path}: larger than {MAX_JSON_BYTES} bytes; expected NAB's combined_windows.json")
        return msgspec.json.decode(path.read_bytes(), type=dict[str, list[tuple[str, str]]])
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise DataError(f"{path}: {error}; expected NAB's combined_windows.json: series to pairs of times") from error
