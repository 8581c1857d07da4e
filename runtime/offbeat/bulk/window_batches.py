"""Windows from many places in batches of one size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from offbeat.result import FloatArray


class WindowBatches:
    """Fills batches of `batch_size` windows in the order they come; only the last one is smaller."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._batch: FloatArray | None = None
        self._n_filled = 0

    def add(self, windows: FloatArray) -> Iterator[FloatArray]:
        """The batches that `windows` [window, ...] complete, C-contiguous, each of memory of its own."""
        begin = 0
        while begin < len(windows):
            if self._batch is None:
                self._batch, self._n_filled = np.empty((self._batch_size, *windows.shape[1:]), np.float32), 0
            end = min(len(windows), begin + self._batch_size - self._n_filled)
            self._batch[self._n_filled : self._n_filled + end - begin] = windows[begin:end]
            self._n_filled += end - begin
            begin = end
            if self._n_filled == self._batch_size:
                batch, self._batch = self._batch, None
                yield batch

    def rest(self) -> Iterator[FloatArray]:
        """What is left over, if anything is."""
        if self._batch is not None:
            batch, self._batch = self._batch, None
            yield batch[: self._n_filled]
