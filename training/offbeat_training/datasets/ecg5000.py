"""ECG5000: heartbeats of one person, the class first in each line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from offbeat.data import Dataset
from offbeat.data.place import line_of
from offbeat.data.reader import file_sha256
from offbeat.errors import DataError
from offbeat_training.datasets.number_file import read_numbers

N_STEPS = 140
N_CLASSES = 5


def read_ecg5000(path: str | os.PathLike[str], *, normal_class: int = 1) -> Dataset:
    """Beats [window, 140, 1], labelled where their class is not the normal one.

    A line of the file is the class, 1 to 5, and 140 values, apart by white space. Raises DataError, naming the file and the
    line, for anything else.

    Source: the UCR Time Series Classification Archive; record chf07 of the BIDMC Congestive Heart Failure Database.
    """
    file = Path(path)
    numbers = read_numbers(file)
    if numbers.shape[1] != N_STEPS + 1:
        raise DataError(f"{file}: {numbers.shape[1]} columns; expected a class and {N_STEPS} values")
    classes = numbers[:, 0]
    if (strange := np.flatnonzero(~np.isin(classes, np.arange(1, N_CLASSES + 1)))).size:
        row = int(strange[0])
        where = f"line {line_of(file, row)} (beat {row})"
        raise DataError(f"{file}: {where}, column 1 is {classes[row]:g}; expected a class from 1 to {N_CLASSES}")
    return Dataset(
        name=file.name,
        values=numbers[:, 1:, None].astype(np.float32),
        feature_names=("value",),
        labels=np.asarray(classes != normal_class),
        sha256=file_sha256(file),
    )
