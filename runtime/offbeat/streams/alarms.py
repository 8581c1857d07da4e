"""When anomalous windows of a series add up to an alarm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offbeat.result import BoolArray
from offbeat.streams.rows import Integers


class Alarms:
    """An alarm is given where at least `k` of a series' last `n` windows are anomalous, the newest included. Pure.

    `flags` [slot, n - 1] are those of the windows before, the newest last.
    """

    def __init__(self, capacity: int, k: int, n: int) -> None:
        self._k = k
        self._n = n
        self.flags: NDArray[np.uint8] = np.zeros((capacity, n - 1), np.uint8)

    def clear(self, slots: Integers) -> None:
        """Forgets the windows of these slots."""
        self.flags[slots] = 0

    def take(self, slots: Integers, is_anomaly: BoolArray) -> BoolArray:
        """The alarms [window] of windows of those slots [window], in their order."""
        if not len(slots):
            return is_anomaly
        n_before = self._n - 1
        order = np.argsort(slots, kind="stable")
        owners, groups = np.unique(slots[order], return_inverse=True)
        # The flags one behind the other, those of each slot after its n - 1 of before: no sum reaches into its neighbour.
        places = (groups + 1) * n_before + np.arange(len(slots))
        last = np.append(np.flatnonzero(groups[1:] != groups[:-1]), len(slots) - 1)
        line = np.zeros(len(slots) + len(owners) * n_before, np.int64)
        firsts = np.insert(last[:-1] + 1, 0, 0) + np.arange(len(owners)) * n_before
        line[firsts[:, None] + np.arange(n_before)] = self.flags[owners]
        line[places] = is_anomaly[order]
        sums = np.concatenate([[0], np.cumsum(line)])
        alarms = np.empty(len(slots), np.bool_)
        alarms[order] = sums[places + 1] - sums[places + 1 - self._n] >= self._k
        self.flags[owners] = line[places[last][:, None] + 1 - n_before + np.arange(n_before)]
        return alarms
