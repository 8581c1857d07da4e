"""A data set in two parts: one to learn from, one to judge on."""

from __future__ import annotations

import msgspec

from offbeat.data import Dataset
from offbeat.errors import DataError


class TrainTest(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The split that a benchmark's authors defined. Raises DataError where the parts have different features."""

    train: Dataset
    test: Dataset

    def __post_init__(self) -> None:
        train, test = self.train, self.test
        if train.feature_names != test.feature_names or train.values.shape[1:] != test.values.shape[1:]:
            raise DataError(
                f"{train.name} has rows of shape {train.values.shape[1:]}, {test.name} {test.values.shape[1:]}; "
                "expected the same features in both parts"
            )


def split_rows(dataset: Dataset, n_train: int) -> TrainTest:
    """The first `n_train` rows, or windows, and the rest, with their time stamps, labels and classes.

    `n_filled` stays that of the whole. Raises DataError.
    """
    if not 0 < n_train < dataset.n_rows:
        raise DataError(f"{dataset.name}: {n_train} rows to learn from; expected 1 to {dataset.n_rows - 1}")
    return TrainTest(
        train=_part(dataset, slice(None, n_train), "train"), test=_part(dataset, slice(n_train, None), "test")
    )


def _part(dataset: Dataset, rows: slice, name: str) -> Dataset:
    return msgspec.structs.replace(
        dataset,
        name=f"{dataset.name}:{name}",
        values=dataset.values[rows],
        timestamps=None if dataset.timestamps is None else dataset.timestamps[rows],
        labels=None if dataset.labels is None else dataset.labels[rows],
        classes=None if dataset.classes is None else dataset.classes[rows],
    )
