"""The Numenta Anomaly Benchmark: one series a file, and one file of labelled time windows for all."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from offbeat.data import ColumnSelection, Dataset, read_dataset


def read_nab(path: str | os.PathLike[str], windows: str | os.PathLike[str], series: str | None = None) -> Dataset:
    """A series `timestamp,value` with the labels of its windows in `combined_windows.json`, both ends included.

    `series` is the key in that file, the last two parts of the path where it is not given, such as
    `realKnownCause/nyc_taxi.csv`. Values are [row, 1]; the benchmark defines no split. Raises DataError, naming the file.

    Source: Lavin, Ahmad, *Evaluating Real-Time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark*, ICMLA 2015.
    """
    # Judging brings scikit-learn along, which reading does not need.
    from offbeat_training.evaluation import LabelSelection, read_labels

    file = Path(path)
    dataset = read_dataset(file, ColumnSelection(features=("value",), timestamp_column="timestamp", delimiter=","))
    selection = LabelSelection(series=series or f"{file.absolute().parent.name}/{file.name}")
    labels = read_labels(Path(windows), selection, dataset.timestamps)
    return msgspec.structs.replace(dataset, labels=labels)
