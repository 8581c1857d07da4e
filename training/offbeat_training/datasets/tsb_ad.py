"""TSB-AD: curated series of many benchmarks, one csv a series, the split told by the file's name."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import numpy as np

from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat.errors import DataError
from offbeat.telling import listed
from offbeat_training.datasets.label_columns import zeros_and_ones
from offbeat_training.datasets.train_test import TrainTest, split_rows

_NAME = re.compile(r".+_tr_(?P<n_train>\d+)_1st_(?P<first>\d+)\.csv")
_LABEL = "Label"


def read_tsb_ad(path: str | os.PathLike[str]) -> TrainTest:
    """A series of value columns [row, feature] and the column `Label`; `…_tr_<n>_1st_<first>.csv` is its name.

    `train` is the first n rows, with labels: some series have anomalies there. `test` is the whole series, as the benchmark
    scores it. `first` is the row of the first anomaly, counted from 0. Raises DataError, naming the file and the column, for
    another header, for labels other than 0 and 1, and where name and content do not fit.

    Source: Liu, Paparrizos, *The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection Benchmark*,
    NeurIPS 2024.
    """
    file = Path(path)
    match = _NAME.fullmatch(file.name)
    if match is None:
        raise DataError(f"{file}: expected a name of the form <name>_tr_<n>_1st_<n>.csv")
    series = _with_labels(file, read_dataset(file, ColumnSelection(delimiter=",")))
    first = int(np.argmax(series.labels)) if series.labels is not None and series.labels.any() else None
    if first != int(match["first"]):
        raise DataError(f"{file}: the first anomaly is in row {first}; expected {match['first']}, as the name says")
    return TrainTest(train=split_rows(series, int(match["n_train"])).train, test=series)


def _with_labels(file: Path, dataset: Dataset) -> Dataset:
    names = dataset.feature_names
    if len(names) < 2 or names[-1] != _LABEL:
        raise DataError(f"{file}: columns {listed(names)}; expected values and, last, {_LABEL}")
    return msgspec.structs.replace(
        dataset,
        values=dataset.values[:, :-1].copy(),
        feature_names=names[:-1],
        labels=zeros_and_ones(file, _LABEL, dataset.values[:, -1]),
    )
