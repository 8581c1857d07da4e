"""Rows of one series, as they come, cut into the same windows as if they were all there."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from offbeat.result import FloatArray


class SeriesWindows:
    """Gives each window of `length` rows, one every `stride`, as soon as its last row is there, and at the end one more,
    flush with the last row, where the stride would leave rows uncovered: the windows of `window_starts`, in that order.

    Keeps fewer than `length` + `stride` rows.
    """

    def __init__(self, length: int, stride: int) -> None:
        self._length = length
        self._stride = stride
        self._kept: FloatArray | None = None
        self._first = 0
        self._next_start = 0
        self.n_rows = 0

    def add(self, values: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
        """First rows [window] of the windows that `values` [row, ...] complete, and the windows, [window, time, ...]."""
        rows = values if self._kept is None else np.concatenate([self._kept, values])
        self.n_rows += len(values)
        starts = np.arange(self._next_start, self.n_rows - self._length + 1, self._stride, dtype=np.int64)
        windows = self._cut(rows, starts)
        self._next_start += len(starts) * self._stride
        # The rows of the window flush with the end may be any of the last ones.
        first_needed = max(0, min(self._next_start, self.n_rows - self._length))
        self._kept = rows[first_needed - self._first :].copy()
        self._first = first_needed
        return starts, windows

    def last(self) -> tuple[NDArray[np.int64], FloatArray]:
        """The same of the window flush with the end, if it was not given yet and there are rows enough."""
        start = self.n_rows - self._length
        is_given = start == self._next_start - self._stride
        starts = np.array([] if start < 0 or is_given or self._kept is None else [start], dtype=np.int64)
        rows = np.empty((0, 0), np.float32) if self._kept is None else self._kept
        return starts, self._cut(rows, starts)

    def _cut(self, rows: FloatArray, starts: NDArray[np.int64]) -> FloatArray:
        if not starts.size:
            return np.empty((0, self._length, *rows.shape[1:]), np.float32)
        return np.moveaxis(sliding_window_view(rows, self._length, axis=0)[starts - self._first], -1, 1)
