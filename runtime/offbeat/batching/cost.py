"""What a batch of a given size costs, as measured."""

from __future__ import annotations

import math

# The weight of the newest measurement: a change of the machine's speed is followed within about ten batches.
_WEIGHT = 0.2
# A batch that was interrupted says little of the next: no measurement counts as more than so many times what was expected.
_MAX_SURPRISE = 4.0
# Older measurements do not justify refusing anyone: the next batch must be allowed to correct them.
_FRESH_S = 1.0


class BatchCost:
    """Seconds that batches of one model take, learned by size: 1, 2, 3 to 4, 5 to 8 rows and so on. Pure; asks no clock."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._recorded_at = -math.inf

    def record(self, n_rows: int, seconds: float, now: float) -> None:
        """Learns from a batch that has run until `now`."""
        size = _size(n_rows)
        known = self._seconds.get(size)
        if known is None:
            self._seconds[size] = seconds
        else:
            self._seconds[size] = known + _WEIGHT * (min(seconds, _MAX_SURPRISE * known) - known)
        self._recorded_at = now

    def is_fresh(self, now: float) -> bool:
        """Whether a batch was measured within the last second."""
        return now - self._recorded_at <= _FRESH_S

    def estimate(self, n_rows: int) -> float:
        """Seconds that a batch of so many rows is expected to take; infinite where nothing is known.

        A size without measurements is taken to cost as the next greater one, or, row by row, as the greatest smaller one.
        """
        size = _size(n_rows)
        known = self._seconds.get(size)
        if known is not None:
            return known
        greater = min((each for each in self._seconds if each > size), default=None)
        if greater is not None:
            return self._seconds[greater]
        smaller = max(self._seconds, default=None)
        return math.inf if smaller is None else self._seconds[smaller] * 2.0 ** (size - smaller)


def _size(n_rows: int) -> int:
    """The number of the size class: 2**size rows are its greatest batch."""
    return (n_rows - 1).bit_length()
