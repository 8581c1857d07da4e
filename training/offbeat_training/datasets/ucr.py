"""The UCR Time Series Anomaly Archive: one series and one anomaly a file, both told by the file's name."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from offbeat.data import Dataset
from offbeat.data.reader import file_sha256
from offbeat.errors import DataError
from offbeat_training.datasets.number_file import read_numbers
from offbeat_training.datasets.train_test import TrainTest, split_rows

_NAME = re.compile(r".+_(?P<train_end>\d+)_(?P<begin>\d+)_(?P<end>\d+)\.txt")


def read_ucr(path: str | os.PathLike[str]) -> TrainTest:
    """A series [row, 1] in two parts, the second with its one anomaly labelled.

    The name is `<name>_<train end>_<begin>_<end>.txt`: rows 1 to `train end` are to learn from, the anomaly is in rows
    `begin` to `end`, both included, counted from 1 over the whole file. Values stand one a line, or, as in some files of the
    archive, all in one line. Raises DataError, naming the file, where name and content do not fit.

    Source: Wu, Keogh, *Current Time Series Anomaly Detection Benchmarks are Flawed and are Creating the Illusion of
    Progress*, TKDE 2021.
    """
    file = Path(path)
    train_end, begin, end = _places(file)
    numbers = read_numbers(file)
    if 1 not in numbers.shape:
        raise DataError(f"{file}: {numbers.shape[0]} lines of {numbers.shape[1]} columns; expected one series")
    n_rows = numbers.size
    if not 0 < train_end < begin <= end <= n_rows:
        raise DataError(
            f"{file}: named train end {train_end}, anomaly {begin} to {end}, and {n_rows} values; "
            "expected an anomaly after the train end and inside the series"
        )
    labels = np.zeros(n_rows, dtype=np.bool_)
    labels[begin - 1 : end] = True
    values = numbers.reshape(-1, 1).astype(np.float32)
    series = Dataset(name=file.name, values=values, feature_names=("value",), labels=labels, sha256=file_sha256(file))
    return split_rows(series, train_end)


def _places(file: Path) -> tuple[int, int, int]:
    match = _NAME.fullmatch(file.name)
    if match is None:
        raise DataError(f"{file}: expected a name of the form <name>_<train end>_<begin>_<end>.txt")
    return int(match["train_end"]), int(match["begin"]), int(match["end"])
