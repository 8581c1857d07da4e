"""Reads the csv that `offbeat score` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import ColumnSelection, read_dataset
from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray


class ScoreFile(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was scored, line by line: `errors`, flags and time stamps [line], a line being a row or a window."""

    name: str
    unit: Literal["row", "window"]
    errors: FloatArray
    is_flagged: BoolArray
    timestamps: NDArray[np.str_] | None


def read_scores(path: Path, flag_column: str = "is_anomaly") -> ScoreFile:
    """Reads and checks the file; `flag_column` may be `alarm` where that was written.

    Raises DataError, naming the file, for anything that `offbeat score` does not write.
    """
    dataset = read_dataset(
        path, ColumnSelection(features=("reconstruction_error",), label_column=flag_column, delimiter=",")
    )
    with path.open(encoding="utf-8") as file:
        unit = file.readline().split(",")[0]
    if unit not in ("row", "window") or dataset.labels is None:
        raise DataError(f"{path}: the first column is {unit!r}; expected 'row' or 'window', as offbeat score writes it")
    has_timestamps = dataset.timestamps is not None and bool((dataset.timestamps != "").all())
    return ScoreFile(
        name=dataset.name,
        unit="row" if unit == "row" else "window",
        errors=dataset.values[:, 0],
        is_flagged=dataset.labels,
        timestamps=dataset.timestamps if has_timestamps else None,
    )
