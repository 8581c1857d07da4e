"""The last rows of many series, in one array."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from offbeat.result import FloatArray
from offbeat.streams.rows import Integers

# Room beyond a window, so that a series is moved to the front once in so many rows at most.
_MIN_ROOM = 16


class RowMemory:
    """For each slot the rows from which its next windows are made. Pure; not for several threads at once.

    A slot's rows lie one behind the other, so that a window is one piece of memory. Where they reach the end, the last
    `length` - 1 move to the front. The array is as large as it may ever become; the system gives it memory where it is written.
    """

    def __init__(self, capacity: int, length: int, n_features: int) -> None:
        self.length = length
        self.n_seen = np.zeros(capacity, np.int64)
        self._n_steps = _n_steps(length)
        self._rows = np.zeros((capacity, self._n_steps, n_features), np.float32)
        self._ends = np.zeros(capacity, np.int64)
        step_strides = self._rows.strides
        self._windows = as_strided(
            self._rows,
            (capacity, self._n_steps - length + 1, length, n_features),
            (step_strides[0], step_strides[1], step_strides[1], step_strides[2]),
            writeable=False,
        )

    @staticmethod
    def n_bytes_each(length: int, n_features: int) -> int:
        """Bytes that one series takes."""
        return _n_steps(length) * n_features * 4 + 16

    def clear(self, slots: Integers) -> None:
        """Forgets what these slots hold."""
        self.n_seen[slots] = 0
        self._ends[slots] = self._begin(slots)

    def append(
        self, slots: Integers, values: FloatArray, stride: int, repeated: Integers | None
    ) -> tuple[FloatArray, Integers]:
        """Takes rows [row, feature] of those slots [row], in their order; `repeated` is what `repetitions` says of the slots.

        Returns the windows [window, time, feature] that became full and are to be scored, and the number of the row each ends with.
        """
        n_seen = self.n_seen[slots] + 1
        if repeated is not None:
            n_seen += repeated
        due = (n_seen >= self.length) & ((n_seen - self.length) % stride == 0)
        self.n_seen[slots] = n_seen
        if repeated is None:
            ends = self._append_one_each(slots, values)
            return self._windows[slots[due], ends[due] - self.length], due.nonzero()[0]
        return self._append_repeated(slots, values, repeated, due)

    def tails(self, slots: Integers) -> FloatArray:
        """The last `length` - 1 rows [slot, step, feature], zeros before a series' first."""
        steps = np.arange(self.length - 1)
        tails = self._rows[slots[:, None], self._ends[slots][:, None] - (self.length - 1) + steps]
        is_before = steps[None, :] < (self.length - 1 - self.n_seen[slots])[:, None]
        tails[is_before] = 0
        return np.asarray(tails)

    def restore(self, slots: Integers, tails: FloatArray, n_seen: Integers) -> None:
        """Has the slots hold what `tails` [slot, step, feature] and `n_seen` [slot] told."""
        begins = self._begin(slots)
        self._rows[slots[:, None], begins[:, None] + np.arange(self.length - 1)] = tails
        self._ends[slots] = begins + self.length - 1
        self.n_seen[slots] = n_seen

    def _begin(self, slots: Integers) -> Integers:
        """Where the first row goes: not the same place for all, or all would move to the front with the same row."""
        return slots % (self._n_steps - self.length + 1)

    def _append_one_each(self, slots: Integers, values: FloatArray) -> Integers:
        """Returns where the rows of each slot end now."""
        ends = self._ends[slots]
        is_full = ends == self._n_steps
        if is_full.any():
            self._move_to_front(slots[is_full])
            ends = self._ends[slots]
        self._rows[slots, ends] = values
        ends += 1
        self._ends[slots] = ends
        return ends

    def _append_repeated(
        self, slots: Integers, values: FloatArray, repeated: Integers, due: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> tuple[FloatArray, Integers]:
        """The rows of all series at once that have room for theirs behind a window, each of the others by itself: time grows with the
        rows, not with the rows times those of one series.
        """
        windows = np.empty((int(due.sum()), self.length, values.shape[1]), np.float32)
        places = np.cumsum(due) - 1
        is_long = np.isin(slots, slots[repeated > self._n_steps - self.length])
        for rows in _by_slot(slots, is_long.nonzero()[0]):
            of_rows = self._append_many(int(slots[rows[0]]), values[rows])
            windows[places[rows[due[rows]]]] = of_rows[due[rows]]
        few = (~is_long).nonzero()[0]
        ends = self._ends[slots[few]] + repeated[few]
        is_over = ends >= self._n_steps
        if is_over.any():
            self._move_to_front(np.unique(slots[few[is_over]]))
            ends = self._ends[slots[few]] + repeated[few]
        ends += 1
        self._rows[slots[few], ends - 1] = values[few]
        # Of a series' several rows the last one counts: they are assigned in their order.
        self._ends[slots[few]] = ends
        is_due = due[few]
        windows[places[few[is_due]]] = self._windows[slots[few[is_due]], ends[is_due] - self.length]
        return windows, due.nonzero()[0]

    def _append_many(self, slot: int, values: FloatArray) -> FloatArray:
        """Takes rows [row, feature] of one slot, more than it has room for; returns the window that ends with each, a view."""
        n_before, end = self.length - 1, int(self._ends[slot])
        tail = np.zeros((n_before, values.shape[1]), np.float32)
        # A series that has fewer rows has nothing before its first; no window is made of that.
        n_there = min(n_before, end)
        tail[n_before - n_there :] = self._rows[slot, end - n_there : end]
        rows = np.concatenate([tail, values])
        self._rows[slot, :n_before] = rows[len(rows) - n_before :]
        self._ends[slot] = n_before
        return sliding_window_view(rows, self.length, axis=0).transpose(0, 2, 1)

    def _move_to_front(self, slots: Integers) -> None:
        steps = np.arange(self.length - 1)
        # Of a series that has fewer rows, what lies before its first moves along; no window is made of it.
        begins = self._ends[slots] - (self.length - 1)
        self._rows[slots[:, None], steps] = self._rows[slots[:, None], begins[:, None] + steps]
        self._ends[slots] = self.length - 1


def _by_slot(slots: Integers, rows: Integers) -> list[Integers]:
    """The numbers of those rows, parted by their slot, in their order."""
    if not len(rows):
        return []
    rows = rows[np.argsort(slots[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(slots[rows])) + 1)


def _n_steps(length: int) -> int:
    return length + max(length, _MIN_ROOM)
