"""From scores of windows to the lines of one series, as the windows come."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from offbeat.data import row_means, row_newest

Per = Literal["row", "window"]
RowScore = Literal["mean", "newest"]
Arrays = dict[str, NDArray[np.floating]]
ERROR = "reconstruction_error"
# What a row has of one window alone: the one that ends with it, or that ended before it.
_OF_ONE_WINDOW = {"class_probability": -1, "forecast": 0}


class Lines(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Finished lines: their `numbers` and `timestamps` [line], and `outputs` [line, ...] as float64, NaN where there is none."""

    numbers: NDArray[np.int64]
    timestamps: NDArray[np.str_] | None
    outputs: dict[str, NDArray[np.float64]]


class SeriesLines:
    """Takes the rows of a series and the outputs of its windows, both in order, and gives the lines that nothing later changes.

    Rows are scored as `row_means` or `row_newest` scores a whole series, to the bit; so are windows, which take the time stamp
    of their last row. Keeps what unfinished lines need: no more than some windows' worth of rows, and what was not scored yet.
    """

    def __init__(self, length: int, per: Per, row_score: RowScore) -> None:
        self._length = length
        self._per = per
        self._row_score = row_score
        self._first = 0
        self._n_windows = 0
        self._numbers: list[NDArray[np.int64]] = []
        self._timestamps: list[NDArray[np.str_]] = []
        self._starts: list[NDArray[np.int64]] = []
        self._outputs: list[Arrays] = []

    def add_rows(self, numbers: NDArray[np.int64], timestamps: NDArray[np.str_] | None) -> None:
        """The next rows, by the numbers they have in the input [row]."""
        self._numbers.append(numbers)
        if timestamps is not None:
            self._timestamps.append(timestamps)

    def add_windows(self, starts: NDArray[np.int64], outputs: Arrays) -> None:
        """The next windows: their first rows [window], counted in this series, and what the model gives for them [window, ...]."""
        self._starts.append(starts)
        self._outputs.append(outputs)

    def finished(self, *, is_end: bool = False) -> Lines | None:
        """The lines that are finished and were not given yet; at the end of the series all that are left. None where there are none."""
        if not self._numbers or (not self._starts and not is_end):
            return None
        self._merge()
        return self._windows() if self._per == "window" else self._rows(is_end)

    def _merge(self) -> None:
        self._numbers = [np.concatenate(self._numbers)]
        self._timestamps = [np.concatenate(self._timestamps)] if self._timestamps else []
        if len(self._starts) > 1:
            names = self._outputs[0]
            self._outputs = [{name: np.concatenate([part[name] for part in self._outputs]) for name in names}]
            self._starts = [np.concatenate(self._starts)]

    def _windows(self) -> Lines | None:
        if not self._starts:
            return None
        starts, outputs = self._starts.pop(), self._outputs.pop()
        last = starts + self._length - 1 - self._first
        numbers = np.arange(self._n_windows, self._n_windows + len(starts), dtype=np.int64)
        self._n_windows += len(starts)
        timestamps = self._timestamps[0][last] if self._timestamps else None
        # No later window ends before this one's last row.
        self._forget_rows(int(last[-1]))
        return Lines(
            numbers=numbers, timestamps=timestamps, outputs={n: v.astype(np.float64) for n, v in outputs.items()}
        )

    def _rows(self, is_end: bool) -> Lines | None:
        n_there = len(self._numbers[0])
        n = n_there if is_end else min(n_there, self._bound() - self._first)
        if n <= 0:
            return None
        outputs = {name: self._row_values(name, values, n) for name, values in self._all_outputs().items()}
        lines = Lines(
            numbers=self._numbers[0][:n],
            timestamps=self._timestamps[0][:n] if self._timestamps else None,
            outputs=outputs,
        )
        self._forget_rows(n)
        self._forget_windows()
        return lines

    def _bound(self) -> int:
        """The first row that a later window may still change. Later windows start, and end, at least one row later."""
        last_start = int(self._starts[0][-1])
        is_newest_alone = self._row_score == "newest" and set(self._outputs[0]) <= {ERROR, *_OF_ONE_WINDOW}
        return last_start + (self._length if is_newest_alone else 1)

    def _all_outputs(self) -> Arrays:
        # A series that is shorter than one window has none.
        return self._outputs[0] if self._outputs else {ERROR: np.empty(0)}

    def _row_values(self, name: str, values: NDArray[np.floating], n: int) -> NDArray[np.float64]:
        starts = (self._starts[0] if self._starts else np.empty(0, np.int64)) - self._first
        if name in _OF_ONE_WINDOW:
            return _at_rows(values, starts + self._length + _OF_ONE_WINDOW[name], n)
        if not starts.size:
            return np.full(n, np.nan)
        to_rows = row_newest if name == ERROR and self._row_score == "newest" else row_means
        return to_rows(values, starts, self._length, n)

    def _forget_rows(self, n: int) -> None:
        self._first += n
        self._numbers = [self._numbers[0][n:]]
        self._timestamps = [part[n:] for part in self._timestamps]

    def _forget_windows(self) -> None:
        """All but those that reach into the rows left, or predict one, and the newest before them."""
        if self._starts:
            n = max(0, int(np.searchsorted(self._starts[0], self._first - self._length)) - 1)
            self._starts = [self._starts[0][n:]]
            self._outputs = [{name: values[n:] for name, values in self._outputs[0].items()}]


def _at_rows(values: NDArray[np.floating], rows: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """`values` [window, ...] at one of n rows each; those of other rows are left out."""
    lines = np.full((n, *values.shape[1:]), np.nan)
    is_there = (rows >= 0) & (rows < n)
    lines[rows[is_there]] = values[is_there]
    return lines
