"""From rows to sliding windows, and from window scores back to rows."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from offbeat.errors import DataError
from offbeat.result import FloatArray


def sliding_windows(values: FloatArray, length: int, stride: int = 1) -> FloatArray:
    """Every full window of `length` rows, a new one each `stride` rows: [window, time, feature], a view without a copy.

    `values` is [row, feature]. Raises DataError where there are fewer rows than one window needs.
    """
    if values.ndim != 2:
        raise DataError(f"values have shape {values.shape}; expected [row, feature]")
    if values.shape[0] < length:
        raise DataError(f"{values.shape[0]} rows; expected at least {length}, the length of one window")
    return sliding_window_view(values, length, axis=0)[::stride].transpose(0, 2, 1)


def window_starts(n_rows: int, length: int, stride: int = 1) -> NDArray[np.int64]:
    """First row of each full window; one more, flush with the end, where the stride would leave rows uncovered."""
    starts = np.arange(0, n_rows - length + 1, stride, dtype=np.int64)
    if starts.size and starts[-1] != n_rows - length:
        starts = np.append(starts, n_rows - length)
    return starts


def row_means(
    window_values: NDArray[np.floating], starts: NDArray[np.int64], length: int, n_rows: int
) -> NDArray[np.float64]:
    """For each row, the mean of `window_values` [window] over the windows that cover it; NaN where none does.

    `starts` [window] ascends. Each row sums its own windows only, so one huge value does not spoil the rows after it.
    """
    rows = np.arange(n_rows)
    first = np.searchsorted(starts, rows - length, side="right")
    end = np.searchsorted(starts, rows, side="right")
    padded = np.append(window_values.astype(np.float64), 0.0)
    sums = np.add.reduceat(padded, np.stack([first, end], axis=1).ravel())[::2]
    counts = end - first
    means = np.full(n_rows, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


def row_newest(
    window_values: NDArray[np.floating], starts: NDArray[np.int64], length: int, n_rows: int
) -> NDArray[np.float64]:
    """For each row, the value of `window_values` [window] for the last window that had ended by then: no look ahead.

    `starts` [window] ascends. The rows before the first window's end get that window's value, which does look ahead: there
    is no other. Raises DataError without a window.
    """
    if not starts.size:
        raise DataError("no window; expected at least one to score rows by")
    newest = np.searchsorted(starts + length - 1, np.arange(n_rows), side="right") - 1
    return window_values.astype(np.float64)[np.maximum(newest, 0)]
