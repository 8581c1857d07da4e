"""A data set in memory: values with their names, time stamps and labels."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray, FloatArray


class Dataset(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Rows of a series or a table, or ready-made windows, in raw units.

    `values` is float32 [row, feature], or [window, time, feature] for ready-made windows. `timestamps` [row] are the
    file's own words, kept to the end. `labels` [row] or [window] are True where the data is known to be anomalous.
    `sha256` is the digest of the file, None for generated data.
    """

    name: str
    values: FloatArray
    feature_names: tuple[str, ...]
    timestamps: NDArray[np.str_] | None = None
    labels: BoolArray | None = None
    sha256: str | None = None

    @property
    def n_rows(self) -> int:
        """How many rows, or ready-made windows."""
        return int(self.values.shape[0])
