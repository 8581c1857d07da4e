"""One series among the rows: its windows, its lines, and what later rows need of earlier ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offbeat.bulk.options import BulkOptions
from offbeat.bulk.series_lines import SeriesLines
from offbeat.bulk.series_windows import SeriesWindows
from offbeat.bundle import Manifest
from offbeat.data import fill_missing
from offbeat.errors import DataError
from offbeat.result import BoolArray, FloatArray


class RowSeries:
    """A series called `name`, of rows that come in parts: `length` of them are a window, None where each is scored by itself."""

    def __init__(self, name: str, manifest: Manifest, options: BulkOptions, length: int | None) -> None:
        self.name = name
        self.n_filled = 0
        self._options = options
        self._feature_names = manifest.feature_names
        self._last_row: FloatArray | None = None
        self._flags = np.empty(0, np.bool_)
        if length is None:
            # A window of one row, and a line of it.
            self.windows, self.lines = SeriesWindows(1, 1), SeriesLines(1, "window", "newest")
        else:
            self.windows = SeriesWindows(length, options.stride)
            self.lines = SeriesLines(length, options.per, options.row_score)

    def filled(self, values: FloatArray, numbers: NDArray[np.int64], place: Callable[[int], str]) -> FloatArray:
        """The next rows [row, feature], or [window, time, feature], without gaps. Raises DataError, whose words begin with the first bad value."""
        if self._options.missing == "forward-fill":
            before = values[:0] if self._last_row is None else self._last_row
            joined, n_filled = fill_missing(np.concatenate([before, values]), "forward-fill")
            values, self.n_filled = joined[len(before) :], self.n_filled + n_filled
            self._last_row = values[-1:]
        is_bad = ~np.isfinite(values)
        if is_bad.any():
            row, *step, feature = (int(index) for index in np.argwhere(is_bad)[0])
            policy = "numbers, or a policy for gaps: --missing, in Python missing="
            gap = policy if self._options.missing == "reject" else "one before it"
            is_missing = np.isnan(values[row, *step, feature])
            what, needed = ("missing", gap) if is_missing else ("infinite", "finite numbers within float32")
            where = f"{place(int(numbers[row]))}, column {self._feature_names[feature]!r}"
            raise DataError(f"{what} value in {where}; expected {needed}")
        return values

    def alarms(self, is_flagged: BoolArray) -> BoolArray | None:
        """Whether there is an alarm at each of the next lines [line]; None without a rule."""
        rule = self._options.rule
        if rule is None:
            return None
        flags = np.concatenate([self._flags, is_flagged])
        alarms = rule.alarms(flags)[len(self._flags) :]
        self._flags = flags[max(0, len(flags) - rule.alarm_n + 1) :]
        return alarms
