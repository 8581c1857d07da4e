"""The windows of the last minutes, or enough of them."""

from __future__ import annotations

from collections import deque

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.result import FloatArray

_INTERVAL_S = 0.25
_MAX_WINDOWS = 1024
_MAX_BYTES = 4 * 2**20
_MAX_AGE_S = 3600.0


class RecentWindow(Struct, frozen=True, eq=False):
    """A window, float32 [time, feature] or [feature], its score, and when it was scored."""

    at: float
    window: FloatArray
    score: float


class RecentWindows:
    """A sliding sample: at most four windows a second, the newest 1,024, or 4 MiB of them, none older than an hour.

    Of longer windows than the trained `length` the beginning is kept. Times are seconds of one clock that never goes back.
    Pure, and not safe for use from several threads.
    """

    __slots__ = ("_length", "_n_taken", "_windows", "next_at")

    def __init__(self, length: int | None, n_features: int) -> None:
        self._length = length
        n_bytes = 4 * n_features * (length or 1)
        self._windows: deque[RecentWindow] = deque(maxlen=max(16, min(_MAX_WINDOWS, _MAX_BYTES // n_bytes)))
        self._n_taken = 0
        # When the next one may be taken: whoever has many windows asks this first.
        self.next_at = 0.0

    def take(self, windows: FloatArray, scores: NDArray[np.generic], now: float) -> None:
        """Copies one of the windows, each time from another place of the batch."""
        self.next_at = now + _INTERVAL_S
        row = self._n_taken % len(windows)
        self._n_taken += 1
        window = windows[row] if self._length is None else windows[row, : self._length]
        self._windows.append(RecentWindow(now, window.copy(), float(scores[row])))

    def since(self, now: float) -> list[RecentWindow]:
        """The windows that are not too old."""
        while self._windows and self._windows[0].at < now - _MAX_AGE_S:
            self._windows.popleft()
        return list(self._windows)
