"""`feature_error` and `reconstruction` for each line of the scores, for whoever wants to know why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from offbeat.cli.target import write_target
from offbeat.data import Dataset, row_means
from offbeat.result import ScoreResult

FURTHER_OUTPUTS = ("feature_error", "reconstruction")

Floats = NDArray[np.float64]


class LineOutputs:
    """Collects the outputs of windows, batch by batch, and gives them line by line.

    A line is a window or a sample, or, with `length`, a row of a series: then both outputs are means over the windows that
    cover it. `starts` [window] are their first rows.
    """

    def __init__(self, dataset: Dataset, starts: NDArray[np.int64], length: int | None) -> None:
        self._dataset = dataset
        self._starts = starts
        self._length = length
        self._n_added = 0
        self._feature_error = np.zeros((len(starts), dataset.values.shape[-1]))
        self._reconstruction = (
            np.full(dataset.values.shape, np.nan) if length is None else np.zeros(dataset.values.shape)
        )
        self._n_covering = np.zeros(dataset.n_rows, dtype=np.int64)

    def add(self, result: ScoreResult) -> None:
        """Takes the next batch; its outputs must hold `feature_error` and `reconstruction`."""
        feature_error, reconstruction = result.feature_error, result.reconstruction
        if feature_error is None or reconstruction is None:
            return
        batch = slice(self._n_added, self._n_added + len(feature_error))
        self._n_added = batch.stop
        self._feature_error[batch] = feature_error
        if self._length is None:
            # A reconstruction may have fewer steps than its window.
            place = (batch,) if reconstruction.ndim == 2 else (batch, slice(reconstruction.shape[1]))
            self._reconstruction[place] = reconstruction
            return
        for step in range(reconstruction.shape[1]):
            # The starts are distinct, so that each row is met once in a step.
            rows = self._starts[batch] + step
            self._reconstruction[rows] += reconstruction[:, step]
            self._n_covering[rows] += 1

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """`feature_error` [line, feature], `reconstruction` in the shape of the data, NaN where there is none, and names."""
        feature_error, reconstruction = self._feature_error, self._reconstruction
        if self._length is not None:
            per_row = [
                row_means(column, self._starts, self._length, self._dataset.n_rows) for column in feature_error.T
            ]
            feature_error = np.stack(per_row, axis=1)
            covering = np.where(self._n_covering > 0, self._n_covering, np.nan)
            reconstruction = reconstruction / covering[:, None]
        return {
            "feature_error": feature_error.astype(np.float32),
            "reconstruction": reconstruction.astype(np.float32),
            "feature_names": np.asarray(self._dataset.feature_names),
        }

    def write(self, path: Path) -> None:
        """Writes the arrays as an npz file, whole or not at all. Raises DataError."""
        arrays: dict[str, Any] = self.arrays()
        write_target(path, "wb", lambda file: np.savez_compressed(file, **arrays))
