"""The Server Machine Dataset: 38 metrics of a machine, five weeks of them, half to learn from."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import ColumnSelection, Dataset, read_dataset
from offbeat.data.reader import file_sha256
from offbeat.errors import DataError
from offbeat_training.datasets.label_columns import zeros_and_ones
from offbeat_training.datasets.number_file import read_numbers
from offbeat_training.datasets.train_test import TrainTest

N_FEATURES = 38
# Counted from 1, as the benchmark's files of interpretation labels count them.
FEATURE_NAMES = tuple(f"dimension_{number}" for number in range(1, N_FEATURES + 1))


def read_smd(path: str | os.PathLike[str], machine: str | None = None) -> TrainTest:
    """One machine: [row, 38] to learn from, unlabelled, and as much to judge on, with labels.

    `path` is an npz file with `train`, `test` and `test_label`; or, with `machine` such as `machine-1-1`, the original
    folder, which holds `train/`, `test/` and `test_label/`, each with a `<machine>.txt`. Raises DataError, naming the file.

    Source: Su et al., *Robust Anomaly Detection for Multivariate Time Series through Stochastic Recurrent Neural Network*,
    KDD 2019.
    """
    if machine is None:
        return _read_npz(Path(path))
    train, test, labels = (Path(path) / part / f"{machine}.txt" for part in ("train", "test", "test_label"))
    return TrainTest(
        train=_dataset(train, read_numbers(train, ",")),
        test=_labelled(_dataset(test, read_numbers(test, ",")), labels, read_numbers(labels, ",")),
    )


def _read_npz(file: Path) -> TrainTest:
    # `features` gives the columns their names, and refuses another number of them.
    train, test = (read_dataset(file, ColumnSelection(key=key, features=FEATURE_NAMES)) for key in ("train", "test"))
    labels = read_dataset(file, ColumnSelection(key="test_label")).values
    return TrainTest(
        train=msgspec.structs.replace(train, name=f"{file.name}:train"),
        test=_labelled(msgspec.structs.replace(test, name=f"{file.name}:test"), file, labels),
    )


def _dataset(file: Path, numbers: NDArray[np.float64]) -> Dataset:
    if numbers.shape[1] != N_FEATURES:
        raise DataError(f"{file}: {numbers.shape[1]} columns; expected {N_FEATURES}")
    name = f"{file.parent.name}/{file.name}"
    values = numbers.astype(np.float32)
    return Dataset(name=name, values=values, feature_names=FEATURE_NAMES, sha256=file_sha256(file))


def _labelled(test: Dataset, file: Path, labels: NDArray[np.number]) -> Dataset:
    if labels.shape != (test.n_rows, 1):
        raise DataError(f"{file}: labels have shape {labels.shape}; expected one for each of {test.n_rows:,} rows")
    return msgspec.structs.replace(test, labels=zeros_and_ones(file, "test_label", labels[:, 0]))
