"""The Skoltech Anomaly Benchmark: a water circuit with eight sensors, about one row a second."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat_training.datasets.label_columns import zeros_and_ones

SENSORS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)
_LABELS = ("anomaly", "changepoint")


def read_skab(
    path: str | os.PathLike[str],
    *,
    label: Literal["anomaly", "changepoint"] = "anomaly",
    is_labelled: bool = True,
) -> Dataset:
    """One run: the eight sensors [row, 8], `datetime`, and the labels of the column `label`.

    The anomaly-free run has no labels: read it with `is_labelled=False`. Raises DataError, naming the file and the column,
    for another header and for labels other than 0 and 1.

    Source: Katser, Kozitsin, *Skoltech Anomaly Benchmark (SKAB)*, 2020.
    """
    names = (*SENSORS, *_LABELS) if is_labelled else SENSORS
    dataset = read_dataset(path, ColumnSelection(features=names, timestamp_column="datetime", delimiter=";"))
    if not is_labelled:
        return dataset
    flags = {name: dataset.values[:, names.index(name)] for name in _LABELS}
    labels = {name: zeros_and_ones(Path(path), name, column) for name, column in flags.items()}
    sensors = dataset.values[:, : len(SENSORS)].copy()
    return msgspec.structs.replace(dataset, values=sensors, feature_names=SENSORS, labels=labels[label])
