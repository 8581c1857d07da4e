"""Writes a data set as a csv file that `offbeat train` and `offbeat score` read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from offbeat.data import Dataset
from offbeat.errors import DataError


def write_csv(dataset: Dataset, path: str | Path) -> None:
    """Columns `timestamp` and `label` (0 or 1) where the data set has them, and the features under their names.

    Raises DataError for ready-made windows, which have no rows, and where the file cannot be written.
    """
    if dataset.values.ndim != 2:
        raise DataError(f"{dataset.name} holds windows {dataset.values.shape}; expected [row, feature]")
    before = [] if dataset.timestamps is None else [("timestamp", dataset.timestamps)]
    after = [] if dataset.labels is None else [("label", dataset.labels.astype(np.int8))]
    values = [(name, dataset.values[:, column]) for column, name in enumerate(dataset.feature_names)]
    columns = [*before, *values, *after]
    try:
        with Path(path).open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([name for name, _ in columns])
            writer.writerows(zip(*(column for _, column in columns), strict=True))
    except OSError as error:
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error
