"""A data set in memory: values with their names, time stamps and labels."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray
from offbeat.telling import listed

Layout = Literal["rows", "windows"]


class Dataset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rows of a series or a table, or ready-made windows, in raw units.

    `values` is float32 [row, feature], or [window, time, feature] for ready-made windows. `timestamps` [row] are the
    file's own words, kept to the end. `labels` [row] or [window] are True where the data is known to be anomalous.
    `classes` [row] or [window] are the file's words for what each is, for a model that learns classes.
    `sha256` is the digest of the file, None for generated data. `n_filled` of the values were missing and filled.
    Raises DataError for an empty set, for NaN and infinity, and for parts that do not fit each other.
    """

    name: str
    values: FloatArray
    feature_names: tuple[str, ...]
    timestamps: NDArray[np.str_] | None = None
    labels: BoolArray | None = None
    classes: NDArray[np.str_] | None = None
    sha256: str | None = None
    n_filled: int = 0

    def __post_init__(self) -> None:
        shape = self.values.shape
        if self.values.ndim in (2, 3) and 0 in shape:
            raise DataError(f"{self.name}: values have shape {shape}; expected at least one row and one feature")
        if self.values.ndim not in (2, 3):
            raise DataError(
                f"{self.name}: values have shape {shape}; expected [row, feature] or [window, time, feature]"
            )
        if len(self.feature_names) != shape[-1] or len(set(self.feature_names)) != shape[-1]:
            raise DataError(f"{self.name}: {shape[-1]} features; feature names {listed(self.feature_names)}")
        for what, array in (("timestamps", self.timestamps), ("labels", self.labels), ("classes", self.classes)):
            if array is not None and array.shape != shape[:1]:
                raise DataError(f"{self.name}: {what} have shape {array.shape}; expected {shape[:1]}")
        _reject_missing(self)

    @property
    def n_rows(self) -> int:
        """How many rows, or ready-made windows."""
        return int(self.values.shape[0])


def _reject_missing(dataset: Dataset) -> None:
    is_bad = ~np.isfinite(dataset.values)
    if is_bad.any():
        row, *_, feature = (int(index) for index in np.argwhere(is_bad)[0])
        raise DataError(
            f"{dataset.name}: {int(is_bad.sum())} missing or non-finite value(s), "
            f"the first in row {row}, column {dataset.feature_names[feature]!r}; expected finite numbers"
        )
