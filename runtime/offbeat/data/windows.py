"""From rows to sliding windows, and from window scores back to rows."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from offbeat.errors import DataError
from offbeat.result import FloatArray


def sliding_windows(values: FloatArray, length: int, stride: int = 1) -> FloatArray:
    """Every full window of `length` rows, a new one each `stride` rows: [window, time, feature], a view where possible.

    `values` is [row, feature]. Raises DataError where there are fewer rows than one window needs.
    """
    if values.ndim != 2:
        raise DataError(f"values have shape {values.shape}; expected [row, feature]")
    if values.shape[0] < length:
        raise DataError(f"{values.shape[0]} rows; expected at least {length}, the length of one window")
    return sliding_window_view(values, length, axis=0)[::stride].transpose(0, 2, 1)


def window_starts(n_rows: int, length: int, stride: int = 1) -> NDArray[np.int64]:
    """First row of each full window, plus one last window flush with the end where the stride would leave rows uncovered."""
    starts = np.arange(0, n_rows - length + 1, stride, dtype=np.int64)
    if starts.size and starts[-1] != n_rows - length:
        starts = np.append(starts, n_rows - length)
    return starts


def row_means(
    window_values: NDArray[np.floating], starts: NDArray[np.int64], length: int, n_rows: int
) -> NDArray[np.float64]:
    """For each row, the mean of `window_values` [window] over all windows that cover it; NaN for a row that none covers."""
    change = np.zeros(n_rows + 1)
    np.add.at(change, starts, window_values.astype(np.float64))
    np.subtract.at(change, starts + length, window_values.astype(np.float64))
    count = np.zeros(n_rows + 1, dtype=np.int64)
    np.add.at(count, starts, 1)
    np.subtract.at(count, starts + length, 1)
    covering = np.cumsum(count)[:-1]
    with np.errstate(invalid="ignore"):
        return np.where(covering > 0, np.cumsum(change)[:-1] / covering, np.nan)
